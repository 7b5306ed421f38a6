"""Who heard last of whom, by what counts as reaching and hearing."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from builders import (
    added,
    bounced,
    call,
    clicked,
    company_snoozed,
    meeting,
    message_opened,
    note,
    replied,
    sent,
    snoozed,
    sourced,
)
from ledger_crm.domain.company import Company
from ledger_crm.domain.engagement import SnoozeNeedsReason, contact, last_to_reach, later
from ledger_crm.domain.permission import LastsUntilBefore
from ledger_crm.domain.person import Person
from scenario import ANA, COMPANY, LATER, NOON, PERSON, given


@pytest.mark.parametrize(
    ("fact", "reached_at", "heard_at"),
    [
        (sent(), NOON, None),
        (replied(), None, NOON),
        (call(direction="in"), NOON, NOON),
        (meeting(), NOON, NOON),
        (message_opened(), None, None),  # perhaps a machine did
        (clicked(), None, None),
        (bounced(), None, None),
        (note(written_at=NOON), None, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_counts_as_contact(fact: Any, reached_at: Any, heard_at: Any) -> None:
    assert contact(fact) == (reached_at, heard_at)


def test_the_later_of_two_stands_also_if_it_came_first() -> None:
    assert later(LATER, NOON) == later(NOON, LATER) == LATER
    assert later(None, NOON) == later(NOON, None) == NOON
    assert later(None, None) is None


def test_a_message_is_opened_often_and_bounces_once() -> None:
    assert message_opened().once != message_opened(opened_at=LATER).once
    assert clicked().once != clicked(url="https://us.example/other").once
    assert bounced().once == bounced(bounced_at=LATER).once
    assert bounced().once != sent().once


def test_a_note_is_in_the_history_of_whom_it_mentions_once() -> None:
    fact = note(mentions=(PERSON, PERSON), company_id=COMPANY)
    assert (fact.concerns, fact.others) == ((COMPANY,), (PERSON,))


@pytest.mark.parametrize(
    ("record", "begun", "fact"),
    [(Person, sourced(), snoozed), (Company, added(), company_snoozed)],
    ids=["person", "company"],
)
def test_quiet_is_snoozed_to_a_day_that_has_not_passed(record: Any, begun: Any, fact: Any) -> None:
    given(record, begun).when(lambda r: r.snooze_quiet(fact(), by=ANA)).then(fact())
    today = fact(until_on=NOON.date())
    given(record, begun).when(lambda r: r.snooze_quiet(today, by=ANA)).then(today)
    passed = fact(until_on=date(2026, 3, 1))
    given(record, begun).when(lambda r: r.snooze_quiet(passed, by=ANA)).then_refused(
        LastsUntilBefore
    )
    bare = fact(reason="")
    given(record, begun).when(lambda r: r.snooze_quiet(bare, by=ANA)).then_refused(
        SnoozeNeedsReason
    )


def test_who_of_us_reached_out_last_is_told_by_when_they_did_and_not_by_when_it_was_told() -> None:
    early, late = NOON, LATER
    assert last_to_reach("consultant:cid", "consultant:ana", late, early) == "consultant:ana"
    assert last_to_reach("consultant:cid", "consultant:ana", early, late) == "consultant:cid"
    assert last_to_reach("consultant:cid", "consultant:ana", early, None) == "consultant:ana"
    assert last_to_reach("consultant:cid", "integration:mail", late, early) == "consultant:cid"
    assert last_to_reach("consultant:cid", "consultant:ana", None, early) == "consultant:cid"
