"""What is made from the code says what the code says, and holds for what really goes out."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import jsonschema
import pytest
from eventsourcing.persistence import Notification
from hypothesis import given
from hypothesis import strategies as st

from builders import facts
from ledger_crm.cli.documents import papers
from ledger_crm.domain import EVENTS
from ledger_crm.domain.entry import Actor, Entry, Event, kind
from ledger_crm.domain.shape import schema_of
from ledger_crm.store import EntryMapper
from ledger_crm.workers.feed import message_of
from scenario import KEYRING, NOON

DOCS = Path(__file__).parents[1] / "docs"
PAPERS = papers()


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_a_paper_is_as_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text() == PAPERS[name], "write it with: ledger-crm documents"


def test_no_schema_is_of_a_fact_that_is_gone() -> None:
    there = {f"schemas/{path.name}" for path in (DOCS / "schemas").iterdir()}
    assert there == {name for name in PAPERS if name.startswith("schemas/")}


@pytest.mark.parametrize("topic", sorted(EVENTS))
def test_a_schema_is_one(topic: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(EVENTS[topic]))


def published(event: Event) -> dict[str, object]:
    entry = Entry(
        originator_id=uuid4(), originator_version=1, timestamp=NOON, by=Actor("a:b"), event=event
    )
    row = EntryMapper(KEYRING, {}).to_stored_event(entry)
    sent = Notification(
        id=1,
        originator_id=row.originator_id,
        originator_version=row.originator_version,
        topic=row.topic,
        state=row.state,
    )
    found: dict[str, object] = json.loads(message_of(sent).payload)
    return found


@given(event=st.one_of([facts(event) for event in EVENTS.values()]))
def test_what_goes_out_fits_its_schema_and_holds_nothing_sealed(event: Event) -> None:
    schema, message = schema_of(type(event)), published(event)
    assert message["dataschema"] == schema["$id"]
    jsonschema.validate(message["data"], schema)
    assert not set(message["data"]) & set(schema["x-sealed"])  # type: ignore[call-overload]


def test_the_feed_document_has_a_message_for_every_fact() -> None:
    document = json.loads(PAPERS["asyncapi.yaml"])
    envelope = document["components"]["schemas"]["envelope"]
    assert set(document["components"]["messages"]) == set(EVENTS)
    for topic, event in EVENTS.items():
        assert document["channels"][topic]["address"] == f"crm.{topic}.{{streamId}}"
        jsonschema.Draft202012Validator.check_schema(envelope)
        assert kind(event) == topic
