"""Merged and un-merged, every read model is as it was, whatever was known of the two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Intent, Ledger
from ledger_crm.projections import every
from ledger_crm.workers.projector import connect
from projections.driving import Dump, Together, driven, dump, reading
from projections.stories import (
    PEOPLE,
    Command,
    a_full_story,
    as_one,
    as_one_firm,
    companies,
    stories,
    tell,
)
from scenario import ANA, KEYRING, NOON

ALL = every()
TOLD = (b".absorbed", b".merged", b".unmerged")
VERSIONED = {"person": 2, "company": 2}  # and where the version is
chains = st.permutations(PEOPLE).map(lambda order: [*zip(order[1:], order, strict=False)])


def but_for_the_merge(dump: Dump) -> dict[str, object]:
    """Without what says that they were merged, and without versions, which only ever grow."""
    kept: dict[str, object] = dict(dump)
    del kept["alike_apart"]  # that they are two, is known since
    kept["history"] = [
        line for line in dump["history"].splitlines() if not any(word in line for word in TOLD)
    ]
    for name, place in VERSIONED.items():
        lines = [line.split(b"\t") for line in dump[name].splitlines()]
        kept[name] = [line[:place] + line[place + 1 :] for line in lines]
    return kept


@pytest.mark.long
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=stories, merges=chains, firm=companies)
def test_un_merged_every_read_model_is_as_it_was(
    databases: Callable[..., str],
    before: list[Command],
    merges: list[tuple[UUID, UUID]],
    firm: UUID,
) -> None:
    """Through chains, too: what was merged last is un-merged first. Companies as people."""
    people = [as_one(survivor, other, NOON) for survivor, other in merges]
    url = databases()
    with (
        Ledger(url, KEYRING) as ledger,
        connect(url) as conn,
    ):
        together = Together(ALL, reading(ledger), conn)

        def now() -> Dump:
            together.catch_up()
            return dump(conn, ALL, past=False)

        async def live() -> None:
            await tell(ledger, before, begin=a_full_story)
            levels = [now()]
            done: list[Command] = []
            for merge, undo in (*people, as_one_firm(firm, NOON)):
                receipt = None
                with suppress(Refusal):
                    receipt = await ledger.decide(merge, intent=Intent(by=ANA))
                if receipt and receipt.position:
                    done.append(undo)
                    levels.append(now())
            assert len({str(but_for_the_merge(level)["directory_merge"]) for level in levels}) == (
                len(levels)
            )
            for undo in reversed(done):
                levels.pop()
                await ledger.decide(undo, intent=Intent(by=ANA))
                assert but_for_the_merge(now()) == but_for_the_merge(levels[-1])

        asyncio.run(live())
        assert driven(databases(), ALL, reading(ledger), batch=500, past=False) == now()
