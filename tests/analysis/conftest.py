"""A small agency of two years, projected: what analysts ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date

import pytest

from ledger_crm.commands import demo
from ledger_crm.ledger import Ledger
from projections.test_queries import project
from scenario import KEYRING


@pytest.fixture(scope="session")
def analysed(templates: Callable[..., str], read_models: str) -> str:
    url = templates("analysed", read_models)
    with Ledger(url, KEYRING) as ledger:
        ledger.store.check_key()  # and so it is kept which key it is
        asyncio.run(demo.play(ledger, seed=1, until=date(2026, 11, 1), size=0.01))
        project(url, ledger)
    return "analysed"


@pytest.fixture
def template(analysed: str) -> str:
    return analysed
