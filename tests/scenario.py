"""given(events) -> when(command) -> then(events): the domain's tests in its own words.

given(Person, sourced()).when(lambda p: p.record(replied(), by=ANA)).then(replied())
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

import pytest

from ledger_crm.domain.entry import Actor, Aggregate, Entry, Event
from ledger_crm.domain.refusals import Refusal
from ledger_crm.sealing import Keyring

ANA = Actor("consultant:ana")
BEN = Actor("consultant:ben")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(days=1)

KEYRING = Keyring(b"k" * 32)  # the deployment key of all tests, golden lines too

PERSON = UUID(int=0xA1)
COMPANY = UUID(int=0xC1)


def entries(type_: type[Aggregate], *events: Event, id: UUID = PERSON) -> list[Entry[Any]]:
    """One stream of ``events``, written by Ana at noon."""
    return [
        Entry(
            originator_id=id,
            originator_version=version,
            originator_topic=type_.TOPIC if version == 1 else "",
            timestamp=NOON,
            by=ANA,
            event=event,
        )
        for version, event in enumerate(events, start=1)
    ]


def folded(type_: type[Any], *events: Event, id: UUID = PERSON) -> Any:
    aggregate = None
    for entry in entries(type_, *events, id=id):
        aggregate = entry.mutate(aggregate)
    return aggregate


class Given:
    def __init__(self, aggregate: Any) -> None:
        self.aggregate = aggregate
        self.command: Callable[[Any], object]

    def when(self, command: Callable[[Any], object]) -> Self:
        self.command = command
        return self

    def then(self, *expected: Event) -> None:
        self.command(self.aggregate)
        assert [entry.event for entry in self.aggregate.collect_events()] == list(expected)

    def then_nothing(self) -> None:
        self.then()

    def then_refused(self, refusal: type[Refusal], **facts: object) -> None:
        """Also with these ``facts``, among others; and nothing is left to be written."""
        with pytest.raises(refusal) as refused:
            self.command(self.aggregate)
        assert type(refused.value) is refusal
        assert refused.value.facts.items() >= facts.items()
        assert not self.aggregate.pending_events


def given(type_: type[Aggregate], *events: Event, id: UUID = PERSON) -> Given:
    return Given(folded(type_, *events, id=id))
