"""An analyst's own fold over the ledger: any slice, any number of processes, the same answer."""

from __future__ import annotations

import asyncio
import csv
import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest

from builders import note, sourced
from conftest import Run
from ledger_crm import projections
from ledger_crm.analysis import AnalysisFault
from ledger_crm.analysis.folding import Tables
from ledger_crm.analysis.replaying import Fold, Replayed, replay
from ledger_crm.analysis.tables import Format, as_csv, found_in
from ledger_crm.cli.analysing import write
from ledger_crm.commands import demo
from ledger_crm.domain import clock
from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.entry import CLOCKS_DIFFER, UNOPENED
from ledger_crm.domain.equal_opportunity import EqualOpportunityForm
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Intent, Ledger, Work
from ledger_crm.projections import Projection, accounts, every, funnel
from ledger_crm.sealing import WrongKey
from ledger_crm.slices import Slice, Slices
from ledger_crm.workers.projector import connect
from projections.driving import driven, reading, stored
from scenario import ANA, KEYRING

pytestmark = pytest.mark.xdist_group("analysis")

EXAMPLES = Path(__file__).parents[2] / "docs" / "analysis"
NAMES = ("first_reply", "pipeline_velocity", "client_retention")
PLAIN = ("fairness",)  # PARALLEL too, and joined by itself
KEY = b"k" * 32

COUNT = """
def fold(state, entry):
    state[entry.originator_id] = state.get(entry.originator_id, 0) + 1
"""


def example(name: str) -> Fold:
    return Fold(EXAMPLES / f"{name}.py")


def written(folder: Path, text: str, name: str = "mine.py") -> Path:
    (folder / name).write_text(text)
    return folder / name


class Given:
    """Rows of the only table, as if they were replayed."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def listed(self) -> dict[str, list[Any]]:
        return {"client_quarter": self.rows}


def head_of(url: str) -> int:
    with Slices(url) as slices:
        return slices.head()


# the worked examples


def test_velocity_is_what_the_funnel_says(database: str) -> None:
    fold = example("pipeline_velocity")
    found = {line["category"]: line for line in fold.result(replay(fold, database, Slice()).state)}

    async def asked() -> list[funnel.FunnelLine]:
        import psycopg

        async with (
            await psycopg.AsyncConnection.connect(database, options="-c search_path=read") as conn,
            conn.cursor() as cur,
        ):
            return await funnel.report(cur, since=date(2000, 1, 1), until=date(2100, 1, 1))

    lines = asyncio.run(asked())
    assert len(lines) > 10
    assert {line.category: (line.entered, line.median_days) for line in lines} == {
        name: (line["candidacies"], line["median_days"]) for name, line in found.items()
    }


@pytest.fixture
def dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Projection]]:
    """The file, as it is, as one more file of ``projections/``."""
    monkeypatch.setattr(projections, "__path__", [*projections.__path__, str(tmp_path)])

    def drop(name: str) -> Projection:
        shutil.copy(EXAMPLES / f"{name}.py", tmp_path)
        importlib.invalidate_caches()
        assert name in [projection.name for projection in every()]
        found = importlib.import_module(f"ledger_crm.projections.{name}").projection
        assert isinstance(found, Projection)
        return found

    yield drop
    for name in NAMES:
        sys.modules.pop(f"ledger_crm.projections.{name}", None)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_file_dropped_into_projections_is_a_projection(
    name: str, ledger: Ledger, database: str, dropped: Callable[[str], Projection]
) -> None:
    projection = dropped(name)
    driven(database, [projection], reading(ledger), batch=500)
    [table] = projection.tables
    with connect(database) as conn:
        projected = [table.values_of(row) for row in stored(conn, table).values()]

    fold = example(name)
    replayed = replay(fold, database, Slice()).state.listed()[table.name]

    assert len(projected) > 10
    assert sorted(projected) == sorted(map(table.values_of, replayed))


def test_cohorts_are_of_the_clients_there_are(database: str) -> None:
    fold = example("client_retention")
    lines = fold.result(replay(fold, database, Slice()).state)
    with connect(database) as conn:
        [(clients,)] = conn.execute(
            "SELECT count(DISTINCT originator_id) FROM ledger.entries"
            " WHERE topic = 'company.job_order_opened'"
        ).fetchall()
    assert sum(line["clients"] for line in lines) == clients > 2
    assert all((line[f"q{n}"] or 0) <= line["clients"] for line in lines for n in range(1, 8))


def test_a_quarter_that_has_not_come_is_empty() -> None:
    fold = example("client_retention")
    assert fold.projection
    row = fold.projection.tables[0].row
    rows = [
        row(company_id=UUID(int=client), quarter=4 * 2026 + quarter)
        for client, quarter in ((1, 0), (1, 2), (2, 0), (3, 1))
    ]
    first, second = fold.result(Given(rows))
    assert [first[name] for name in ("cohort", "clients", "q1", "q2", "q3")] == [
        "2026 Q1", 2, 0, 1, None
    ]  # fmt: skip
    assert [second[name] for name in ("cohort", "clients", "q1", "q2")] == ["2026 Q2", 1, 0, None]


def test_over_a_ledger_that_is_not_the_hiring_log_there_is_no_ratio(told: Run) -> None:
    """The hiring log's own numbers are another file's matter; the demo has job orders for groups,
    and its slices before anything happened none at all."""
    for words in ((), ("--upto", "1")):
        code, out, err = told("replay", str(EXAMPLES / "fairness.py"), "--format", "json", *words)
        assert code == 0, err
        found = {row["key"]: row["value"] for row in json.loads(out)}
        assert (found["ever_ratio"], found["last_ratio"]) == (None, None)
        assert bool(found["groups"]) == (not words)


@pytest.mark.parametrize(
    ("offers", "expected"),
    [((1, 1), 1.0), ((2, 1), 0.5), ((1, 0), 0.0), ((0, 1), None), ((0, 0), None)],
)
def test_a_ratio_is_of_two_groups(offers: tuple[int, int], expected: float | None) -> None:
    fold, at = example("fairness"), datetime(2026, 3, 2, tzinfo=UTC)
    groups = {UUID(int=0): "protected=false", UUID(int=1): "protected=true"}
    paths = {
        UUID(int=10 * group + case): (
            UUID(int=group),
            [("applied", at), ("offer" if case < offers[group] else "rejected", at)],
        )
        for group in (0, 1)
        for case in range(2)
    }
    found = fold.result((groups, paths))
    assert (found["ever_ratio"], found["last_ratio"]) == (expected, expected)
    groups[UUID(int=2)], paths[UUID(int=99)] = "another", (UUID(int=2), [("offer", at)])
    assert fold.result((groups, paths))["ever_ratio"] is None


# how it is driven changes nothing


@pytest.mark.parametrize("name", [*NAMES, *PLAIN])
def test_shared_out_among_processes_it_is_the_same(name: str, database: str) -> None:
    fold = example(name)
    alone = replay(fold, database, Slice())
    shared = replay(fold, database, Slice(), processes=3)
    assert fold.result(shared.state) == fold.result(alone.state)
    assert shared.entries == alone.entries > 0
    assert shared.position == alone.position == head_of(database)


def test_a_read_model_says_itself_that_its_streams_do_not_meet(database: str) -> None:
    fold = Fold(Path(str(funnel.__file__)))
    alone = replay(fold, database, Slice())
    shared = replay(fold, database, Slice(), processes=2)
    assert fold.result(shared.state) == fold.result(alone.state)
    assert Fold(Path(str(accounts.__file__))).parallel is None


def test_every_read_model_folds_in_memory_to_what_its_tables_hold(database: str) -> None:
    tables = {projection.name: Tables(projection) for projection in every()}
    with Slices(database, KEYRING) as slices:
        for page in slices.pages(Slice(), after=0, upto=slices.head(), page=700):
            for entry in page.entries:
                for one in tables.values():
                    one.fold(entry)
    with connect(database) as conn:
        for projection in every():
            for table in projection.tables:
                assert tables[projection.name].of(table) == stored(conn, table), table.name


def test_any_cut_by_position_is_no_cut(database: str, tmp_path: Path) -> None:
    fold, head = Fold(written(tmp_path, COUNT)), head_of(database)
    whole = replay(fold, database, Slice())
    for at in (1, head // 3, head - 1):
        first = replay(fold, database, Slice(upto=at))
        rest = replay(fold, database, Slice(after=at))
        assert (first.entries, rest.entries) == (at, head - at)
        both = {
            id: first.state.get(id, 0) + rest.state.get(id, 0)
            for id in first.state.keys() | rest.state.keys()
        }
        assert both == whole.state


def test_a_slice_is_what_it_says(database: str, tmp_path: Path) -> None:
    fold = Fold(written(tmp_path, "def begin(): return []\ndef fold(state, e): state.append(e)"))

    def found(wanted: Slice) -> list[Any]:
        entries: list[Any] = replay(fold, database, wanted).state
        return entries

    everything = found(Slice())
    assert [entry.position for entry in everything] == list(range(1, head_of(database) + 1))
    kinds = ("person.placed", "company.added")
    assert found(Slice(kinds=kinds)) == [
        entry for entry in everything if entry.event.__struct_config__.tag in kinds
    ]
    ids = (everything[40].originator_id, everything[400].originator_id)
    assert found(Slice(streams=ids)) == [e for e in everything if e.originator_id in ids]
    middle: datetime = everything[len(everything) // 2].timestamp
    before, after = found(Slice(until=middle)), found(Slice(since=middle))
    assert before == [entry for entry in everything if entry.timestamp < middle]
    assert after == [entry for entry in everything if entry.timestamp >= middle]
    assert before
    assert after


def test_of_two_slices_each_entry_is_in_one_wherever_clocks_differ(
    databases: Callable[..., str], tmp_path: Path
) -> None:
    """As in the demo's ledger, whose key was made today, before what is played as of then."""
    fold = Fold(written(tmp_path, "def begin(): return []\ndef fold(s, e): s.append(e.position)"))
    url, noon = databases(), datetime(2026, 3, 1, 12, tzinfo=UTC)
    with Ledger(url, KEYRING) as ledger:
        for hours in (5_000, 0, 30, 20, 40, -3_000, 60, 5, 90, 10, 120):
            with clock.stopped_at(noon + timedelta(hours=hours)):
                asyncio.run(one_person(ledger))
    every_one = replay(fold, url, Slice()).state
    for hours in (-6_000, -3_000, 0, 7, 20, 31, 50, 90, 4_990, 5_001, 9_000):
        moment = noon + timedelta(hours=hours)
        before = replay(fold, url, Slice(until=moment)).state
        after = replay(fold, url, Slice(since=moment)).state
        assert sorted(before + after) == every_one, hours


def test_what_is_rare_is_looked_for_in_steps(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger_crm.slices.LOOKED_AT", 100)
    fold, told = Fold(written(tmp_path, f"KINDS = ['company.added']{COUNT}")), list[int]()
    found = replay(fold, database, Slice(), progress=lambda at, begin, end: told.append(at))
    assert len(told) >= head_of(database) // 100
    assert told == sorted(told)
    with Slices(database) as slices:
        rows, _ = slices.rows(Slice(kinds=("company.added",)), after=0, upto=slices.head())
    assert sum(found.state.values()) >= len(rows) > 0


# it goes on where it was


BREAKS = """
import os
KINDS = ["person.message_sent", "person.message_replied"]
def fold(state, entry):
    if entry.position > 3000 and not os.path.exists({again!r}):
        raise KeyboardInterrupt
    state[entry.originator_id] = state.get(entry.originator_id, 0) + 1
"""


def test_who_is_stopped_goes_on_from_what_was_kept(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger_crm.analysis.replaying.KEEP_EVERY_S", 0.0)
    monkeypatch.setattr("ledger_crm.slices.LOOKED_AT", 500)
    again, keep = tmp_path / "again", tmp_path / "kept"
    fold = Fold(written(tmp_path, BREAKS.format(again=str(again))))
    with pytest.raises(KeyboardInterrupt):
        replay(fold, database, Slice(), keep=keep)
    again.touch()

    found = replay(fold, database, Slice(), keep=keep)

    whole = replay(fold, database, Slice())
    assert found.begun_at == 3000
    assert 0 < found.entries < whole.entries
    assert found.state == whole.state


@pytest.mark.parametrize("name", ["first_reply", *PLAIN])
@pytest.mark.parametrize("processes", [1, 2])
def test_again_it_folds_only_what_is_new(
    name: str, processes: int, ledger: Ledger, database: str, tmp_path: Path
) -> None:
    fold, keep = example(name), tmp_path / "kept"
    replay(fold, database, Slice(), keep=keep, processes=processes)
    new = asyncio.run(demo.play(ledger, seed=2, until=date(2026, 11, 1), size=0.01))
    assert new.written

    found = replay(fold, database, Slice(), keep=keep, processes=processes)

    whole = replay(fold, database, Slice())
    assert 0 < found.entries < whole.entries
    assert fold.result(found.state) == fold.result(whole.state)


def test_where_a_slice_begins_may_be_found_elsewhere_once_there_is_more(
    databases: Callable[..., str], tmp_path: Path
) -> None:
    """Given clocks that differ: what was written down later is earlier."""
    fold, keep, url = Fold(written(tmp_path, COUNT)), tmp_path / "kept", databases()
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    wanted = Slice(after=head_of(url), since=noon + CLOCKS_DIFFER)  # looked through from noon
    begun = []
    with Ledger(url, KEYRING) as ledger:
        for minutes in ((-2, 1), (-1, -1, -1, 2), (2_000,)):
            for each in minutes:
                with clock.stopped_at(noon + timedelta(minutes=each)):
                    asyncio.run(one_person(ledger))
            with Slices(url) as slices:
                begun.append(slices.bounds(wanted)[0])

            found = replay(fold, url, wanted, keep=keep)

            assert found.state == replay(fold, url, wanted).state
    assert begun[0] < begun[1]
    assert sum(found.state.values()) == 1


def test_what_another_fold_kept_is_refused(database: str, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    replay(Fold(written(tmp_path, COUNT)), database, Slice(), keep=keep)
    for text, wanted, says in (
        (f"{COUNT}#", Slice(), "another fold"),
        (COUNT, Slice(after=3), "another slice"),
    ):
        with pytest.raises(AnalysisFault, match="was kept by another fold, or of another slice"):
            replay(Fold(written(tmp_path, text)), database, wanted, keep=keep)
        assert says
    keep.write_bytes(keep.read_bytes()[:-1] + b"?")
    with pytest.raises(AnalysisFault, match="damaged"):
        replay(Fold(written(tmp_path, COUNT)), database, Slice(), keep=keep)
    words, _, state = keep.read_bytes().partition(b"\n")
    name, fingerprint, _, *more = words.split()
    for first, says in (
        ((name, fingerprint, b"1_0", *more), "damaged"),
        ((name, fingerprint, b"far", *more), "damaged"),
        ((name, fingerprint, b"10", b"digest"), "kept by an older version"),
    ):
        keep.write_bytes(b" ".join(first) + b"\n" + state)
        with pytest.raises(AnalysisFault, match=says):
            replay(Fold(written(tmp_path, COUNT)), database, Slice(), keep=keep)
    keep.write_bytes(b"my shopping list\n")
    with pytest.raises(AnalysisFault, match="nothing that a replay kept"):
        replay(Fold(written(tmp_path, COUNT)), database, Slice(), keep=keep)


def test_what_was_kept_of_entries_that_the_ledger_lost_is_refused(
    ledger: Ledger, database: str, databases: Callable[..., str], tmp_path: Path
) -> None:
    """Restored from an older backup, it has other entries there, or none yet."""
    fold, keep = Fold(written(tmp_path, COUNT)), tmp_path / "kept"
    backup = databases()
    asyncio.run(three_people(ledger))
    head = replay(fold, database, Slice(), keep=keep).position
    with Ledger(backup, KEYRING) as other:
        for _ in ("not yet there", "another"):
            with pytest.raises(AnalysisFault, match="or of this one before it was restored"):
                replay(fold, backup, Slice(), keep=keep)
            asyncio.run(three_people(other))
        assert asyncio.run(other.head()) >= head
    with pytest.raises(AnalysisFault, match=f"is at {head} already, beyond 3"):
        replay(fold, database, Slice(upto=3), keep=keep)
    assert replay(fold, database, Slice(), keep=keep).entries == 0


def test_who_asks_for_another_number_of_processes_is_told_that_it_begins_anew(
    told: Run, tmp_path: Path
) -> None:
    words = ("replay", str(EXAMPLES / "first_reply.py"), "--keep", str(tmp_path / "kept"))
    for processes, kept in ((1, ""), (2, "1"), (3, "1 and 2")):
        asked = (*words, "--processes", str(processes))
        anew = f"kept was kept with --processes {kept}: with {processes} it begins anew\n"
        code, _, err = told(*asked)
        assert (code, anew in err, "begins anew" in err) == (0, bool(kept), bool(kept)), err
        code, _, err = told(*asked)
        assert (code, err.count("\n")) == (0, 1), "it goes on"
        assert err.startswith("ledger-crm: 0 entries folded")


# what is sealed

NAMED = """
KINDS = ["person.sourced", "person.note_written", "equal_opportunity.answered"]
def begin(): return []
def fold(state, entry):
    for name in ("name", "text", "answers"):
        if hasattr(entry.event, name):
            state.append(getattr(entry.event, name))
"""


async def three_people(ledger: Ledger) -> None:
    async def begin(work: Work) -> Person:
        for name in ("Ada", "Grace"):
            person = work.add(Person.source(sourced(name=name), by=ANA))
            person.record(note(text=f"{name} likes engines"), by=ANA)
        return person

    receipt = await ledger.decide(begin, intent=Intent(by=ANA))
    await ledger.destroy_key(receipt.id)


async def one_person(ledger: Ledger) -> None:
    async def begin(work: Work) -> Person:
        return work.add(Person.source(sourced(), by=ANA))

    await ledger.decide(begin, intent=Intent(by=ANA))


@pytest.fixture
def people(databases: Callable[..., str], read_models: str) -> str:
    url = databases(of=read_models)
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(three_people(ledger))
    return url


def named(url: str, folder: Path, key: bytes | None) -> list[str]:
    found: Replayed = replay(Fold(written(folder, NAMED)), url, Slice(), key=key)
    return list(found.state)


def test_what_is_sealed_stays_so_unless_it_is_asked_for(people: str, tmp_path: Path) -> None:
    assert named(people, tmp_path, None) == [UNOPENED] * 4
    opened = named(people, tmp_path, KEY)
    assert opened == ["Ada", "Ada likes engines", "[erased]", "[erased]"]
    with pytest.raises(WrongKey):
        named(people, tmp_path, b"x" * 32)


def test_what_was_opened_is_kept_nowhere(people: str, tmp_path: Path) -> None:
    fold = Fold(written(tmp_path, NAMED))
    with pytest.raises(AnalysisFault, match="outlast an erasure"):
        replay(fold, people, Slice(), key=KEY, keep=tmp_path / "kept")


def test_a_fault_tells_nothing_that_was_opened(people: str, tmp_path: Path) -> None:
    text = f"{NAMED}    raise ValueError(entry.event)"
    with pytest.raises(AnalysisFault) as closed:
        replay(Fold(written(tmp_path, text)), people, Slice())
    assert "ValueError: PersonSourced(" in str(closed.value)
    with pytest.raises(AnalysisFault) as opened:
        replay(Fold(written(tmp_path, text)), people, Slice(), key=KEY)
    assert "ValueError (at position 1, person.sourced)" in str(opened.value)
    assert "Ada" not in str(opened.value)


def test_equal_opportunity_answers_are_opened_to_nobody() -> None:
    """They would be by ``stays_sealed``: it says of which facts."""
    from ledger_crm.domain import EVENTS
    from ledger_crm.slices import _stays_sealed
    from ledger_crm.store import Row

    closed = [
        topic
        for topic, event in EVENTS.items()
        if _stays_sealed(Row(EqualOpportunityForm.create_id(), 1, topic, b"", 1))
    ]
    assert closed == [topic for topic, event in EVENTS.items() if event.stays_sealed]
    assert any(topic.startswith("equal_opportunity") for topic in closed)


# what is wrong is one line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def fold(state, entry:", "mine.py, line 1: "),
        ("import nosuch", "mine.py, line 1: ModuleNotFoundError: No module named 'nosuch'"),
        ("\n\nfold = 1 / 0", "mine.py, line 3: ZeroDivisionError: division by zero"),
        ("raise SystemExit(7)", "mine.py, line 1: SystemExit: 7"),
        ("x = 1", "has neither fold(state, entry) nor projection"),
        ("projection = 1\ndef fold(s, e): ...", "has both fold(state, entry) and projection"),
        ("projection = 1", "projection is no Projection"),
        ("fold = 7", "fold must be a function of 2 arguments"),
        ("def fold(state): ...", "fold must be a function of 2 arguments"),
        ("def fold(s, e): ...\ndef result(): ...", "result must be a function of 1 argument"),
        ("KINDS = ['person.nosuch']\ndef fold(s, e): ...", "KINDS has 'person.nosuch'"),
        ("KINDS = [int]\ndef fold(s, e): ...", "KINDS has <class 'int'>"),
        ("PARALLEL = 1\ndef fold(s, e): ...", 'PARALLEL is 1; it may be "stream"'),
        ("PARALLEL = 'stream'\ndef fold(s, e): ...", "has no join(state, other)"),
        (
            "def fold(s, e):\n    return s[e.position]",
            "mine.py, line 2: KeyError: 1 (at position 1, pipeline.",
        ),
        ("def begin():\n    1 / 0\ndef fold(s, e): ...", "mine.py, line 2: ZeroDivisionError"),
        ("def fold(s, e): ...\ndef result(s):\n    s.x", "mine.py, line 3: AttributeError"),
        ("import sys\ndef fold(s, e):\n    sys.exit(0)", "mine.py, line 3: SystemExit: 0 (at"),
        ("import sys\ndef fold(s, e): ...\ndef result(s):\n    sys.exit(0)", "line 4: SystemExit"),
        ("async def fold(s, e): ...", "mine.py: fold is async"),
        ("def fold(s, e):\n    yield e", "mine.py: fold yields"),
        ("def fold(s, e): ...\ndef result(s): return object()", "value of the result is no value"),
        ("def fold(s, e): ...\ndef result(s): return [{'x': [object()]}]", "x of the result is"),
    ],
    ids=str,
)
def test_a_faulty_file_is_one_line(told: Run, tmp_path: Path, text: str, says: str) -> None:
    code, out, err = told("replay", str(written(tmp_path, text)))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert says in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("/no/such.py",), "/no/such.py: No such file"),
        (("FILE", "--kind", "person.nosuch"), "no kind of fact person.nosuch"),
        (("FILE", "--after", "-1"), "the first is 1"),
        (("FILE", "--processes", "2"), 'does not say PARALLEL = "stream"'),
        (("FILE", "--processes", "0"), "processes"),
        (("FILE", "--processes", "1000"), "processes"),
        (("FILE", "--keep", "/missing/k"), "/missing/k: its folder is not there"),
        (("FILE", "--format", "parquet"), "--out FILE.parquet"),
        (("FILE", "--out", "x.docx"), "call it .csv, .json or .parquet"),
        (("FILE", "--out", "/no/such/x.csv"), "/no/such/x.csv: its folder is not there"),
        (("FILE", "--after", "5", "--upto", "5"), "nothing comes after 5 and up to 5"),
        (("FILE", "--since", "2026-05-01", "--until", "2026-04-01"), "nothing is from 2026-05-01"),
        (("FILE", "--table", "x"), "--table is for a file with several tables"),
        (("FILE", "--open", "--keep", "x"), "outlast an erasure"),
        (("FILE", "--stream", "x"), "stream"),
    ],
    ids=str,
)
def test_a_wrong_word_is_one_line(
    told: Run, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    file = str(written(tmp_path, COUNT))
    code, out, err = told("replay", *(file if word == "FILE" else word for word in words))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert says in err


def test_without_the_key_nothing_is_opened(
    told: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEDGER_SEALING_KEY")
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    file = str(written(tmp_path, COUNT))
    code, _, err = told("replay", file, "--open")
    assert (code, err.count("\n")) == (2, 1)
    assert "sealing.key is not there" in err
    assert told("replay", file)[0] == 0
    assert not (tmp_path / "sealing.key").exists()


def test_a_row_that_began_before_the_slice_is_left_out_and_told(
    told: Run, database: str, tmp_path: Path
) -> None:
    source = Path(funnel.__file__).with_name("candidates.py")
    head = head_of(database)
    code, _, err = told(
        "replay", str(source), "--after", str(head // 2), "--table", "candidate", "--format", "csv"
    )
    assert code == 2, "there is no such table, and it says which there are"
    table = err.split("there are ")[1].split(",")[0].strip()
    code, out, err = told(
        "replay", str(source), "--after", str(head // 2), "--table", table, "--format", "csv"
    )
    assert (code, bool(out)) == (0, True)
    assert "rows that began before the slice" in err


def test_streams_that_meet_are_found_out(database: str, tmp_path: Path) -> None:
    text = (EXAMPLES / "client_retention.py").read_text()
    met = text.replace("return entry.originator_id, at.year", "return UUID(int=1), at.year")
    fold = Fold(written(tmp_path, met))
    with pytest.raises(AnalysisFault, match="several streams change its row"):
        replay(fold, database, Slice(), processes=3)


def test_a_fault_in_one_process_ends_them_all(database: str, tmp_path: Path) -> None:
    text = (EXAMPLES / "pipeline_velocity.py").read_text()
    faulty = text.replace("    fact = ", "    if entry.position > 900:\n        1 / 0\n    fact = ")
    with pytest.raises(AnalysisFault, match=r"mine\.py, line \d+: ZeroDivisionError"):
        replay(Fold(written(tmp_path, faulty)), database, Slice(), processes=2)


# what comes out


def test_it_comes_out_as_table_csv_json_and_parquet(told: Run, tmp_path: Path) -> None:
    file = str(EXAMPLES / "first_reply.py")
    code, out, err = told("replay", file, "--format", "json")
    lines = json.loads(out)
    assert (code, {line["channel"] for line in lines}) == (0, {"email", "linkedin"})
    assert "entries folded" in err

    code, out, _ = told("replay", file)
    titles, *rows = out.splitlines()
    assert titles.split() == ["channel", "asked", "replied", "median_h"]
    assert [row.split()[0] for row in rows] == ["email", "linkedin"]

    assert told("replay", file, "--out", str(tmp_path / "x.csv"))[:2] == (0, "")
    with (tmp_path / "x.csv").open(newline="") as text:
        assert [int(row["asked"]) for row in csv.DictReader(text)] == [
            line["asked"] for line in lines
        ]
    assert told("replay", file, "--out", str(tmp_path / "x.parquet"))[:2] == (0, "")
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == lines
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.csv", "x.parquet"]


@pytest.mark.parametrize("linked", [False, True], ids=["a pipe", "a link to one"])
def test_what_is_no_file_is_written_to_and_stays(told: Run, tmp_path: Path, linked: bool) -> None:
    pipe = out = tmp_path / "x.csv"
    os.mkfifo(pipe)
    if linked:
        out = tmp_path / "link.csv"
        out.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        file = str(EXAMPLES / "first_reply.py")
        assert told("replay", file, "--out", str(out))[:2] == (0, "")
        assert os.read(reader, 100).startswith(b"channel,asked,replied,median_h\r\n")
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert out.is_symlink() == linked


@pytest.mark.parametrize(
    ("result", "rows"),
    [
        ("{'a': 1}", [{"key": "a", "value": 1}]),
        ("{('a', 2): {'n': 1}}", [{"key_1": "a", "key_2": 2, "n": 1}]),
        ("[(1, 'x')]", [{"column_1": 1, "column_2": "x"}]),
        ("[{'a': 1}, {'b': 2}]", [{"a": 1, "b": None}, {"a": None, "b": 2}]),
        ("42", [{"value": 42}]),
        ("'Ada'", [{"value": "Ada"}]),
        ("[]", []),
        ("(n for n in (1, 2))", [{"value": 1}, {"value": 2}]),
    ],
    ids=str,
)
def test_what_a_fold_gives_is_rows(
    told: Run, tmp_path: Path, result: str, rows: list[dict[str, Any]]
) -> None:
    text = f"def fold(s, e): ...\ndef result(s): return {result}"
    code, out, _ = told("replay", str(written(tmp_path, text)), "--format", "json")
    assert (code, json.loads(out)) == (0, rows)


EAST = timezone(timedelta(hours=5))
ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)
ODD = (
    Fraction(1, 3), 2**70, [2**70], {(1, 2): 3}, {None: 1}, "\ud800", Fold, {}, [UUID(int=1)],
    {1, "a"}, float("nan"), Decimal("NaN"), datetime.min.replace(tzinfo=EAST), ENDLESS,
)  # fmt: skip


@pytest.mark.parametrize("shape", ["table", "csv", "json", "parquet"])
@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_whatever_a_fold_gives_there_is_a_file_or_one_line(
    value: object, shape: Format, tmp_path: Path
) -> None:
    out = None if shape == "table" else tmp_path / "x"
    with suppress(AnalysisFault):
        write(found_in([{"a": value}]), shape, out)
        assert out is None or out.stat().st_size
        return
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gives", ["yield 1\n    {}['x']", "yield 1 / 0"])
def test_a_result_that_fails_on_the_way_is_one_line(told: Run, tmp_path: Path, gives: str) -> None:
    text = f"def fold(s, e): ...\ndef result(s):\n    {gives}"
    code, out, err = told("replay", str(written(tmp_path, text)), "--format", "json")
    assert (code, out) == (2, "")
    assert "mine.py, line" in err.splitlines()[-1]


def test_what_cannot_be_handed_to_another_process_is_one_line(
    database: str, tmp_path: Path
) -> None:
    text = "PARALLEL = 'stream'\ndef fold(s, e): s['f'] = lambda: 0\ndef join(s, other): return s"
    with pytest.raises(AnalysisFault, match="cannot be kept, or handed on"):
        replay(Fold(written(tmp_path, text)), database, Slice(), processes=2)


def test_where_it_cannot_be_written_nothing_is_folded(told: Run, tmp_path: Path) -> None:
    file = str(written(tmp_path, "def fold(s, e): 1 / 0"))
    for words, says in (
        (("--out", str(tmp_path / "not" / "x.csv")), "its folder is not there"),
        (("--out", str(tmp_path / "x.csv"), "--format", "table"), "a table is for the terminal"),
    ):
        code, out, err = told("replay", file, *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert says in err


def test_what_a_spreadsheet_would_compute_is_begun_with_an_apostrophe(
    told: Run, tmp_path: Path
) -> None:
    text = "def fold(s, e): ...\ndef result(s): return ['=1+1', CompanyAdded]"
    text = text.replace("CompanyAdded", f"'{CompanyAdded.__name__}'")
    _, out, _ = told("replay", str(written(tmp_path, text)), "--format", "csv")
    assert out.split() == ["value", "'=1+1", "CompanyAdded"]


def test_so_is_the_name_of_a_column_which_may_be_a_tag_that_anybody_gave() -> None:
    assert as_csv(found_in([{"=1+1": 1, "vip": 2}])) == b"'=1+1,vip\r\n1,2\r\n"


def test_a_fold_of_nothing_gives_nothing_and_is_not_taken_for_tables(
    told: Run, tmp_path: Path
) -> None:
    file = str(written(tmp_path, COUNT))
    assert told("replay", file, "--since", "2999-01-01")[:2] == (0, "")


def test_a_state_may_have_rows_of_its_own(told: Run, tmp_path: Path) -> None:
    text = """
        class State: rows = ()
        begin = State
        def fold(state, entry): ...
        def result(state): return {"a": 1}
    """
    code, out, err = told("replay", str(written(tmp_path, dedent(text))))
    assert (code, out.split()) == (0, ["key", "value", "a", "1"]), err


def test_which_table_is_asked_before_anything_is_folded(told: Run, tmp_path: Path) -> None:
    faulty = Path(funnel.__file__).read_text().replace("return StepRow(", "return (1 / 0)(")
    file = str(written(tmp_path, faulty))
    code, _, err = told("replay", file)
    assert (code, err.count("\n")) == (2, 1)
    assert "say which table: --table; there are funnel_step, " in err
    assert "there is no table x; there are funnel_step, " in told("replay", file, "--table", "x")[2]
