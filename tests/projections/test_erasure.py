"""Nothing of whoever is erased is left in any read model, and what is left is what there is when it
is built anew from the ledger, in which nobody can read them any more.

Whoever adds an event with a sealed field, or a column that holds one, is told here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from hypothesis import HealthCheck, given, settings

from builders import erased
from ledger_crm.domain import EVENTS
from ledger_crm.domain.entry import Actor, Entry, Event, kind, sealed_fields
from ledger_crm.ledger import Intent, Ledger
from ledger_crm.projections import every
from ledger_crm.store import Append
from ledger_crm.workers.projector import connect
from projections.driving import Dump, Together, driven, dump, reading
from projections.stories import PEOPLE, Command, a_full_story, erasing, stories, tell
from scenario import ANA, KEYRING, NOON, PERSON

GOLDEN = Path(__file__).parents[1] / "golden" / "entries.jsonl"
ALL = every()
LEFT_OUT = {
    "equal_opportunity.answered",  # about no record of ours
    "person.erased",
    # after these there is less to be found
    "person.contact_point_removed", "person.unpooled", "person.custom_field_cleared",
    "person.document_removed", "company.document_removed", "company.target_dropped",
}  # fmt: skip
FIRST = [
    "person.sourced", "company.added", "company.fee_agreed", "company.job_order_opened",
    "company.deal_opened", "person.candidacy_opened",
]  # fmt: skip


def golden() -> list[tuple[UUID, Event]]:
    """One fact of each kind that was ever released, with words to be found in what is sealed: of
    the person ``Secret``, of others ``Open``."""
    found: list[tuple[UUID, Event]] = []
    for line in GOLDEN.read_bytes().splitlines():
        document = msgspec.json.decode(line)
        stream, event = UUID(document["originator_id"]), EVENTS[document["event"]["kind"]]
        if kind(event) in LEFT_OUT:
            continue
        fact: Any = msgspec.convert(document["event"], event)
        of = "Secret" if stream == PERSON else "Open"
        words = {name: f"{of} {name}" for name in sealed_fields(event)}
        found.append((stream, msgspec.structs.replace(fact, **words)))
    place = {name: n for n, name in enumerate(FIRST)}
    return sorted(found, key=lambda each: place.get(kind(each[1]), len(place)))


def write(ledger: Ledger, facts: list[tuple[UUID, Event]]) -> None:
    versions: dict[UUID, int] = {}
    for stream, _ in facts:
        versions.setdefault(stream, len(ledger.store.load([stream])[0]))
    entries = []
    for stream, event in facts:
        versions[stream] += 1
        entries.append(
            Entry(
                originator_id=stream,
                originator_version=versions[stream],
                originator_topic=kind(event).partition(".")[0] if versions[stream] == 1 else "",
                timestamp=NOON,
                by=Actor(ANA),
                event=event,
            )
        )
    keys = ledger.store.data_keys(versions)
    rows, fresh = ledger.store.sealed(entries, keys)
    claims = list({claim.key: claim for claim in ledger.store.claims_of(entries)}.values())
    ledger.store.append(rows, Append(data_keys=fresh, claims=claims))


def told(dump: Dump, word: str) -> set[str]:
    return {table for table, rows in dump.items() if word.lower().encode() in rows.lower()}


def test_of_every_fact_nothing_is_left_in_any_table(
    ledger: Ledger, databases: Callable[..., str], database: str, owner_database: str
) -> None:
    facts = golden()
    write(ledger, facts)
    with (
        connect(database) as conn,
    ):
        together = Together(ALL, reading(ledger), conn)
        together.catch_up()
        before = dump(conn, ALL)
        assert len(told(before, "Secret")) > 15, "this test can fail"

        write(ledger, [(PERSON, erased())])
        together.catch_up()
        after = dump(conn, ALL)

    assert told(after, "Secret") == set()
    assert told(after, "Open") == told(before, "Open")
    for batch in (1, 5000):
        assert driven(databases(), ALL, reading(ledger), batch=batch) == after
    with psycopg.connect(owner_database) as conn:
        [[scopes]] = conn.execute(
            "SELECT array_agg(DISTINCT scope ORDER BY scope) FROM ledger.reservations"
            " WHERE stream_id = %s", (PERSON,),
        ).fetchall()  # fmt: skip
    assert scopes == ["document", "follow_up", "interview", "offer", "referral"]
    assert ledger.store.data_keys([PERSON]) == {PERSON: None}


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=stories, after=stories)
def test_after_any_story_the_tables_are_as_they_are_when_built_anew(
    databases: Callable[..., str], before: list[Command], after: list[Command]
) -> None:
    """Whatever was known of them when they were erased, and whatever goes on."""
    url = databases()
    with (
        Ledger(url, KEYRING) as ledger,
        connect(url) as conn,
    ):
        together = Together(ALL, reading(ledger), conn)

        def catch_up() -> None:
            together.catch_up()

        async def live() -> None:
            await tell(ledger, before, after_each=catch_up, begin=a_full_story)
            for person in PEOPLE[:2]:
                await tell(ledger, [erasing(person)], after_each=catch_up, begin=None)
            await tell(ledger, after, after_each=catch_up, begin=None)

        asyncio.run(live())
        assert driven(databases(), ALL, reading(ledger), batch=500) == dump(conn, ALL)


BOOKS = ("fee_", "instalment", "invoice", "commission", "funnel", "placement", "introduction")


def test_the_books_do_not_move(ledger: Ledger, database: str) -> None:
    """Fees, instalments, invoices, commissions, placements and the funnel, row by row."""
    asyncio.run(a_full_story(ledger))
    with (
        connect(database) as conn,
    ):
        together = Together(ALL, reading(ledger), conn)
        together.catch_up()
        before = dump(conn, ALL)
        for person in PEOPLE:
            asyncio.run(ledger.decide(erasing(person), intent=Intent(by=ANA)))
        together.catch_up()
        after = dump(conn, ALL)

    books = {table for table in before if table.startswith(BOOKS) and table != "placement_field"}
    assert len(books) >= len(BOOKS)
    assert {table for table in books if before[table] != after[table]} == set()
