"""The database refuses what the software never should do, and positions are 1, 2, 3, … always."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from builders import added, note, point, replied, sourced
from ledger_crm.domain import EVENTS
from ledger_crm.domain.company import Company
from ledger_crm.domain.person import Person, PersonSourced
from ledger_crm.store import (
    Append,
    Claim,
    DoesNotFit,
    Kept,
    NoRoom,
    NulInText,
    Refused,
    RefusedBy,
    Save,
    Store,
    Undecodable,
    install,
    refused_by,
)
from scenario import COMPANY, KEYRING, PERSON, entries
from waiting import PATIENCE_S


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    store = Store(database, KEYRING, connections=16)
    yield store
    store.close()


@pytest.fixture(params=["owner", "application"])
def conn(
    request: pytest.FixtureRequest, database: str, owner_database: str, store: Store
) -> Iterator[psycopg.Connection[Any]]:
    """To a ledger of three entries and a receipt, as its owner and as the application."""
    write(store, 3, Append(receipts=[Kept(b"key", b"fingerprint", uuid4(), 3, 3)]))
    with psycopg.connect(owner_database if request.param == "owner" else database) as conn:
        yield conn


def row(version: int = 1, stream: UUID | None = None) -> StoredEvent:
    return StoredEvent(stream or uuid4(), version, "topic", b"state")


def write(store: Store, count: int, append: Append | None = None) -> list[int]:
    return list(store.append([row() for _ in range(count)], append or Append()))


def positions(store: Store) -> list[int]:
    return [
        row.id
        for after in range(0, store.head(), 1000)
        for row in store.rows(after=after, limit=1000)
    ]


INSERT = """INSERT INTO ledger.entries
    (originator_id, originator_version, topic, state, notification_id)
    SELECT gen_random_uuid(), 1, 'topic', '', at FROM unnest(%s::bigint[]) at"""


@pytest.mark.parametrize(
    ("head", "at"),
    [
        pytest.param(0, [4], id="beyond the head"),
        pytest.param(2, [5], id="a hole before it"),
        pytest.param(2, [4], id="short of the head"),
        pytest.param(3, [4, 6], id="two rows with a hole between"),
        pytest.param(2, [4, 6], id="two rows, one beyond the head"),
        pytest.param(3, [5, 6], id="two rows with a hole before"),
        pytest.param(2, [3, 5], id="a position that is taken"),
        pytest.param(1, [4, 4], id="a position twice"),
        pytest.param(1, [0, 4], id="position nought"),
        pytest.param(0, [-1], id="a negative position"),
    ],
)
def test_a_row_that_does_not_continue_the_ledger_is_refused(
    conn: psycopg.Connection[Any], head: int, at: list[int]
) -> None:
    conn.execute("UPDATE ledger.head SET position = position + %s", (head,))
    with pytest.raises(psycopg.errors.IntegrityError):
        conn.execute(INSERT, (at,))


def test_the_next_rows_by_hand_are_taken(conn: psycopg.Connection[Any]) -> None:
    """The counterpart: it is the hole that is refused, and not the hand."""
    conn.execute("UPDATE ledger.head SET position = position + 2")
    conn.execute(INSERT, ([4, 5],))
    conn.commit()


@pytest.mark.parametrize("by", [1, 1000])
def test_the_head_does_not_move_without_an_entry(
    conn: psycopg.Connection[Any], store: Store, by: int
) -> None:
    conn.execute("UPDATE ledger.head SET position = position + %s", (by,))
    with pytest.raises(psycopg.errors.IntegrityError, match="the newest entry at 3"):
        conn.commit()
    assert write(store, 1) == [4]


def test_the_head_does_not_go_back(conn: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.IntegrityError, match="does not go back from 3 to 2"):
        conn.execute("UPDATE ledger.head SET position = position - 1")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.entries SET topic = 'another'",
        "UPDATE ledger.entries SET state = state WHERE false",
        "DELETE FROM ledger.entries",
        "DELETE FROM ledger.entries WHERE notification_id = 3",
        "TRUNCATE ledger.entries",
        "MERGE INTO ledger.entries e USING ledger.head ON true WHEN MATCHED THEN DELETE",
        "INSERT INTO ledger.entries SELECT * FROM ledger.entries"
        " ON CONFLICT (originator_id, originator_version) DO UPDATE SET topic = 'another'",
        "INSERT INTO ledger.head (position) VALUES (7)",
        "UPDATE ledger.head SET one = false",
        "DELETE FROM ledger.head",
        "TRUNCATE ledger.head",
        "UPDATE ledger.receipts SET position = 1",
        "DELETE FROM ledger.receipts",
        "TRUNCATE ledger.receipts",
        "TRUNCATE ledger.entries, ledger.head, ledger.receipts CASCADE",
    ],
)
def test_what_is_written_stays(conn: psycopg.Connection[Any], store: Store, statement: str) -> None:
    with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.InsufficientPrivilege)):
        conn.execute(statement)
    conn.rollback()
    assert positions(store) == [1, 2, 3]
    assert set(store.receipts([b"key"])) == {b"key"}


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE ledger.entries DISABLE TRIGGER ALL",
        "DROP TRIGGER append_only ON ledger.entries",
        "DROP TABLE ledger.entries",
        "SET session_replication_role = replica",
        "CREATE TABLE ledger.mine ()",
        "DROP SCHEMA ledger CASCADE",
    ],
)
def test_the_application_cannot_take_the_rules_away(database: str, statement: str) -> None:
    with psycopg.connect(database) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement)


def test_a_rolled_back_append_takes_its_positions_back(store: Store, database: str) -> None:
    assert write(store, 2) == [1, 2]
    with psycopg.connect(database) as conn:
        conn.execute("UPDATE ledger.head SET position = position + 5")
        conn.execute(INSERT, ([3, 4, 5, 6, 7],))
        conn.rollback()
    assert write(store, 2) == [3, 4]
    assert positions(store) == [1, 2, 3, 4]


def test_a_conflict_leaves_no_hole_and_no_receipt(store: Store) -> None:
    stream = uuid4()
    store.append([row(1, stream)], Append())
    receipt = Kept(b"key", b"", stream, 2, 2)
    with pytest.raises(Refused) as refused:
        store.append([row(), row(1, stream)], Append(receipts=[receipt]))
    assert refused_by(refused.value) == "entries_pkey"
    assert store.receipts([b"key"]) == {}
    assert write(store, 1) == [2]


def test_the_same_rows_again_are_told_their_first_positions(store: Store) -> None:
    """What a retry after a cut connection does; nothing is written twice."""
    rows = [row(), row()]
    assert list(store.append(rows, Append())) == [1, 2]
    assert list(store.append(rows, Append())) == [1, 2]
    assert positions(store) == [1, 2]


def test_each_save_of_a_call_is_judged_for_itself(store: Store) -> None:
    """By every rule there is, between good ones; and the good ones stand where they say."""
    ours, theirs, sealed_before, erased = uuid4(), uuid4(), uuid4(), uuid4()
    taken = Append(
        claims=[Claim(b"address", "email", theirs), Claim(b"message", "once", theirs)],
        receipts=[Kept(b"key", b"f", theirs, 1, 1)],
        data_keys={sealed_before: b"wrapped"},
    )
    store.append([row(1, ours), row(1, theirs)], taken)
    store.destroy_key(erased)
    refused = {
        "receipts_pkey": Save([row()], Append(receipts=[Kept(b"key", b"g", uuid4(), 1, 1)])),
        "stream_moved": Save([row()], Append(rests_on={theirs: 0})),
        "key_destroyed": Save([row()], Append(opened=[sealed_before, erased])),
        "entries_pkey": Save([row(), row(1, ours)]),
        "data_keys_pkey": Save([row()], Append(data_keys={sealed_before: b"another"})),
        "reservation_taken": Save([row()], Append(claims=[Claim(b"address", "email", ours)])),
    }
    once = Save([row()], Append(claims=[Claim(b"message", "once", theirs)]))
    one, two, three = uuid4(), uuid4(), uuid4()
    good = [
        Save([row(1, one), row(2, one)], Append(receipts=[Kept(b"one", b"f", one, 2, 2)])),
        Save(
            [row(1, two)],
            Append(rests_on={theirs: 1}, opened=[sealed_before], data_keys={two: b"w"}),
        ),
        Save([], Append(receipts=[Kept(b"two", b"f", two, 1, 0)])),
        Save(
            [row(1, three)],
            Append(
                claims=[Claim(b"free", "email", three)],
                receipts=[Kept(b"three", b"f", three, 1, 1)],
            ),
        ),
    ]
    bad = list(refused.values())
    answers = store.append_together(
        [bad[0], good[0], *bad[1:4], good[1], bad[4], good[2], bad[5], once, good[3]]
    )
    assert [
        answer.rule if isinstance(answer, RefusedBy) else list(answer)  # type: ignore[arg-type]
        for answer in answers
    ] == [
        "receipts_pkey", [3, 4], "stream_moved", "key_destroyed", "entries_pkey", [5],
        "data_keys_pkey", [], "reservation_taken", "reservation_taken", [6],
    ]  # fmt: skip
    assert positions(store) == [1, 2, 3, 4, 5, 6]
    kept = store.receipts([b"one", b"two", b"three", b"key"])
    assert {key: at for key, (*_, at) in kept.items()} == {
        b"one": 4, b"two": None, b"three": 6, b"key": 1,
    }  # fmt: skip
    assert store.holders([Claim(b"free", "email", three)]) == {b"free": three}


def test_what_is_given_up_may_be_taken_by_the_same_save_and_not_before(store: Store) -> None:
    """And only its holder gives it up; a refused save gives up nothing."""
    old, new = uuid4(), uuid4()
    held, wanted = Claim(b"address", "email", old), Claim(b"address", "email", new)
    store.append([row(1, old)], Append(claims=[held]))
    not_theirs = Append(claims=[wanted], releases=[wanted])
    refused = Append(releases=[held], rests_on={old: 0})
    answers = store.append_together([Save([row()], not_theirs), Save([row()], refused)])
    assert [refused_by(a) for a in answers if isinstance(a, Refused)] == [
        "reservation_taken", "stream_moved"
    ]  # fmt: skip
    assert store.holders([held]) == {b"address": old}
    store.append([row(1, new), row(2, old)], Append(claims=[wanted], releases=[held]))
    assert store.holders([held]) == {b"address": new}


def test_what_breaks_a_rule_of_the_indexes_takes_nobody_along(store: Store) -> None:
    """The judging cannot see everything: a stream that comes to the same version twice."""
    stream = uuid4()
    good, bad = Save([row()]), Save([row(1, stream), row(1, stream)])
    first, refusal, last = store.append_together([good, bad, Save([row()])])
    assert isinstance(refusal, Refused)
    assert (refused_by(refusal), list(first), list(last)) == ("entries_pkey", [1], [2])  # type: ignore[call-overload]


def test_who_finds_no_room_after_others_were_written_is_told_so_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, calls, insert = uuid4(), iter(range(9)), store.recorder.insert_together

    def until_it_is_full(saves: Sequence[Save]) -> Any:
        if next(calls) == 3:  # after all together, the first, and the one to blame
            raise NoRoom()
        return insert(saves)

    monkeypatch.setattr(store.recorder, "insert_together", until_it_is_full)
    answers = store.append_together([Save([row()]), Save([row(1, stream)] * 2), Save([row()])])
    assert answers[0] == range(1, 2)
    assert [type(answer) for answer in answers[1:]] == [Refused, NoRoom]


def test_what_follows_nothing_of_its_stream_is_refused(store: Store) -> None:
    stream = uuid4()
    saves = [Save([row()]), Save([row(1, stream), row(3, stream)]), Save([row(2)])]
    [first, torn, orphan] = store.append_together(saves)
    assert list(first) == [1]  # type: ignore[call-overload]
    for refusal in (torn, orphan):
        assert isinstance(refusal, Refused)
        assert refused_by(refusal) == "stream_torn"
    assert list(store.append([row(1, stream), row(2, stream)], Append())) == [2, 3]


def test_two_who_want_the_same_reservation_in_one_call_are_not_both_told_yes(store: Store) -> None:
    """The caller keeps them apart; if it ever does not, nothing untrue is written."""
    wants = [Save([row()], Append(claims=[Claim(b"k", "email", uuid4())])) for _ in range(2)]
    answers = store.append_together([wants[0], Save([row()]), wants[1]])
    assert [isinstance(answer, Refused) for answer in answers] == [True, False, True]
    assert store.head() == 1


def test_after_a_doubt_the_same_bytes_are_told_where_they_are(store: Store) -> None:
    """And other bytes in their place are refused: they are somebody else's."""
    mine, theirs = row(), row()
    store.append([mine], Append())
    store.append([theirs], Append())
    again = Save([mine], doubtful=True)
    overtaken = Save([StoredEvent(theirs.originator_id, 1, "topic", b"other")], doubtful=True)
    answers = store.append_together([overtaken, again, Save([mine])])
    assert [isinstance(answer, Refused) for answer in answers] == [True, False, True]
    assert answers[1] == range(1, 2)


def test_appends_that_began_on_an_empty_ledger_never_read_a_whole_table(
    database: str, owner_database: str
) -> None:
    """Plans are made once a connection, and the first is made when there is nothing to read."""
    scans = (
        "SELECT sum(seq_scan)::int FROM pg_stat_user_tables WHERE schemaname = 'ledger'"
        " AND relname IN ('entries', 'receipts', 'reservations', 'data_keys')"
    )

    def wish(n: int) -> Save:
        stream, key = uuid4(), n.to_bytes(4, "big")
        return Save(
            [row(1, stream), row(2, stream)],
            Append(
                claims=[Claim(key, "email", stream)],
                receipts=[Kept(key, b"f", stream, 1, 1)],
                data_keys={stream: b"wrapped"},
                rests_on={uuid4(): 1},
                opened=[uuid4()],
            ),
        )

    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute("SELECT pg_stat_reset()")
        store = Store(database, KEYRING, connections=2)
        for n in range(20):
            store.append_together([wish(20 * n + m) for m in range(20)])
            store.append_together([wish(20 * n)])  # refused
        store.close()
        assert owner.execute(scans).fetchone() == (0,)


WRITER = """
import sys
from uuid import uuid4
from eventsourcing.persistence import StoredEvent
from ledger_crm.sealing import Keyring
from ledger_crm.store import Append, Store

store = Store(sys.argv[1], Keyring(bytes(32)), connections=2)
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[2])):
    id = uuid4()
    store.append([StoredEvent(id, v, "topic", b"") for v in range(1, n % 3 + 2)], Append())
store.close()
"""


def test_many_writers_leave_no_hole_and_no_reader_ever_sees_one(
    store: Store, database: str
) -> None:
    """Threads here, two more processes, and writers who lose every race and roll back."""
    taken = row()
    store.append([taken], Append())
    stop, seen = threading.Event(), [0]

    def read() -> None:
        """As a projection does: on from where it was, and every page continues the one before."""
        while not stop.is_set() or seen[-1] < store.head():
            for found in store.rows(after=seen[-1], limit=50):
                assert found.id == seen[-1] + 1, "a hole was seen"
                seen.append(found.id)

    def contribute(writes: int) -> None:
        for n in range(writes):
            write(store, n % 4 + 1)
            with pytest.raises(Refused):
                store.append([row(), row(1, taken.originator_id)], Append())

    others = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, database, "60"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for other in others:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
        with ThreadPoolExecutor(9) as pool:
            reader = pool.submit(read)
            writers = [pool.submit(contribute, 20) for _ in range(8)]
            try:
                for other in others:
                    other.communicate("go\n", timeout=PATIENCE_S)
                    assert other.returncode == 0
                for writer in writers:
                    writer.result()
            finally:
                stop.set()  # else the pool waits for a reader who waits for us
            reader.result()
    finally:
        for other in others:
            other.kill()
            other.wait()
    total = 1 + 8 * 5 * (1 + 2 + 3 + 4) + 2 * 20 * (1 + 2 + 3)
    assert seen == list(range(total + 1))
    assert positions(store) == seen[1:]


def test_writers_do_not_wait_for_an_open_analyze(store: Store, owner_database: str) -> None:
    """The library's own table lock would queue behind it, and all writers behind that."""
    with psycopg.connect(owner_database) as conn:
        conn.execute("ANALYZE ledger.entries")
        assert write(store, 1) == [1]


def test_an_unknown_topic_stops_the_reader_with_position_and_topic(store: Store) -> None:
    store.append([row()], Append())
    with pytest.raises(Undecodable, match=r"^entry at position 1 with topic topic cannot be read"):
        store.entries(after=0, limit=10)


@pytest.mark.parametrize(
    "state",
    [
        b"secret, and no JSON",
        b'{"secret": 1}',
        b'{"timestamp":"2026-03-02T12:00:00Z","by":"x","event":{"kind":"company.added"}}',
        b'{"timestamp":"2026-03-02T12:00:00Z","by":"x","event":{"kind":"secret","name":"secret"}}',
        b'{"timestamp":"2026-03-02T12:00:00Z","by":"x",'
        b'"event":{"kind":"company.added","name":"secret","secret":"secret"}}',
        b'{"timestamp":"secret","by":"x","event":{"kind":"company.added","name":"secret"}}',
        b'{"timestamp":"2026-03-02T12:00:00Z","by":"x","event":{"kind":"company.added"},'
        b'"sealed":{"name":"secret"}}',
    ],
)
def test_an_undecodable_row_stops_the_reader_and_shows_nothing_of_itself(
    store: Store, database: str, state: bytes
) -> None:
    store.append([StoredEvent(COMPANY, 1, "company.added", state)], Append())
    with psycopg.connect(database) as conn:
        wrapped, _ = KEYRING.fresh()
        conn.execute("INSERT INTO ledger.data_keys VALUES (%s, %s)", (COMPANY, wrapped))
    for read in (lambda: store.entries(after=0, limit=10), lambda: store.load([COMPANY])):
        with pytest.raises(Undecodable) as stopped:
            read()
        assert "topic company.added" in str(stopped.value)
        assert "secret" not in str(stopped.value)
        assert stopped.value.__cause__ is None
        assert stopped.value.__suppress_context__
    with pytest.raises(Undecodable, match="position 1 "):
        store.entries(after=0, limit=10)


def test_what_could_not_be_read_again_is_not_written(store: Store) -> None:
    bad = msgspec.structs.replace(added(), name="")
    with pytest.raises(DoesNotFit, match="name"):
        store.sealed(entries(Company, bad, id=COMPANY), {})


@pytest.mark.parametrize(
    "fact", [sourced(name="A\x00da"), note("\x00"), replied(text="a \\u0000 \x00")]
)
def test_text_with_a_nul_is_refused(store: Store, fact: Any) -> None:
    with pytest.raises(NulInText):
        store.sealed(entries(Person, fact), {})


def test_text_that_only_looks_like_a_nul_is_kept(store: Store) -> None:
    rows, _ = store.sealed(entries(Person, sourced(name="A\\u0000da")), {})
    assert len(rows) == 1


def test_an_older_shape_is_brought_up_before_it_is_decoded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both a clear field and, since they are open by then, a sealed one."""

    class PersonFound(
        PersonSourced, frozen=True, kw_only=True, tag="person.sourced", forbid_unknown_fields=True
    ):
        region: str

        @classmethod
        def upcast(cls, document: dict[str, Any]) -> dict[str, Any]:
            return {"region": document["address"].rpartition(", ")[2], **document}

    rows, fresh = store.sealed(entries(Person, sourced(address="St James, London")), {})
    store.append(rows, Append(data_keys=fresh))
    monkeypatch.setitem(EVENTS, "person.sourced", PersonFound)
    monkeypatch.setattr("ledger_crm.store._upcast", {"person.sourced"})
    [entry] = store.entries(after=0, limit=10)
    assert isinstance(entry.event, PersonFound)
    assert entry.event.region == "London"
    assert entry.event.name == "Ada Byron"


def test_streams_are_loaded_together_and_in_order(store: Store) -> None:
    person = entries(Person, sourced(), point(), replied())
    company = entries(Company, added(), id=COMPANY)
    rows, fresh = store.sealed([person[0], company[0], *person[1:]], {})
    store.append(rows, Append(data_keys=fresh))
    found, keys = store.load([PERSON, COMPANY])
    assert found == [*person, *company]
    assert set(keys) == {PERSON}
    one, _ = store.load([PERSON])
    assert one == person
    assert store.load([uuid4()]) == ([], {})
    assert [entry.position for entry in store.entries(after=1, limit=2)] == [2, 3]


def test_entries_come_back_as_they_were_written(store: Store) -> None:
    written = entries(Person, sourced(), point(), replied())
    rows, fresh = store.sealed(written, {})
    store.append(rows, Append(data_keys=fresh))
    read = store.entries(after=0, limit=10)
    assert [msgspec.structs.replace(entry, position=0) for entry in read] == written


def test_a_key_is_destroyed_between_two_saves_and_not_during_one(
    store: Store, owner_database: str
) -> None:
    """A save that saw the key alive must not come after who destroyed it was told so."""
    stream = uuid4()
    store.append([row(1, stream)], Append(data_keys={stream: b"wrapped"}))
    with psycopg.connect(owner_database) as saving, ThreadPoolExecutor(1) as thread:
        saving.execute("SELECT FROM ledger.head FOR UPDATE")
        destroying = thread.submit(store.destroy_key, stream)
        with pytest.raises(TimeoutError):
            destroying.result(0.3)
        saving.rollback()
        destroying.result(PATIENCE_S)
    assert store.data_keys([stream]) == {stream: None}


def test_a_ledger_that_has_later_parts_of_the_schema_gets_an_earlier_one(
    owner_database: str, database: str
) -> None:
    """0003 was there before 0002 was written."""
    with psycopg.connect(owner_database) as conn:
        conn.execute("DELETE FROM public.ledger_crm_schema WHERE name = '0002_append.sql'")
        [(name,)] = conn.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE oid::regproc::text = 'ledger.append'"
        )
        conn.execute(f"DROP FUNCTION {name}")  # type: ignore[arg-type]
        conn.execute(ONCE_THERE)
    assert install(owner_database) == ["0002_append.sql"]
    store = Store(database, KEYRING, connections=2)
    assert write(store, 2) == [1, 2]
    store.close()


ONCE_THERE = """
CREATE FUNCTION ledger.must_stand_at(uuid[], bigint[]) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION ledger.reserve(bytea[], text[], uuid[], boolean[]) RETURNS void LANGUAGE sql AS '';
"""


def test_installing_twice_changes_nothing(owner_database: str) -> None:
    assert install(owner_database) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE public.ledger_crm_schema SET sha256 = 'x'", "0001.* another content"),
        ("INSERT INTO public.ledger_crm_schema VALUES ('9999_new.sql', 'x')", "newer than this"),
    ],
)
def test_a_schema_that_is_not_ours_is_refused(
    owner_database: str, change: str, message: str
) -> None:
    with psycopg.connect(owner_database) as conn:
        conn.execute(change)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=message):
        install(owner_database)


def test_the_companys_name_is_no_secret(store: Store) -> None:
    """Facts about companies stay clear: only what is about a person is sealed."""
    rows, fresh = store.sealed(entries(Company, added(), id=COMPANY), {})
    assert not fresh
    assert b"Analytical Engines" in rows[0].state


def test_two_that_come_first_at_once_agree_on_the_key(
    store: Store, database: str, owner_database: str
) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    ours = KEYRING.hash_of("deployment", "check")
    with psycopg.connect(database) as other, ThreadPoolExecutor(1) as thread:
        other.execute("INSERT INTO ledger.deployment (key_check) VALUES (%s)", (ours,))
        checking = thread.submit(store.check_key)
        with psycopg.connect(owner_database, autocommit=True) as owner:
            began = monotonic()
            while owner.execute(waiting).fetchone() == (0,):
                assert monotonic() - began < PATIENCE_S
        other.commit()
        checking.result(PATIENCE_S)


def test_of_a_callers_key_nothing_is_kept_that_can_be_guessed(
    store: Store, owner_database: str
) -> None:
    """It may be made of an address, and receipts cannot be erased."""
    guess = hashlib.sha256(b"system:import ada@example.org").digest()
    write(store, 1, Append(receipts=[Kept(guess, b"f", uuid4(), 1, 1)]))
    with psycopg.connect(owner_database) as owner:
        [(kept,)] = owner.execute("SELECT key FROM ledger.receipts").fetchall()
    assert kept != guess
    assert store.receipts([guess])[guess][0] == b"f"
