"""The wire is a promise: what was ever stored can be read, under the same name.

golden/entries.jsonl is append-only: one line per event shape that was ever released.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

import builders
from builders import employed, facts, instants, note, replied, sourced, texts
from ledger_crm.domain import EVENTS, candidacy, vocabulary
from ledger_crm.domain.candidate import Move
from ledger_crm.domain.entry import (
    Currency,
    Entry,
    Event,
    Instant,
    Reason,
    Sealed,
    Slug,
    cause,
    kind,
    sealed_fields,
)
from ledger_crm.domain.faults import in_words
from ledger_crm.store import EntryMapper
from scenario import ANA, KEYRING, NOON, PERSON

GOLDEN = Path(__file__).parent / "golden" / "entries.jsonl"
LINES = GOLDEN.read_bytes().splitlines()

every_event = pytest.mark.parametrize("event", EVENTS.values(), ids=kind)


@pytest.mark.parametrize("line", LINES, ids=lambda line: msgspec.json.decode(line)["event"]["kind"])
def test_what_was_stored_can_be_read(line: bytes) -> None:
    """And says today what it said then."""
    document = msgspec.json.decode(line)
    event = EVENTS[document["event"]["kind"]]
    entry = msgspec.json.decode(line, type=Entry[event])  # type: ignore[valid-type]
    assert type(entry.event) is event
    assert msgspec.json.decode(msgspec.json.encode(entry)).items() >= document.items()


def test_every_event_has_a_golden_line() -> None:
    assert {msgspec.json.decode(line)["event"]["kind"] for line in LINES} == set(EVENTS)


def test_golden_lines_are_only_ever_added() -> None:
    """Against what was committed last: whoever changes a line breaks what somebody has stored."""
    shown = subprocess.run(
        ["git", "show", "HEAD:./entries.jsonl"], cwd=GOLDEN.parent, capture_output=True, check=False
    )
    if shown.returncode:
        pytest.skip("not a git checkout that has committed golden lines")
    committed = shown.stdout.splitlines()
    assert LINES[: len(committed)] == committed


BODIES = {"ledger_crm.api.people"}
"""Where a request's body is an event and a little more; what is written is the event."""


def test_every_event_is_in_the_vocabulary() -> None:
    def leaves(event: type[Event]) -> set[type[Event]]:
        ours = [s for s in event.__subclasses__() if s.__module__.startswith("ledger_crm.")]
        subs = [s for s in ours if s.__module__ not in BODIES]
        return {leaf for sub in subs for leaf in leaves(sub)} if subs else {event}

    assert leaves(Event) == set(EVENTS.values())


def test_a_name_is_used_once() -> None:
    class Impostor(Event, frozen=True, kw_only=True, tag="person.sourced"):
        pass

    with pytest.raises(ValueError, match=r"person\.sourced is both"):
        vocabulary(*EVENTS.values(), Impostor)


class Whisper(msgspec.Struct):
    words: Sealed


def test_what_is_sealed_is_text_of_the_event_itself() -> None:
    class Overheard(Event, frozen=True, kw_only=True, tag="person.overheard"):
        whispers: tuple[Whisper, ...]

    with pytest.raises(ValueError, match=r"person\.overheard seals what cannot be sealed"):
        sealed_fields(Overheard)


@every_event
def test_an_event_sets_its_own_name(event: type[Event]) -> None:
    """One that is inherited, or made from the class's name, would change with the class."""
    stream, _, fact = kind(event).partition(".")
    assert stream in (
        "person",
        "company",
        "pipeline",
        "pool",
        "campaign",
        "consultant",
        "webhook",
        "team",
        "segment",
        "template",
        "custom_field",
        "key",
        "login",
        "equal_opportunity",
    )
    msgspec.convert(fact, Slug)
    assert event.__struct_config__.tag_field == "kind"
    assert event.__struct_config__.frozen
    assert event.__struct_config__.forbid_unknown_fields


@every_event
@hypothesis.settings(max_examples=15)
@hypothesis.given(data=st.data())
def test_a_fact_is_read_back_shows_nothing_sealed_and_is_well_formed(
    event: type[Event], data: st.DataObject
) -> None:
    """Three properties of one draw: making facts takes longer than looking at them."""
    fact = data.draw(facts(event))
    is_read_back(fact, data)
    shows_nothing_sealed(fact)
    is_well_formed(fact)


def is_read_back(fact: Event, data: st.DataObject) -> None:
    """Through the mapper, as the store does it; and nothing sealed is in what is stored."""
    entry: Any = Entry(
        originator_id=data.draw(st.uuids()),
        originator_version=data.draw(st.integers(1, 10**6)),
        originator_topic="person",
        timestamp=data.draw(instants).astimezone(UTC),
        by=ANA,
        event=fact,
        cause=data.draw(texts),
    )
    mapper = EntryMapper(KEYRING, {})
    row = mapper.to_stored_event(entry)
    assert row.topic == kind(fact)
    assert mapper.to_domain_event(row) == entry
    stored = msgspec.json.decode(row.state)["event"]
    assert not stored.keys() & sealed_fields(type(fact))


def shows_nothing_sealed(fact: Event) -> None:
    """In its line, which is copied into read models, which no key protects."""
    said = {name: f"SEALED{name}" for name in sealed_fields(type(fact))}
    line = msgspec.structs.replace(fact, **said).line
    assert line == msgspec.structs.replace(fact, **dict.fromkeys(said, "")).line
    assert line
    assert "\n" not in line
    assert "SEALED" not in line


def is_well_formed(fact: Event) -> None:
    assert all(isinstance(id, UUID) for id in (*fact.concerns, *fact.others))
    assert isinstance(fact.once, str)
    for reservation in fact.reserves:
        assert reservation.refusal.__doc__
    occurred_at = fact.occurred_at
    assert occurred_at is None or occurred_at.tzinfo is UTC
    if isinstance(fact, candidacy.StageReached):
        assert fact.reached_at == occurred_at


@hypothesis.given(instants)
def test_an_instant_is_kept_as_utc(instant: datetime) -> None:
    fact = replied(replied_at=instant)
    assert fact.replied_at == instant
    assert fact.replied_at.tzinfo is UTC
    sent_in = msgspec.json.encode({"kind": kind(fact), "channel": "email", "message_id": "1",
                                   "replied_at": instant})  # fmt: skip
    read = msgspec.json.decode(sent_in, type=type(fact))
    assert (read.replied_at, read.replied_at.tzinfo) == (fact.replied_at, UTC)


def test_an_instant_that_no_calendar_has_is_refused() -> None:
    edge = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    with pytest.raises(ValueError, match="within the years 1 to 9999"):
        replied(replied_at=edge)
    document = builders.as_document(replied()) | {"replied_at": "0001-01-01T00:00:00+01:00"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, type(replied()))


def test_an_instant_without_an_offset_is_refused() -> None:
    document = builders.as_document(replied()) | {"replied_at": "2026-03-02T12:00:00"}
    with pytest.raises(msgspec.ValidationError, match="replied_at"):
        msgspec.convert(document, type(replied()))


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (Slug, "final_interview", "Final"),
        (Slug, "a", "1a"),
        (Reason, "", " salary"),
        (Reason, "salary_too_low", "Salary too low"),
        (Currency, "EUR", "eur"),
    ],
)
def test_words_for_machines_are_checked(type_: Any, good: str, bad: str) -> None:
    assert msgspec.convert(good, type_) == good
    for refused in (bad, f"{good}\n", f"{good}\nx", f"x\n{good}"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(refused, type_)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "person.message_sent"},
        {"channel": "pigeon"},
        {"message_id": ""},
        {"message_id": "x" * 999},
        {"text": "x" * 65_537},
        {"replied_at": "yesterday"},
        {"company_id": "acme"},
        {"replied_on": "2026-03-02"},
    ],
    ids=str,
)
def test_a_document_that_is_not_of_its_shape_is_refused(change: dict[str, Any]) -> None:
    document = builders.as_document(replied())
    assert msgspec.convert(document, type(replied())) == replied()
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document | change, type(replied()))


def test_when_it_happened_is_what_the_fact_says_first() -> None:
    assert replied(replied_at=NOON).occurred_at == NOON
    assert employed(starts_on=date(2026, 4, 1)).occurred_at == datetime(2026, 4, 1, tzinfo=UTC)
    assert employed(ends_on=date(2026, 4, 1)).occurred_at is None
    assert sourced().occurred_at is None
    entry = Entry(originator_id=PERSON, originator_version=1, timestamp=NOON, by=ANA, event=note())
    assert entry.at == NOON


def test_an_entry_carries_the_cause_that_is_set_at_the_edge() -> None:
    token = cause.set("request-7")
    try:
        entry = Entry(
            originator_id=PERSON, originator_version=1, timestamp=NOON, by=ANA, event=note()
        )
    finally:
        cause.reset(token)
    assert entry.cause == "request-7"


def test_a_move_is_read_with_its_offset() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"stage": "offer", "at": "2026-03-02T12:00:00"}, Move)
    assert msgspec.convert("2026-03-02T12:00:00Z", Instant) == NOON


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        (Slug, "is not a name like final_interview: lower case, at most 40"),
        (Reason, "is not a code like salary_too_low: words go into the text"),
        (Currency, "is not a currency like EUR (ISO 4217)"),
    ],
)
def test_what_is_written_wrongly_is_told_in_words(type_: Any, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as fault:
        msgspec.convert({"x": "Not this"}, dict[str, type_])
    assert in_words(str(fault.value)) == said
