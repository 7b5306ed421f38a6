"""An agency that is large enough to look like one: it takes seconds to play."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date

import pytest

from ledger_crm.commands.demo import play
from ledger_crm.ledger import Ledger
from scenario import KEYRING


@pytest.fixture(scope="session")
def large_agency(templates: Callable[..., str], read_models: str) -> str:
    """The template that holds two years of it, of which nothing is projected."""
    with Ledger(templates("large", of=read_models), KEYRING) as ledger:
        asyncio.run(play(ledger, until=date(2026, 11, 23), size=0.4))
    return "large"
