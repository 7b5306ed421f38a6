"""Another history beside the real one: nothing of it is written."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from psycopg import AsyncConnection

from analysis.test_replay import EXAMPLES, NAMES, example, head_of, written
from conftest import Run
from ledger_crm import projections, slices
from ledger_crm.analysis import replaying
from ledger_crm.analysis.replaying import Fold, Instead, replay
from ledger_crm.commands import merging
from ledger_crm.commands.catalogue import save_segment
from ledger_crm.domain import clock
from ledger_crm.domain.candidacy import Placed
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.fee import Terms
from ledger_crm.domain.merging import CompanyAbsorbed, PersonAbsorbed
from ledger_crm.domain.refusals import Refusal
from ledger_crm.domain.segment import Saved
from ledger_crm.ledger import Intent, Ledger
from ledger_crm.projections import AS_KNOWN, SCHEMA, accounts, every, fees, funnel, people
from ledger_crm.slices import Slice, Slices
from projections.test_queries import project
from scenario import ANA, KEYRING

pytestmark = pytest.mark.xdist_group("analysis")

SEGMENTS = ("medallists", "sent_to_us")  # of the demo's, those that ask for no consent
OF_COMPANIES = ("in_work", "won_back")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_history_gives_the_same(name: str, database: str, tmp_path: Path) -> None:
    """Whatever more it looks at."""
    fold, same = example(name), "def instead(state, entry): return entry.event"
    real = replay(fold, database, Slice())
    other = replay(fold, database, Slice(), instead=Instead(written(tmp_path, same)))
    assert fold.result(other.state) == fold.result(real.state)
    assert other.entries == real.entries


def test_what_did_not_happen_is_not_there(database: str, tmp_path: Path) -> None:
    nothing = Instead(written(tmp_path, "def instead(state, entry): return None"))
    fold = example("pipeline_velocity")
    found = replay(fold, database, Slice(), instead=nothing)
    assert (fold.result(found.state), found.entries) == ([], 0)


def test_other_fees_are_those_of_the_other_terms(told: Run, database: str) -> None:
    words = ("replay", str(EXAMPLES / "fees_by_year.py"), "--format", "json")
    before = head_of(database)
    code, out, err = told(*words, "--instead", str(EXAMPLES / "what_if_fee.py"))
    assert code == 0, err
    lines = json.loads(out)

    basis: dict[Any, str] = {}
    real: dict[Any, int] = defaultdict(int)
    other: dict[Any, int] = defaultdict(int)
    with Slices(database) as slices:
        entries = [
            entry
            for page in slices.pages(Slice(), after=0, upto=slices.head())
            for entry in page.entries
        ]
    for entry in entries:
        match entry.event:
            case Terms() as terms:
                basis[terms.agreement_id, terms.version] = terms.basis
            case Placed() as placed:
                key = placed.placed_at.year, placed.currency
                real[key] += placed.fee_cents
                contingent = basis[placed.agreement_id, placed.agreement_version] == "contingent"
                fifth = (placed.first_year_pay_cents + 2) // 5  # half up, of whole cents
                other[key] += fifth if contingent and placed.fee_cents else placed.fee_cents
    sums = {
        history: {(x["year"], x["currency"]): x["fee_cents"] for x in lines if
                  x["history"] == history}
        for history in ("real", "instead")
    }  # fmt: skip
    assert sums == {"real": real, "instead": other}
    assert real != other
    assert json.loads(told(*words)[1]) == [
        {name: value for name, value in line.items() if name != "history"}
        for line in lines
        if line["history"] == "real"
    ]
    assert head_of(database) == before


def test_another_pipeline_has_no_stage_that_it_does_not_have(database: str) -> None:
    fold = example("pipeline_velocity")
    other = Instead(EXAMPLES / "what_if_pipeline.py")
    real, instead = (
        {
            line["category"]: line
            for line in fold.result(replay(fold, database, Slice(), instead=history).state)
        }
        for history in (None, other)
    )
    assert real.keys() - instead.keys() == {"final_interview"}
    assert instead["client_interview"]["candidacies"] == real["client_interview"]["candidacies"]
    assert instead["client_interview"]["median_days"] > real["client_interview"]["median_days"]
    assert instead["offer"]["candidacies"] == real["offer"]["candidacies"]


def results_of(folds: Iterable[Fold], url: str, other: Instead | None) -> dict[str, Any]:
    """By the file's name, of one reading; as many replays would be told all the kinds too."""
    states = {fold: fold.begin(whole=True) for fold in folds}
    with Slices(url) as slices:
        for page in slices.pages(Slice(), after=0, upto=slices.head()):
            for real in page.entries:
                if (entry := other.entry(real, opened=False) if other else real) is None:
                    continue
                for fold in states:
                    if fold.wants(entry):
                        states[fold] = fold.step(states[fold], entry, opened=False)
    return {fold.path.stem: fold.result(state) for fold, state in states.items()}


@pytest.mark.parametrize(
    ("history", "differing"),
    [
        ("what_if_fee", {"fees_by_year", "fees", "candidates"}),
        ("what_if_pipeline", {"pipeline_velocity", "funnel", "candidates", "pipelines"}),
        ("what_if_cadence", {"gone_quiet", "people", "accounts"}),
    ],
)
def test_every_history_is_for_every_fold_and_every_read_model(
    history: str, differing: set[str], database: str
) -> None:
    """Given all folds that there are, each history tells them of facts that it is not about."""
    assert {path.stem for path in EXAMPLES.glob("what_if_*.py")} == {
        "what_if_fee", "what_if_pipeline", "what_if_cadence",
    }  # fmt: skip
    files = [path for path in sorted(EXAMPLES.glob("*.py")) if not path.stem.startswith("what_if")]
    files += [
        Path(str(import_module(f"{projections.__name__}.{p.name}").__file__)) for p in every()
    ]
    folds = list(map(Fold, files))
    real = results_of(folds, database, None)

    other = results_of(folds, database, Instead(EXAMPLES / f"{history}.py"))

    changed = {name for name in real if real[name] != other[name]}
    assert changed >= differing
    assert not changed & {"first_reply", "client_retention", "engagement", "documents"}


def test_another_pipeline_is_for_a_read_model_of_ours(told: Run) -> None:
    """Which is told of more than the steps."""
    code, out, err = told(
        "replay", str(funnel.__file__), "--table", "funnel_step", "--format", "json",
        "--instead", str(EXAMPLES / "what_if_pipeline.py"),
    )  # fmt: skip
    assert code == 0, err
    came: dict[str, set[str]] = defaultdict(set)
    for row in json.loads(out):
        came[row["history"]].add(row["category"])
    assert came["real"] - came["instead"] == {"final_interview"}


async def quiet_at(url: str, at: int | None, end: datetime) -> set[tuple[str, str, UUID]]:
    """Who is on the lists, as of a position, at the end of a day."""
    home = f"{AS_KNOWN}," if at else ""
    options = f"-c search_path={home}{SCHEMA} -c ledger.as_of={at or ''}"
    async with await AsyncConnection.connect(url, options=options) as conn, conn.cursor() as cur:
        listed = {
            ("person", slug, listed.id)
            for slug in SEGMENTS
            for listed in await people.quiet_in_segment(cur, slug, on=end, limit=10_000)
        }
        return listed | {
            ("company", slug, listed.company_id)
            for slug in OF_COMPANIES
            for listed in await accounts.quiet_in_segment(cur, slug, on=end, limit=10_000)
        }


def on(spells: list[dict[str, Any]], day: date) -> set[tuple[str, str, UUID]]:
    return {
        (spell["of"], spell["segment"], spell["id"])
        for spell in spells
        if spell["quiet_on"] <= day and (spell["until_on"] is None or day < spell["until_on"])
    }


def test_who_went_quiet_and_when_is_what_the_lists_showed(database: str) -> None:
    """On each day since there are these segments, as it was known then."""
    fold = example("gone_quiet")
    spells = fold.result(replay(fold, database, Slice()).state)
    with Slices(database) as slices:
        ends = {
            entry.timestamp.date(): entry.position
            for page in slices.pages(Slice(), after=0, upto=slices.head())
            for entry in page.entries
        }
    last = max(ends)
    for day in (last - timedelta(days=n) for n in range(35)):
        at = max(position for date, position in ends.items() if date <= day)
        end = datetime.combine(day, time.max, UTC)
        assert on(spells, day) == asyncio.run(quiet_at(database, at, end)), day
    assert {spell["segment"] for spell in spells} >= {*SEGMENTS, "in_work"}


def test_what_an_account_is_there_is_what_its_read_model_says(database: str) -> None:
    """Also in years to come, in which they go quiet, and are former."""
    fold = example("gone_quiet")
    state, seen = replay(fold, database, Slice()).state, set[str]()

    async def told(at: datetime) -> dict[UUID, str]:
        options = f"-c search_path={SCHEMA}"
        async with await AsyncConnection.connect(database, options=options) as conn:
            listed = await accounts.listing(conn.cursor(), asked_at=at, limit=10_000)
            return {account.company_id: account.status for account in listed}

    for years in range(4):
        at = datetime.combine(state.until_on + years * timedelta(days=365), time.max, UTC)
        expected = asyncio.run(told(at))
        status = fold._module.status
        assert {id: status([state.now[id]], at) for id in expected} == expected
        seen |= {*expected.values()}
    assert seen >= {"qualified", "repeat", "quiet", "former"}


def test_under_another_cadence_those_are_quiet_who_would_be_if_it_were_saved(
    database: str,
) -> None:
    fold, other = example("gone_quiet"), Instead(EXAMPLES / "what_if_cadence.py")
    real = fold.result(replay(fold, database, Slice()).state)
    instead = fold.result(replay(fold, database, Slice(), instead=other).state)
    with Ledger(database, KEYRING) as ledger:
        entries = list(ledger.store.entries(after=0, limit=100_000))
        last = entries[-1].timestamp.date()
        for saved in (each.event for each in entries if isinstance(each.event, Saved)):
            shorter = replace(saved, cadence_days=min(30, saved.cadence_days))
            save = partial(save_segment, definition=shorter)
            asyncio.run(ledger.decide(save, intent=Intent(by=ANA)))
        project(database, ledger)
    end = datetime.combine(last, time.max, UTC)
    assert on(real, last) < on(instead, last) == asyncio.run(quiet_at(database, None, end))


def test_who_is_merged_goes_quiet_as_one(database: str) -> None:
    """Given people and companies who are quiet, merged with others who are not, and with each
    other, some of them un-merged again, then the lists say what the fold says."""
    fold = example("gone_quiet")
    before = fold.result(replay(fold, database, Slice()).state)
    with Ledger(database, KEYRING) as ledger:
        last = list(ledger.store.entries(after=0, limit=100_000))[-1].timestamp
        quiet = on(before, last.date())
        others = {
            of: sorted({spell["id"] for spell in before if spell["of"] == of} - {
                id for kind, _, id in quiet if kind == of
            })
            for of in ("person", "company")
        }  # fmt: skip
        merged = 0
        for of, absorbed, merge in (
            ("person", PersonAbsorbed, merging.merge),
            ("company", CompanyAbsorbed, merging.merge_companies),
        ):
            there = sorted({id for kind, _, id in quiet if kind == of})
            pairs = [*pairwise(there[:4]), *zip(there[4:], others[of], strict=False)][:12]
            for survivor, duplicate in pairs:
                fact = absorbed(duplicate_id=duplicate, absorbed_at=last)
                with suppress(Refusal), clock.played_at(last):
                    command = partial(merge, **{f"{of}_id": survivor, "fact": fact})
                    asyncio.run(ledger.decide(command, intent=Intent(by=ANA)))
                    merged += 1
        project(database, ledger)
    assert merged > 5
    spells = fold.result(replay(fold, database, Slice()).state)
    end = datetime.combine(last.date(), time.max, UTC)
    assert on(spells, last.date()) == asyncio.run(quiet_at(database, None, end)) != quiet


def test_a_read_model_of_ours_tells_it_too(told: Run) -> None:
    code, out, err = told(
        "replay", str(fees.__file__), "--table", "fee_placement", "--format", "json",
        "--instead", str(EXAMPLES / "what_if_fee.py"),
    )  # fmt: skip
    assert code == 0, err
    rows = json.loads(out)
    real = {row["candidacy_id"]: row for row in rows if row["history"] == "real"}
    instead = {row["candidacy_id"]: row for row in rows if row["history"] == "instead"}
    assert real.keys() == instead.keys()
    assert any(real[id]["fee_cents"] != instead[id]["fee_cents"] for id in real)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "has no instead(state, entry)"),
        ("def instead(entry): ...", "has no instead(state, entry)"),
        ("KINDS = ['person.nosuch']\ndef instead(s, e): ...", "KINDS has 'person.nosuch'"),
        ("def instead(s, e): return 7", "instead gave no fact and not None (at position 1, "),
        ("def instead(s, e): return s[1]", "other.py, line 1: KeyError: 1 (at position 1, "),
        ("def begin(): 1 / 0\ndef instead(s, e): ...", "other.py, line 1: ZeroDivisionError"),
        ("def instead(s, e", "other.py, line 1: "),
    ],
    ids=str,
)
def test_a_faulty_history_is_one_line(told: Run, tmp_path: Path, text: str, says: str) -> None:
    other = str(written(tmp_path, text, "other.py"))
    fold = str(written(tmp_path, "def fold(state, entry): ..."))
    code, out, err = told("replay", fold, "--instead", other)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert says in err


def test_it_goes_on_and_is_shared_out_as_the_real_one_is(
    told: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given one that remembers what came before, and was stopped half-way."""
    words = (
        "replay", str(EXAMPLES / "pipeline_velocity.py"), "--format", "json",
        "--instead", str(EXAMPLES / "what_if_pipeline.py"),
    )  # fmt: skip
    whole = told(*words)[1]
    assert told(*words, "--processes", "2")[1] == whole
    kept = ("--keep", str(tmp_path / "kept"))
    with monkeypatch.context() as patch:
        patch.setattr(replaying, "KEEP_EVERY_S", 0.0)
        patch.setattr(slices, "LOOKED_AT", 500)
        as_it_is = Instead.entry

        def dying(self: Instead, entry: Entry[Event], **how: bool) -> Entry[Event] | None:
            if (entry.position or 0) > 3_000:
                raise KeyboardInterrupt
            return as_it_is(self, entry, **how)

        patch.setattr(Instead, "entry", dying)
        assert told(*words, *kept)[0] == 130
    went_on = told(*words, *kept)
    assert went_on[1] == whole
    assert went_on[2].startswith("ledger-crm: 0 entries folded"), "the real one was there"
    assert (tmp_path / "kept.instead").exists()
    other = written(tmp_path, (EXAMPLES / "what_if_pipeline.py").read_text() + "\n", "other.py")
    code, out, err = told(*words[:-1], str(other), *kept)
    assert (code, out) == (2, "")
    assert "or of another slice or --instead" in err


def test_what_does_not_go_together_is_told_before_anything_is_folded(
    told: Run, tmp_path: Path
) -> None:
    fold, fee = EXAMPLES / "pipeline_velocity.py", EXAMPLES / "what_if_fee.py"
    words = ("replay", str(fold), "--instead", str(fee), "--processes", "2")
    code, out, err = told(*words, "--keep", str(tmp_path / "kept"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f'{fee} does not say PARALLEL = "stream"' in err
    assert list(tmp_path.iterdir()) == [], "nor has the real one begun"
