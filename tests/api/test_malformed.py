"""Whatever is sent as a body, it is either what we take or told why not. Looks for a document on
which the walk stumbles, or for a refusal without a reason."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_crm.api.batch import Batch
from ledger_crm.api.companies import NewDeal
from ledger_crm.api.examples import EXAMPLES
from ledger_crm.api.malformed import MOST, _once, _twice, faults_of
from ledger_crm.api.people import MoveNow, NewPerson
from ledger_crm.api.portal import NewVerdict
from ledger_crm.domain.agreement import FeeAgreed
from ledger_crm.domain.interaction import Interactions
from ledger_crm.domain.pipeline import PipelineDefined

TAKEN: dict[str, Any] = {
    "add_person": NewPerson,
    "record_interaction": Interactions,
    "move_candidacy": MoveNow,
    "open_deal": NewDeal,
    "agree_fee": FeeAgreed,
    "define_pipeline": PipelineDefined,
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.sampled_from(["2026-01-01T00:00:00Z", "sourced", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)  # fmt: skip


@st.composite
def nearly(draw: st.DrawFn, name: str) -> Any:
    """An example with a member replaced, added or taken away, here or further in."""
    document = json.loads(json.dumps(draw(st.sampled_from(list(EXAMPLES[name].values())))))
    at = document
    while isinstance(at, dict) and at:
        field = draw(st.sampled_from(sorted(at)))
        if isinstance(at[field], list) and draw(st.booleans()):
            at = at[field][0]
            continue
        match draw(st.sampled_from(["replace", "add", "remove", "leave"])):
            case "replace":
                at[field] = draw(anything)
            case "add":
                at[draw(st.text(max_size=8))] = draw(anything)
            case "remove":
                del at[field]
        break
    return document


@pytest.mark.parametrize("name", TAKEN)
@settings(max_examples=50)
@given(data=st.data())
def test_a_body_is_taken_or_told_why_not(name: str, data: st.DataObject) -> None:
    body = json.dumps(data.draw(nearly(name) | anything)).encode()
    faults = faults_of(TAKEN[name], body)
    try:
        msgspec.json.decode(body, type=TAKEN[name])
    except msgspec.MsgspecError:
        assert 0 < len(faults) <= MOST
        assert all(fault.detail for fault in faults)
    else:
        assert all("U+0000" in fault.detail for fault in faults)


PARTS = st.text(st.sampled_from([*'ab:"\\', "é", "\0"]), max_size=3)


@st.composite
def objects(draw: st.DrawFn, depth: int = 2) -> str:
    """JSON in which names may be given more than once, and any text be escaped."""

    def text() -> str:
        said = json.dumps(draw(PARTS), ensure_ascii=draw(st.booleans()))
        return said.replace(":", "\\u003a") if draw(st.booleans()) else said

    inner = objects(depth - 1) if depth else st.just("1")
    values = st.one_of(inner, inner.map("[{}]".format), st.just(0).map(lambda _: text()))
    pairs = [f"{text()}: {draw(values)}" for _ in range(draw(st.integers(0, 3)))]
    return "{" + ",".join(pairs) + "}"


@settings(max_examples=100)
@given(body=objects().map(str.encode))
def test_no_name_that_is_given_twice_is_overlooked_at_a_glance(body: bytes) -> None:
    if _once(msgspec.json.decode(body), body):
        assert not _twice(body)


def test_one_of_some_words_is_told_which_there_are_and_not_what_was_sent() -> None:
    """Also where it may be null: there the decoder's own words said what was sent, and no more."""
    body = b'{"candidate": "A", "verdict": "zz", "reason": "Ada"}'
    told = {each.pointer: each.detail for each in faults_of(NewVerdict, body)}
    assert told["/verdict"] == "expected one of interview, reject, hold"
    assert told["/reason"].startswith("expected one of skills, experience, seniority, ")
    assert "Ada" not in str(told)


def test_of_many_only_what_is_wrong_is_walked() -> None:
    """A body of a megabyte kept everybody else waiting for twenty seconds."""
    whole = {"path": "/people", "body": {"name": "Ada"}, "if_match": '"1"'}
    document = {"commands": [*[whole] * 2_000, {"path": "/people"}]}
    calls = 0

    def counted(_: object, what: str, __: object) -> None:
        nonlocal calls
        calls += what == "call"

    body = json.dumps(document).encode()
    sys.setprofile(counted)
    try:
        found = faults_of(Batch, body)
    finally:
        sys.setprofile(None)
    assert [each.pointer for each in found] == ["/commands/2000/body"]
    assert calls < 50_000, "twenty for each"
