"""What the command line does for one who looks, apart from how it is called."""

from __future__ import annotations

import asyncio

import pytest

from ledger_crm.cli import looking
from ledger_crm.commands import catalogue
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.workers import projector


def test_a_rebuild_that_somebody_else_asks_for_too_begins_again_and_ends(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(projector.Driver.catch_up.__kwdefaults__ or {}, "batch", 1)
    asyncio.run(catalogue.ship(ledger))
    [history] = [each for each in every() if each.name == "history"]
    told: list[int] = []

    def progress(position: int) -> None:
        told.append(position)
        if len(told) == 1:
            projector.ask_to_rebuild(other, history.name)

    with projector.connect(database) as conn, projector.connect(database) as other:
        head = looking._rebuilt(history, ledger, database, conn, progress)

    assert head == asyncio.run(ledger.head()) == 2
    assert told == [1, 1, 2]
