"""Long streams are read from where they were folded to; and what becomes of that never matters."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from builders import added, note, order_opened, sourced
from ledger_crm import ledger as module
from ledger_crm import snapshot
from ledger_crm.commands import intake
from ledger_crm.commands.intake import Reachable
from ledger_crm.domain.company import Company
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Intent, Ledger, Receipt, Work
from scenario import ANA, KEYRING

pytestmark = pytest.mark.anyio

LONG = 20
BY_ANA = Intent(by=ANA)
EMAIL = "ada@example.org"


@pytest.fixture(autouse=True)
def _short_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOT_AFTER", LONG)


@pytest.fixture
def ada(database: str) -> UUID:
    """With an address and many notes, in a house where nobody has read of her yet."""

    async def come(work: Work) -> Person:
        person = await intake.source_person(work, fact=sourced(), reachable=Reachable(email=EMAIL))
        for n in range(LONG):
            person.record(note(f"note {n}"), by=ANA)
        return person

    with Ledger(database, KEYRING) as ledger:
        return asyncio.run(ledger.decide(come, intent=BY_ANA)).id


def written(database: str, id: UUID, text: str) -> tuple[Receipt, int]:
    """A note, by a process that has just begun; and how many entries it had to read."""
    with Ledger(database, KEYRING) as ledger:
        store, read = ledger.store, []
        opened = store._opened

        def counted(rows: Any, *rest: Any) -> Any:
            read.append(len(rows))
            return opened(rows, *rest)

        store._opened = counted  # type: ignore[method-assign]

        async def command() -> Receipt:
            return await ledger.change(
                Person, id, lambda p: p.record(note(text), by=ANA), intent=BY_ANA
            )

        return asyncio.run(command()), sum(read)


def points(database: str, id: UUID) -> str:
    async def looked() -> str:
        return str((await ledger.get(Person, id)).points)

    with Ledger(database, KEYRING) as ledger:
        return asyncio.run(looked())


def rows(database: str, sql: str = "SELECT stream_id, version FROM ledger.snapshots") -> list[Any]:
    with psycopg.connect(database) as conn:
        return conn.execute(sql).fetchall()


def done(database: str, sql: str, *values: Any) -> None:
    with psycopg.connect(database) as conn:
        assert conn.execute(sql, values).rowcount == 1


def test_only_the_first_to_come_reads_a_long_stream(database: str, ada: UUID) -> None:
    length = LONG + 2
    assert rows(database) == []
    first, second = (written(database, ada, text) for text in ("first", "second"))
    assert rows(database) == [(ada, length)]
    assert (first[1], second[1]) == (length, 1)
    assert second[0] == Receipt(ada, length + 2, length + 2)
    assert EMAIL in points(database, ada)
    for n in range(LONG):
        written(database, ada, f"more {n}")
    assert rows(database) == [(ada, length + LONG)], "and again when as much was added"


def test_a_short_stream_is_read_and_no_more_said_of_it(database: str) -> None:
    async def come(work: Work) -> Person:
        return work.add(Person.source(sourced(), by=ANA))

    with Ledger(database, KEYRING) as ledger:
        id = asyncio.run(ledger.decide(come, intent=BY_ANA)).id
    written(database, id, "first")
    assert rows(database) == []


@pytest.mark.parametrize(
    "damage",
    [
        "SET state = overlay(state PLACING '\\x00' FROM 40)",
        "SET state = '\\x'",
        "SET version = version - 1",
        "SET program = '\\x00'",
        "SET stream_id = gen_random_uuid()",
    ],
)
def test_one_that_is_no_good_is_as_none(database: str, ada: UUID, damage: str) -> None:
    written(database, ada, "first")
    done(database, f"UPDATE ledger.snapshots {damage}")
    receipt, read = written(database, ada, "second")
    assert receipt.version == LONG + 4
    assert read == LONG + 3
    assert EMAIL in points(database, ada)
    assert (ada, LONG + 3) in rows(database), "and a good one takes its place"


def test_another_program_folds_for_itself(
    database: str, ada: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(database, ada, "first")
    monkeypatch.setattr("ledger_crm.store.PROGRAM", b"another")
    assert written(database, ada, "second")[1] == LONG + 3


def test_who_asks_for_a_whole_stream_gets_it(database: str, ada: UUID) -> None:
    """Also together with those who are content with less; and these get no more for it."""
    written(database, ada, "first")
    streams: list[dict[UUID, int]] = [{ada: module.SNAPSHOT}, {ada: 0}, {ada: 3}, {ada: LONG + 3}]
    with Ledger(database, KEYRING) as ledger:
        for order in permutations(streams):
            found: list[Any] = ledger.store.load_together(order)
            read = {each[ada]: len(one.entries) for each, one in zip(order, found, strict=True)}
            assert read == {module.SNAPSHOT: 1, 0: LONG + 3, 3: LONG, LONG + 3: 0}
            with_it = [each[ada] for each, one in zip(order, found, strict=True) if one.folded]
            assert with_it == [module.SNAPSHOT]


def test_beside_a_tail_that_is_shorter_a_snapshot_is_still_used(database: str, ada: UUID) -> None:
    written(database, ada, "first")
    with Ledger(database, KEYRING) as ledger:
        store, read = ledger.store, []
        opened = store._select

        def counted(*asked: Any) -> Any:
            found = opened(*asked)
            read.append(len(found))
            return found

        store._select = counted  # type: ignore[method-assign]
        store.load_together([{ada: LONG + 2}, {ada: module.SNAPSHOT}])
    assert read == [3], "an entry, the key and the snapshot"


async def test_one_that_cannot_be_made_is_no_loss(
    database: str, ada: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> bytes:
        raise RecursionError

    with Ledger(database, KEYRING) as ledger:
        monkeypatch.setattr(ledger.store, "frozen", fails)
        receipt = await ledger.change(
            Person, ada, lambda p: p.record(note(), by=ANA), intent=BY_ANA
        )
    assert receipt.version == LONG + 3


def test_an_older_one_or_one_of_who_is_erased_is_not_kept(database: str, ada: UUID) -> None:
    with Ledger(database, KEYRING) as ledger:
        for version in (50, 5):
            ledger.store.keep_snapshot(ada, version, b"x")
        assert rows(database) == [(ada, 50)]
        ledger.store.destroy_key(ada)
        ledger.store.keep_snapshot(ada, 60, b"x")
    assert rows(database) == []


def test_two_who_ask_at_once_get_one_each(database: str, ada: UUID) -> None:
    """Of what they decide on, or one would see what the other has not written."""
    written(database, ada, "first")
    with Ledger(database, KEYRING) as ledger:
        one, two = ledger.store.load_together([{ada: module.SNAPSHOT}] * 2)
    assert one.folded[ada] is not two.folded[ada]  # type: ignore[union-attr]
    assert vars(one.folded[ada]) == vars(two.folded[ada])  # type: ignore[union-attr]


def test_of_who_is_erased_there_is_none(database: str, ada: UUID) -> None:
    written(database, ada, "first")
    kept = rows(database, "SELECT stream_id, version, program, state FROM ledger.snapshots")[0]
    with Ledger(database, KEYRING) as ledger:
        asyncio.run(ledger.destroy_key(ada))
    assert rows(database) == []
    sql = "INSERT INTO ledger.snapshots (stream_id, version, program, state) VALUES (%s,%s,%s,%s)"
    done(database, sql, *kept)  # by somebody who is late, or from a copy
    assert EMAIL not in points(database, ada)


def test_nothing_personal_can_be_read_in_it(database: str, ada: UUID) -> None:
    written(database, ada, "first")
    [(state,)] = rows(database, "SELECT state FROM ledger.snapshots")
    assert b"ada" not in state.lower()
    assert b"person" not in state


def test_a_company_that_sealed_nothing_has_one_too(database: str) -> None:
    async def come(work: Work) -> Company:
        company = work.add(Company.add(added(), by=ANA))
        for _ in range(LONG):
            company.open_job_order(order_opened(job_order_id=uuid4()), by=ANA)
        return company

    with Ledger(database, KEYRING) as ledger:
        id = asyncio.run(ledger.decide(come, intent=BY_ANA)).id
    for _ in range(2):
        with Ledger(database, KEYRING) as ledger:
            assert len(asyncio.run(ledger.get(Company, id)).job_orders) == LONG
    assert rows(database) == [(id, LONG + 1)]


def test_it_opens_only_where_it_was_made() -> None:
    key = AESGCM(b"k" * 32)
    person = Person.source(sourced(), by=ANA)
    person.collect_events()
    sealed = snapshot.frozen(person, key)
    assert snapshot.thawed(sealed, key, stream=person.id, version=1).version == 1
    for other in (
        {"key": AESGCM(b"l" * 32)}, {"stream": uuid4()}, {"version": 2}, {"sealed": sealed[:-1]},
    ):  # fmt: skip
        right: dict[str, Any] = {"sealed": sealed, "key": key, "stream": person.id, "version": 1}
        with pytest.raises(ValueError, match="does not belong here"):
            snapshot.thawed(**right | other)
