"""Merging where two processes do it: what one of them remembers may be of different times."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from builders import absorbed, note, sourced
from ledger_crm.commands import intake, merging
from ledger_crm.commands.intake import Reachable
from ledger_crm.domain.clock import now
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Intent, Ledger, Work
from scenario import ANA, KEYRING

pytestmark = pytest.mark.anyio

INTENT = Intent(by=ANA)


@pytest.fixture
def other(ledger: Ledger, database: str) -> Iterator[Ledger]:
    """A second door to the same ledger, as another process would have."""
    with Ledger(database, KEYRING) as other:
        yield other


async def somebody(ledger: Ledger) -> UUID:
    async def source(work: Work) -> Person:
        return await intake.source_person(work, sourced(), Reachable())

    return (await ledger.decide(source, intent=INTENT)).id


async def merge(ledger: Ledger, survivor: UUID, duplicate: UUID) -> None:
    fact = absorbed(duplicate_id=duplicate, absorbed_at=now())
    await ledger.decide(
        lambda work: merging.merge(work, survivor, fact), intent=INTENT, of=survivor
    )


async def the_other_way_round(ledger: Ledger, survivor: UUID, duplicate: UUID) -> None:
    await ledger.decide(
        lambda work: merging.unmerge(work, survivor, duplicate, at=now()),
        intent=INTENT,
        of=survivor,
    )
    await merge(ledger, duplicate, survivor)


async def say(ledger: Ledger, id: UUID) -> UUID:
    """The record that it was written on."""
    receipt = await ledger.decide(
        lambda work: intake.record(work, id, note()), intent=INTENT, of=id
    )
    return receipt.id


@pytest.mark.parametrize("forgotten", [0, 1])
@pytest.mark.parametrize("asked", [0, 1])
async def test_records_of_different_times_do_not_lead_round_in_a_circle(
    ledger: Ledger, other: Ledger, asked: int, forgotten: int
) -> None:
    """It went round for ever, and with it the process."""
    two = [await somebody(ledger) for _ in range(2)]
    await merge(other, *two)
    assert await say(other, two[0]) == two[0]
    await the_other_way_round(ledger, *two)
    other.memory.take([two[forgotten]])  # as another decision has it in hand
    assert await say(other, two[asked]) == two[1]


@pytest.mark.parametrize("forgotten", [0, 1])
async def test_nor_do_they_when_they_are_merged_again(
    ledger: Ledger, other: Ledger, forgotten: int
) -> None:
    two = [await somebody(ledger) for _ in range(2)]
    await merge(other, *two)
    await ledger.decide(
        lambda work: merging.unmerge(work, *two, at=now()), intent=INTENT, of=two[0]
    )
    other.memory.take([two[forgotten]])
    await merge(other, two[1], two[0])
    assert await say(other, two[0]) == two[1]
