"""Something to read, and the counting of what was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg

from builders import note, sourced
from ledger_crm.api.snapshots import READERS, Pool
from ledger_crm.domain.entry import Actor
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Ledger, Work
from scenario import NOON
from waiting import until

LARGE = 4_000  # rows


async def fill(ledger: Ledger, people: int = 1) -> str:
    """People with something in their history; the id of the last."""
    work = Work(ledger, Actor("system:test"))
    for n in range(people):
        person = work.add(Person.source(sourced(name=f"Ada {n}"), by=work.by))
        for m in range(2):
            person.record(note(written_at=NOON + timedelta(seconds=n * 2 + m)), by=work.by)
    work.stage()
    await work.commit()
    return str(person.id)


async def ended(pool: Pool, owner: psycopg.Connection[Any]) -> None:
    """Its sessions have told what they read: each does so at its end, which is not waited for."""
    await pool.close()
    sessions = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = %s"
    )
    until(lambda: not owner.execute(sessions, (READERS,)).fetchone())
