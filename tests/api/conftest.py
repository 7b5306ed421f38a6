"""The real application over ASGI, on a real PostgreSQL, with a projector that is told when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.documented import Documented
from ledger_crm.api.app import create_app
from ledger_crm.api.snapshots import Pool, open_pool
from ledger_crm.commands.catalogue import create_key, ship
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.storage import Files
from ledger_crm.vault import Vault
from ledger_crm.workers.projector import Projector, connect
from projections.driving import Together, reading
from scenario import KEYRING


@pytest.fixture(scope="session")
def shipped(read_models: str, templates: Callable[..., str]) -> str:
    """The key of consultant:ana, in a template that has the shipped pipelines, projected."""
    url = templates("shipped", of=read_models)
    with Ledger(url, KEYRING) as ledger, connect(url) as conn:
        text = asyncio.run(_shipped(ledger))
        Together(every(), reading(ledger), conn).catch_up()
    return text


async def _shipped(ledger: Ledger) -> str:
    await ship(ledger)
    _, text = await create_key(ledger, actor="consultant:ana", role="owner")
    return text


@pytest.fixture
async def key(ledger: Ledger, template: str, shipped: str) -> str:
    """Of consultant:ana, in a ledger that has the shipped pipelines."""
    return shipped if template == "shipped" else await _shipped(ledger)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(Files(tmp_path / "documents", private=True))


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = open_pool(database, most=4)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
def template(read_models: str, request: pytest.FixtureRequest) -> str:
    return "shipped" if "key" in request.fixturenames else read_models


@pytest.fixture(scope="session")
def made_once() -> Litestar:
    """The application, not furnished yet: its routes take longer to make than a test to run."""
    nothing: Any = None
    return create_app(ledger=nothing, pool=nothing, feed_position=nothing)


@pytest.fixture
def app(made_once: Litestar, ledger: Ledger, pool: Pool, vault: Vault) -> Litestar:
    made_once.state.equipment.furnish(
        ledger=ledger, pool=pool, feed_position=ledger.head, vault=vault
    )
    return made_once


@pytest.fixture
async def anybody(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key. Every answer that it gets must be as documented."""
    documented = Documented()
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://crm") as client:
        client.event_hooks = {"response": [documented.must_be]}
        yield client


@pytest.fixture
def ana(anybody: httpx.AsyncClient, key: str) -> httpx.AsyncClient:
    """A client with consultant:ana's key."""
    anybody.headers["Authorization"] = f"Bearer {key}"
    return anybody


@pytest.fixture
def read(ledger: Ledger) -> Callable[[int, int], list[Entry[Event]]]:
    return lambda after, limit: ledger.store.entries(after=after, limit=limit)


@pytest.fixture
def project(database: str, read: Any) -> Iterator[Callable[[], None]]:
    """Brings every read model level with the ledger."""
    with connect(database) as conn:
        together = cache(lambda: Together(every(), read, conn))
        yield lambda: together().catch_up()


@pytest.fixture
def projector(database: str, read: Any) -> Projector:
    """One that is not running yet."""
    return Projector(database, read, every())
