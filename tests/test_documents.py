"""What is made from the code says what the code says, and holds for what really goes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import msgspec
import pytest
from eventsourcing.persistence import Notification
from hypothesis import given
from hypothesis import strategies as st

from builders import facts
from ledger_crm.api.answers import VALUES, Answers
from ledger_crm.api.facts import name_of
from ledger_crm.cli import documents
from ledger_crm.domain import EVENTS
from ledger_crm.domain.entry import Actor, Entry, Event, kind
from ledger_crm.domain.shape import schema_of
from ledger_crm.store import EntryMapper, decode_stored
from ledger_crm.workers.feed import message_of
from ledger_crm.workers.webhooks import signed
from scenario import KEYRING, NOON

pytestmark = pytest.mark.xdist_group("documents")  # which are made once, in seconds

DOCS = Path(__file__).parents[1] / "docs"
NAMES = ["asyncapi.yaml", "events.md", "openapi.json", "permissions.md",
         *(f"schemas/{topic}.json" for topic in sorted(EVENTS))]  # fmt: skip
papers = cache(documents.papers)  # made when a test wants them: whoever only collects need not wait


@pytest.mark.parametrize("name", NAMES)
def test_a_paper_is_as_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text() == papers()[name], "write it with: ledger-crm documents"


def test_each_paper_is_looked_at() -> None:
    assert sorted(papers()) == NAMES


def test_no_schema_is_of_a_fact_that_is_gone() -> None:
    there = {f"schemas/{path.name}" for path in (DOCS / "schemas").iterdir()}
    assert there == {name for name in NAMES if name.startswith("schemas/")}


@pytest.mark.parametrize("topic", sorted(EVENTS))
def test_a_schema_is_one(topic: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(EVENTS[topic]))


def written(event: Event) -> tuple[EntryMapper, Notification]:
    """With what opens it."""
    mapper = EntryMapper(KEYRING, {})
    entry = Entry(
        originator_id=uuid4(), originator_version=1, timestamp=NOON, by=Actor("a:b"), event=event
    )
    row = mapper.to_stored_event(entry)
    return mapper, Notification(
        id=1,
        originator_id=row.originator_id,
        originator_version=row.originator_version,
        topic=row.topic,
        state=row.state,
    )


def published(event: Event) -> dict[str, object]:
    found: dict[str, object] = json.loads(message_of(written(event)[1]).payload)
    return found


EVENTS_OF_ALL_KINDS = st.one_of([facts(event) for event in EVENTS.values()])


@cache
def api() -> Any:
    return json.loads(papers()["openapi.json"])


def as_a(name: str) -> jsonschema.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": api()["components"]}
    return jsonschema.Draft202012Validator(schema)


@given(event=EVENTS_OF_ALL_KINDS, opens=st.booleans())
def test_what_followers_are_told_is_a_fact_of_the_document(event: Event, opens: bool) -> None:
    mapper, row = written(event)
    told = (mapper if opens else EntryMapper(None, {})).told(row, decode_stored(row.state))
    found = json.loads(msgspec.json.encode(told))
    as_a(name_of(type(event))).validate(found["fact"])
    as_a("Fact").validate(found["fact"])
    as_a("Told").validate(found)


def test_a_fact_that_is_not_told_or_not_known_is_another_fact() -> None:
    for fact in ({"kind": "hidden"}, {"kind": "person.flew", "to": "Mars"}):
        assert not as_a("Fact").is_valid(fact)
        as_a("OtherFact").validate(fact)


def answers() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """In JSON, to what was done."""
    for path, operations in api()["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                for media_type, content in response.get("content", {}).items():
                    if (
                        status < "300"
                        and media_type.endswith("json")
                        and "ndjson" not in media_type
                    ):
                        yield f"{method} {path}", media_type, content


def test_every_answer_has_an_example_that_is_one() -> None:
    checked: set[str] = set()
    for operation, media_type, content in answers():
        assert content.get("examples"), (operation, media_type)
        of = json.dumps(content["schema"])
        schema = content["schema"] | {"components": api()["components"]}
        for ref in content["examples"].values():
            name = ref["$ref"].rpartition("/")[2]
            if of + name not in checked:
                checked.add(of + name)
                example = api()["components"]["examples"][name]["value"]
                jsonschema.Draft202012Validator(
                    schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
                ).validate(example)
    assert len(checked) > 100


def test_every_parameter_says_what_it_is() -> None:
    document = json.loads(papers()["openapi.json"])
    silent = [
        f"{parameter['name']} of {operation['operationId']}"
        for operations in document["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert not silent


def test_nothing_is_known_for_an_example_that_none_has() -> None:
    made = Answers(api()["components"]["schemas"])
    for _, _, content in answers():
        made.of(content["schema"])
    assert made.used == VALUES.keys()


def test_every_problem_has_an_example() -> None:
    for status, response in api()["components"]["responses"].items():
        for content in response.get("content", {}).values():
            as_a("Problem").validate(content["example"])
            assert content["example"]["type"] in response["x-problem-types"]
            assert str(content["example"]["status"]) == status


@given(event=EVENTS_OF_ALL_KINDS)
def test_what_goes_out_fits_its_schema_and_holds_nothing_sealed(event: Event) -> None:
    schema, message = schema_of(type(event)), published(event)
    assert message["dataschema"] == schema["$id"]
    jsonschema.validate(message["data"], schema)
    assert not set(message["data"]) & set(schema["x-sealed"])  # type: ignore[call-overload]


@given(event=EVENTS_OF_ALL_KINDS)
def test_what_a_receiver_is_sent_is_in_the_api_document(event: Event) -> None:
    operation = api()["webhooks"]["entry"]["post"]
    headers = signed(["whsec_c2VjcmV0"], "entry_1", 1, b"{}")
    assert [headers.pop("content-type")] == [*operation["requestBody"]["content"]]
    assert headers.keys() - {"user-agent"} == {each["name"] for each in operation["parameters"]}
    as_a("CloudEvent").validate(published(event))
    as_a(name_of(type(event))).validate(published(event)["data"])


def test_the_feed_document_has_a_message_for_every_fact() -> None:
    document = json.loads(papers()["asyncapi.yaml"])
    envelope = document["components"]["schemas"]["envelope"]
    assert set(document["components"]["messages"]) == set(EVENTS)
    for topic, event in EVENTS.items():
        assert document["channels"][topic]["address"] == f"crm.{topic}.{{streamId}}"
        jsonschema.Draft202012Validator.check_schema(envelope)
        assert kind(event) == topic
