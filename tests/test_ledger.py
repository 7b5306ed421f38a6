"""The door: receipts, once, reservations, keys, versions, races; and a database that goes away."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from builders import (
    AGREEMENT,
    ORDER,
    added,
    consent,
    employed,
    fee_agreed,
    hold_placed,
    no_consent,
    note,
    order_opened,
    replied,
    sent,
    sourced,
)
from conftest import copy, prepare, url_of
from ledger_crm import ledger as module
from ledger_crm.commands import candidacies, catalogue, intake, selling
from ledger_crm.commands.intake import Reachable
from ledger_crm.domain.access import Holder
from ledger_crm.domain.candidacy import Introduced
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import ERASED, Actor, Aggregate, Entry, IdTaken, kind
from ledger_crm.domain.firm import DomainTaken
from ledger_crm.domain.identity import ContactPointRemoved
from ledger_crm.domain.interaction import Interaction
from ledger_crm.domain.joborder import JobOrderCancelled, JobOrderIsClosed
from ledger_crm.domain.permission import NoConsent
from ledger_crm.domain.person import ContactPointTaken, Person, PersonSourced
from ledger_crm.domain.pipeline import SALES, TALENT, Pipeline, pipeline_id
from ledger_crm.domain.privacy import PersonIsErased, UnderLegalHold
from ledger_crm.embedded import Postgres
from ledger_crm.ledger import (
    ATTEMPTS,
    HELD_S,
    AlreadyThere,
    Busy,
    Held,
    Intent,
    KeyReused,
    Ledger,
    Memory,
    NoSuchRecord,
    PartlyThere,
    Receipt,
    Repeated,
    StaleVersion,
    Unavailable,
    Work,
)
from ledger_crm.sealing import WrongKey
from ledger_crm.store import Save
from scenario import ANA, BEN, KEYRING, NOON
from waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.anyio

BY_ANA = Intent(by=ANA)


@pytest.fixture
def other(database: str) -> Iterator[Ledger]:
    """A second door to the same ledger, as another process would have."""
    with Ledger(database, KEYRING) as other:
        yield other


async def add_person(
    ledger: Ledger, email: str = "", *, id: UUID | None = None, intent: Intent = BY_ANA
) -> UUID:
    decision = partial(
        intake.source_person, fact=sourced(), reachable=Reachable(email=email), id=id
    )
    return (await ledger.decide(decision, intent=intent)).id


async def record(
    ledger: Ledger, id: UUID, fact: Interaction, *, intent: Intent = BY_ANA
) -> Receipt:
    return await ledger.change(Person, id, lambda p: p.record(fact, by=intent.by), intent=intent)


async def facts(ledger: Ledger, id: UUID) -> list[Any]:
    return [entry.event for entry in await ledger.stream(id)]


def key(key: str, fingerprint: bytes = b"1", **rest: Any) -> Intent:
    return Intent(**{"by": ANA} | rest, key=key, fingerprint=fingerprint)


# receipts


async def test_a_receipt_names_the_record_its_version_and_the_position(ledger: Ledger) -> None:
    id = await add_person(ledger, "ada@example.org")
    assert await record(ledger, id, replied()) == Receipt(id, version=3, position=3)
    assert await ledger.head() == 3


async def test_what_changes_nothing_has_no_position(ledger: Ledger) -> None:
    id = await add_person(ledger, "ada@example.org")
    receipt = await ledger.change(
        Person, id, lambda p: p.add_contact_point("email", "ADA@example.org", by=ANA), intent=BY_ANA
    )
    assert receipt == Receipt(id, version=2, position=None)
    assert await ledger.head() == 2


async def test_there_is_no_such_record(ledger: Ledger) -> None:
    with pytest.raises(NoSuchRecord) as refused:
        await record(ledger, id := uuid4(), note())
    assert refused.value.facts == {"person_id": id}


async def test_a_company_is_no_person(ledger: Ledger) -> None:
    company = await ledger.decide(partial(intake.add_company, fact=added()), intent=BY_ANA)
    with pytest.raises(NoSuchRecord):
        await ledger.get(Person, company.id)
    with pytest.raises(NoSuchRecord):
        await record(ledger, company.id, note())


async def test_an_id_begins_one_record(ledger: Ledger) -> None:
    id = await add_person(ledger)
    with pytest.raises(AlreadyThere) as refused:
        await add_person(ledger, id=id)
    assert refused.value.facts == {"id": id}


# once


async def test_a_message_delivered_again_is_a_no_op(ledger: Ledger) -> None:
    id = await add_person(ledger)
    await record(ledger, id, replied("<1@x>"))
    assert await record(ledger, id, replied("<1@x>", text="again")) == Receipt(id, 2, None)
    assert await facts(ledger, id) == [sourced(), replied("<1@x>")]


async def test_the_same_message_to_two_people_is_on_both(ledger: Ledger) -> None:
    for id in [await add_person(ledger), await add_person(ledger)]:
        assert (await record(ledger, id, sent("<1@x>"))).position


async def test_a_message_delivered_to_two_processes_at_once_is_written_once(
    ledger: Ledger, other: Ledger
) -> None:
    id = await add_person(ledger)
    doors = [ledger, other] * 4
    receipts = await asyncio.gather(*(record(door, id, replied()) for door in doors))
    assert Counter(receipt.position for receipt in receipts) == {2: 1, None: 7}
    assert await facts(ledger, id) == [sourced(), replied()]


async def test_a_message_that_came_before_is_answered_alike_under_a_key(ledger: Ledger) -> None:
    id = await add_person(ledger)
    await record(ledger, id, replied())
    first = await record(ledger, id, replied(), intent=key("k"))
    assert first == Receipt(id, 2, None)
    await record(ledger, id, note())
    assert await record(ledger, id, replied(), intent=key("k")) == first


async def test_a_new_fact_beside_a_repeated_one_is_refused_and_not_dropped(ledger: Ledger) -> None:
    id = await add_person(ledger)
    await ledger.change(Person, id, lambda p: p.record(sent(), by=ANA), intent=BY_ANA)

    def both(person: Person) -> None:
        person.record(sent(), by=ANA)
        person.record(note(), by=ANA)

    with pytest.raises(PartlyThere):
        await ledger.change(Person, id, both, intent=Intent(by=ANA, key="both", fingerprint=b"1"))
    assert await ledger.head() == 2
    assert not await ledger.receipts([Intent(by=ANA, key="both", fingerprint=b"1")])


async def test_a_message_twice_in_one_work_is_refused_with_all_of_it(ledger: Ledger) -> None:
    """Whoever writes many together is told, and leaves out what was repeated."""
    id, work = await add_person(ledger), Work(ledger, ANA)
    for fact in (replied(), note(), replied()):
        await intake.record(work, id, fact)
        work.stage()
    with pytest.raises(Repeated):
        await work.commit()
    assert await facts(ledger, id) == [sourced()]


# reservations


async def test_an_address_belongs_to_one_person_and_the_refusal_says_to_whom(
    ledger: Ledger,
) -> None:
    ada = await add_person(ledger, "ada@example.org")
    head = await ledger.head()
    with pytest.raises(ContactPointTaken) as refused:
        await add_person(ledger, "Ada@Example.org")
    assert refused.value.facts == {"holder": ada}
    assert await ledger.head() == head


async def test_a_domain_belongs_to_one_company(ledger: Ledger) -> None:
    first = await ledger.decide(partial(intake.add_company, fact=added()), intent=BY_ANA)
    with pytest.raises(DomainTaken) as refused:
        await ledger.decide(partial(intake.add_company, fact=added()), intent=BY_ANA)
    assert refused.value.facts == {"holder": first.id}


async def test_what_was_refused_reserves_nothing(ledger: Ledger) -> None:
    await add_person(ledger, "ada@example.org")
    reachable = Reachable(email="ada@example.org", phone="+44 20 7946 0958")
    decision = partial(intake.source_person, fact=sourced(), reachable=reachable)
    with pytest.raises(ContactPointTaken):
        await ledger.decide(decision, intent=BY_ANA)
    free = partial(intake.source_person, fact=sourced(), reachable=Reachable(phone="+442079460958"))
    assert (await ledger.decide(free, intent=BY_ANA)).position


async def test_of_many_who_want_an_address_at_once_exactly_one_gets_it(
    ledger: Ledger, other: Ledger
) -> None:
    wishes = [add_person(door, "ada@example.org") for door in [ledger, other] * 5]
    answers = await asyncio.gather(*wishes, return_exceptions=True)
    [winner] = [answer for answer in answers if isinstance(answer, UUID)]
    refusals = [answer for answer in answers if answer != winner]
    assert [type(refusal) for refusal in refusals] == [ContactPointTaken] * 9
    assert {refusal.facts["holder"] for refusal in refusals} == {winner}  # type: ignore[union-attr]
    assert await ledger.head() == 2


async def test_what_has_an_id_of_its_own_has_it_alone(ledger: Ledger) -> None:
    """Read models find job orders, deals and agreements by their id, whosever they are."""
    await ledger.decide(partial(catalogue.define_pipeline, definition=TALENT), intent=BY_ANA)
    await ledger.decide(partial(catalogue.define_pipeline, definition=SALES), intent=BY_ANA)
    ada = await add_person(ledger)
    one, two = [
        (await ledger.decide(partial(intake.add_company, fact=added(domain="")), intent=BY_ANA)).id
        for _ in range(2)
    ]

    async def each(company: UUID) -> None:
        order = partial(selling.open_job_order, company_id=company, fact=order_opened())
        deal = partial(selling.open_deal, company_id=company, title="T", at=NOON, id=AGREEMENT)
        for made in (order, deal):
            await ledger.decide(made, intent=BY_ANA, of=company)
        fact = fee_agreed(job_order_id=None)
        await ledger.change(Company, company, lambda c: c.agree_fee(fact, by=ANA), intent=BY_ANA)

    await each(one)
    for made in (
        partial(selling.open_job_order, company_id=two, fact=order_opened()),
        partial(selling.open_job_order, company_id=two, fact=order_opened(job_order_id=ada)),
        partial(selling.open_deal, company_id=two, title="T", at=NOON, id=AGREEMENT),
    ):
        with pytest.raises(IdTaken):
            await ledger.decide(made, intent=BY_ANA, of=two)
    with pytest.raises(IdTaken):
        await ledger.change(
            Company,
            two,
            lambda c: c.agree_fee(fee_agreed(job_order_id=None), by=ANA),
            intent=BY_ANA,
        )


async def test_a_refusal_leaves_the_connection_as_good_as_it_was(ledger: Ledger) -> None:
    """A refused pipeline made psycopg believe in prepared statements that the server never saw:
    from then on good writes on that connection failed, now and then."""
    ada = await add_person(ledger, "ada@example.org")
    for number in range(60):
        with pytest.raises(ContactPointTaken):
            await add_person(ledger, "ada@example.org", intent=key(f"taken {number}"))
        await add_person(ledger, f"{number}@example.org", intent=key(f"free {number}"))
        await record(ledger, ada, note(), intent=key(f"noted {number}"))
    assert await ledger.head() == 2 + 60 * 3


async def test_two_new_people_in_one_work_cannot_share_an_address(ledger: Ledger) -> None:
    work = Work(ledger, ANA)
    people = [
        await intake.source_person(work, sourced(), Reachable(email="ada@example.org"))
        for _ in range(2)
    ]
    work.stage()
    with pytest.raises(ContactPointTaken) as refused:
        await work.commit()
    assert refused.value.facts["holder"] in {person.id for person in people}
    assert await ledger.head() == 0


# idempotency keys


async def test_the_same_key_gets_the_first_answer(ledger: Ledger) -> None:
    """Also when it makes a new record, whose id the caller cannot know."""
    first = await add_person(ledger, intent=key("k"))
    assert await add_person(ledger, intent=key("k")) == first
    assert await ledger.head() == 1


async def test_the_same_key_for_another_request_is_refused(ledger: Ledger) -> None:
    id = await add_person(ledger)
    await record(ledger, id, note("one"), intent=key("k", b"one"))
    with pytest.raises(KeyReused) as refused:
        await record(ledger, id, note("two"), intent=key("k", b"two"))
    assert refused.value.facts == {"key": "k"}
    assert await facts(ledger, id) == [sourced(), note("one")]


async def test_keys_of_two_people_do_not_meet(ledger: Ledger) -> None:
    id = await add_person(ledger)
    await record(ledger, id, note("one"), intent=key("k", b"one", by=ANA))
    assert (await record(ledger, id, note("two"), intent=key("k", b"two", by=BEN))).version == 3


async def test_a_key_used_many_times_at_once_writes_once(ledger: Ledger, other: Ledger) -> None:
    id = await add_person(ledger)
    twins = [record(door, id, note(), intent=key("k")) for door in [ledger, other] * 5]
    assert set(await asyncio.gather(*twins)) == {Receipt(id, 2, 2)}
    assert await facts(ledger, id) == [sourced(), note()]


async def test_a_key_used_twice_at_once_makes_one_record(ledger: Ledger, other: Ledger) -> None:
    """The ids are made by each attempt, so only the key stands between us and two people."""
    ids = await asyncio.gather(*(add_person(door, intent=key("k")) for door in [ledger, other] * 5))
    assert len(set(ids)) == 1
    assert await ledger.head() == 1


async def test_the_answer_that_nothing_was_new_is_kept_too(ledger: Ledger) -> None:
    id = await add_person(ledger, "ada@example.org")

    async def again() -> Receipt:
        return await ledger.change(
            Person,
            id,
            lambda p: p.add_contact_point("email", "ada@example.org", by=ANA),
            intent=key("k"),
        )

    first = await again()
    assert first == Receipt(id, 2, None)
    await record(ledger, id, note())
    assert await again() == first


async def test_a_refused_command_leaves_its_key_unused(ledger: Ledger) -> None:
    id = uuid4()
    with pytest.raises(NoSuchRecord):
        await record(ledger, id, note(), intent=key("k"))
    await add_person(ledger, id=id)
    assert (await record(ledger, id, note(), intent=key("k"))).version == 2


# versions


async def test_a_version_that_was_overtaken_is_refused(ledger: Ledger) -> None:
    id = await add_person(ledger)
    seen = Intent(by=ANA, expected=1)
    assert (await record(ledger, id, note("one"), intent=seen)).version == 2
    with pytest.raises(StaleVersion) as refused:
        await record(ledger, id, note("two"), intent=seen)
    assert refused.value.facts == {"id": id, "expected": 1, "found": 2}


async def test_who_named_a_version_is_not_decided_for_again(ledger: Ledger, other: Ledger) -> None:
    id = await add_person(ledger)
    wishes = [
        record(door, id, note(), intent=Intent(by=ANA, expected=1)) for door in [ledger, other] * 4
    ]
    answers = await asyncio.gather(*wishes, return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {Receipt: 1, StaleVersion: 7}
    assert await ledger.head() == 2


async def test_who_named_a_version_is_decided_for_again_if_only_something_else_has_moved(
    ledger: Ledger, other: Ledger
) -> None:
    """They would be told that the record is not at the version at which it is."""
    person, another = await add_person(ledger), await add_person(ledger)
    looked = count()

    async def deciding(work: Work) -> Person:
        found = await work.get(Person, person)
        await work.get(Person, another)
        if next(looked) < 2:
            await record(other, another, replied(f"<{uuid4()}@x>"))
        found.record(replied(), by=ANA)
        return found

    version = (await ledger.get(Person, person)).version
    on_it = Intent(by=ANA, expected=version)
    assert (await ledger.decide(deciding, intent=on_it, of=person)).version == version + 1
    with pytest.raises(StaleVersion) as refused:
        await ledger.decide(deciding, intent=on_it, of=person)
    assert refused.value.facts["found"] == version + 1


async def test_who_named_a_version_is_decided_for_again_if_they_read_others_of_different_times(
    ledger: Ledger,
) -> None:
    person = await add_person(ledger)
    looked = count()

    async def deciding(work: Work) -> Person:
        found = await work.get(Person, person)
        if next(looked) < 2:
            raise StaleVersion(id=uuid4())
        found.record(replied(), by=ANA)
        return found

    on_it = Intent(by=ANA, expected=1)
    assert (await ledger.decide(deciding, intent=on_it, of=person)).version == 2


async def test_a_retry_under_its_key_is_answered_before_its_version_is_looked_at(
    ledger: Ledger,
) -> None:
    """Its own first attempt is what moved the version."""
    id = await add_person(ledger)
    wish = key("k", expected=1)
    first = await record(ledger, id, note(), intent=wish)
    assert await record(ledger, id, note(), intent=wish) == first


class HeldUp:
    """Saves that wait until they may go on, and what came in each call."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Sequence[Save]] = []
        self.save, self.go_on = ledger.store.append_together, threading.Event()
        monkeypatch.setattr(ledger.store, "append_together", self)

    def __call__(self, saves: Sequence[Save]) -> Any:
        self.asked.append(saves)
        assert self.go_on.wait(PATIENCE_S)
        return self.save(saves)


async def test_a_refusal_among_writes_is_proved_with_them_and_nothing_is_read_anew(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, *ids = [await add_person(ledger) for _ in range(3)]
    head, saves = await ledger.head(), HeldUp(ledger, monkeypatch)
    writing = asyncio.create_task(record(ledger, busy, note()))
    await eventually(lambda: len(saves.asked) == 1)
    monkeypatch.setattr(ledger.store, "load_together", None)
    wishes = [key("k", expected=7), Intent(by=ANA, expected=7)]
    refused = [
        asyncio.create_task(record(ledger, id, note(), intent=wish))
        for id, wish in zip(ids, wishes, strict=True)
    ]
    await eventually(lambda: len(ledger._saving._waiting) == 2)
    saves.go_on.set()
    for each in refused:
        with pytest.raises(StaleVersion):
            await each
    await writing
    assert [len(each) for each in saves.asked] == [1, 2]
    monkeypatch.undo()
    assert await ledger.head() == head + 1
    await record(ledger, ids[0], note(), intent=key("k", expected=1))  # no receipt was kept


async def test_a_refusal_on_its_own_is_read_anew_and_commits_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await add_person(ledger)
    monkeypatch.setattr(ledger.store, "append_together", None)
    looks, look = count(), ledger.store._select

    def counted(*asked: Any) -> Any:
        next(looks)
        return look(*asked)

    monkeypatch.setattr(ledger.store, "_select", counted)
    with pytest.raises(StaleVersion):
        await record(ledger, id, note(), intent=key("k", expected=7))
    assert next(looks) == 1, "with the receipt"
    with pytest.raises(StaleVersion):
        await record(ledger, id, note(), intent=Intent(by=ANA, expected=7))
    assert next(looks) == 3


@pytest.mark.parametrize("known", [True, False])
async def test_a_twin_elsewhere_is_found_by_the_look_that_shows_what_it_wrote(
    ledger: Ledger, other: Ledger, *, known: bool
) -> None:
    id = await add_person(ledger if known else other)
    wish = key("k", expected=2)
    await record(other, id, note())
    first = await record(other, id, note(), intent=wish)
    assert await record(ledger, id, note(), intent=wish) == first
    with pytest.raises(KeyReused):
        await record(ledger, id, note(), intent=key("k", b"another", expected=2))


# races


class Interrupted:
    """A decision during which somebody else writes: the first ``times`` it is taken."""

    def __init__(
        self, decision: Callable[[Work], Awaitable[Any]], by: Callable[[], Awaitable[object]],
        times: int = 1,
    ) -> None:  # fmt: skip
        self.decision, self.by, self.times, self.taken = decision, by, times, 0

    async def __call__(self, work: Work) -> Any:
        self.taken += 1
        subject = await self.decision(work)
        if self.taken <= self.times:
            await self.by()
        return subject


async def test_whoever_loses_a_race_decides_again_on_what_the_winner_wrote(
    ledger: Ledger, other: Ledger
) -> None:
    id = await add_person(ledger)
    decision = Interrupted(
        partial(intake.record, person_id=id, interaction=note("mine")),
        lambda: record(other, id, note("theirs")),
    )
    assert await ledger.decide(decision, intent=BY_ANA, of=id) == Receipt(id, 3, 3)
    assert decision.taken == 2
    assert await facts(ledger, id) == [sourced(), note("theirs"), note("mine")]


async def test_whoever_always_loses_hears_of_it(ledger: Ledger, other: Ledger) -> None:
    id = await add_person(ledger)
    decision = Interrupted(
        partial(intake.record, person_id=id, interaction=note("mine")),
        lambda: record(other, id, note("theirs")),
        times=100,
    )
    with pytest.raises(Busy):  # they named no version: it is not that theirs is gone
        await ledger.decide(decision, intent=BY_ANA, of=id)
    assert decision.taken == ATTEMPTS
    assert note("mine") not in await facts(ledger, id)


async def test_two_processes_at_one_record_lose_nothing(ledger: Ledger, other: Ledger) -> None:
    id = await add_person(ledger)
    for n in range(10):
        await asyncio.gather(
            *(record(door, id, note(f"{n}")) for door in (ledger, other) for _ in range(2))
        )
    assert Counter(fact.text for fact in (await facts(ledger, id))[1:]) == {
        f"{n}": 4 for n in range(10)
    }


# what a decision rests on


@pytest.fixture
async def candidacy(ledger: Ledger) -> tuple[UUID, UUID, UUID]:
    """Everything is there for an introduction: person, company, candidacy."""
    await catalogue.ship(ledger)
    company = (await ledger.decide(partial(intake.add_company, fact=added()), intent=BY_ANA)).id

    def prepare(c: Company) -> None:
        c.open_job_order(order_opened(), by=ANA)
        c.agree_fee(fee_agreed(), by=ANA)

    await ledger.change(Company, company, prepare, intent=BY_ANA)
    person = await add_person(ledger)
    await ledger.decide(
        partial(
            candidacies.open_candidacy,
            person_id=person, company_id=company, job_order_id=ORDER, at=NOON,
        ),
        intent=BY_ANA,
    )  # fmt: skip
    [id] = (await ledger.get(Person, person)).candidacies
    await ledger.change(
        Person, person, lambda p: p.give_right_to_represent(id, at=NOON, by=ANA), intent=BY_ANA
    )
    return person, company, id


async def cancel(ledger: Ledger, company: UUID) -> Receipt:
    return await ledger.change(
        Company,
        company,
        lambda c: c.cancel_job_order(ORDER, at=NOON, reason="frozen", by=ANA),
        intent=BY_ANA,
    )


def introduction(person: UUID, candidacy: UUID) -> Callable[[Work], Awaitable[Person]]:
    return partial(candidacies.introduce, person_id=person, candidacy_id=candidacy, at=NOON)


async def test_nobody_is_introduced_on_an_order_that_is_cancelled_meanwhile(
    ledger: Ledger, other: Ledger, candidacy: tuple[UUID, UUID, UUID]
) -> None:
    """No write skew: the two decisions write different streams, so versions alone let both by."""
    person, company, id = candidacy
    decision = Interrupted(introduction(person, id), lambda: cancel(other, company))
    with pytest.raises(JobOrderIsClosed):
        await ledger.decide(decision, intent=BY_ANA, of=person)
    assert decision.taken == 2
    assert not any(isinstance(fact, Introduced) for fact in await facts(ledger, person))


async def test_what_moved_without_mattering_does_not_stop_an_introduction(
    ledger: Ledger, other: Ledger, candidacy: tuple[UUID, UUID, UUID]
) -> None:
    person, company, id = candidacy
    later = fee_agreed(agreement_id=UUID(int=2), rate_bp=3_000)
    decision = Interrupted(
        introduction(person, id),
        lambda: other.change(Company, company, lambda c: c.agree_fee(later, by=ANA), intent=BY_ANA),
    )
    await ledger.decide(decision, intent=BY_ANA, of=person)
    fact = (await facts(ledger, person))[-1]
    assert fact.agreement_id == UUID(int=2), "decided again, on the terms that are in force now"
    assert fact.agreement_id != AGREEMENT


async def test_an_introduction_and_a_cancellation_at_once_are_never_both(
    ledger: Ledger, other: Ledger, candidacy: tuple[UUID, UUID, UUID]
) -> None:
    """Or the introduction came first, and then it was on an open order."""
    person, company, id = candidacy
    with suppress(JobOrderIsClosed):
        await asyncio.gather(
            cancel(other, company),
            ledger.decide(introduction(person, id), intent=BY_ANA, of=person),
        )
    order = [
        type(entry.event)
        for entry in await ledger.entries()
        if isinstance(entry.event, Introduced | JobOrderCancelled)
    ]
    assert order in ([JobOrderCancelled], [Introduced, JobOrderCancelled])


async def test_an_employment_rests_on_a_company_that_is_there(ledger: Ledger) -> None:
    person = await add_person(ledger)
    with pytest.raises(NoSuchRecord):
        await ledger.decide(
            partial(intake.employ, person_id=person, fact=employed()), intent=BY_ANA
        )


# many commands, one transaction


async def test_commands_written_together_have_a_receipt_each(ledger: Ledger) -> None:
    work, wishes = Work(ledger, ANA), [key("1"), key("2"), key("3")]
    people: list[Aggregate] = []
    for wish in wishes[:2]:
        person = await intake.source_person(work, sourced(), Reachable())
        person.record(note(), by=ANA)
        work.stage(wish, person)
        people.append(person)
    work.stage(wishes[2], people[0])  # which had nothing new
    assert list(await work.commit()) == [1, 2, 3, 4]
    assert await ledger.receipts(wishes) == {
        "1": Receipt(people[0].id, 2, 2),
        "2": Receipt(people[1].id, 2, 4),
        "3": Receipt(people[0].id, 2, None),
    }


async def test_what_was_undone_is_not_written_and_the_rest_is(ledger: Ledger) -> None:
    work = Work(ledger, ANA)
    first = await intake.source_person(work, sourced(), Reachable())
    work.stage()
    (await work.get(Person, first.id)).record(note("forget me"), by=ANA)
    work.undo()
    (await work.get(Person, first.id)).record(note("keep me"), by=ANA)
    work.stage()
    await work.commit()
    assert await facts(ledger, first.id) == [sourced(), note("keep me")]


async def test_a_work_goes_on_after_its_commit(ledger: Ledger) -> None:
    work = Work(ledger, ANA)
    person = await intake.source_person(work, sourced(), Reachable())
    for n in range(3):
        person = await work.get(Person, person.id)
        person.record(note(str(n)), by=ANA)
        work.stage()
        await work.commit()
    assert await facts(ledger, person.id) == [sourced(), note("0"), note("1"), note("2")]


async def test_what_is_being_written_is_the_ground_of_what_is_decided_meanwhile(
    ledger: Ledger, database: str
) -> None:
    work = Work(ledger, ANA)
    person = await intake.source_person(work, sourced(), Reachable())
    work.stage()
    async with await psycopg.AsyncConnection.connect(database) as rival:
        await rival.execute("SELECT FROM ledger.head FOR UPDATE")  # so it is not written yet
        writing = asyncio.create_task(work.commit())
        await asyncio.sleep(0)
        (await work.get(Person, person.id)).record(note("forget me"), by=ANA)
        work.undo()
        (await work.get(Person, person.id)).record(note("keep me"), by=ANA)
        work.stage()
        assert not writing.done()
    assert list(await writing) == [1]
    assert list(await work.commit()) == [2]
    assert await facts(ledger, person.id) == [sourced(), note("keep me")]


@pytest.mark.parametrize("seen", [True, False])
async def test_what_is_written_while_one_looks_is_there_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, *, seen: bool
) -> None:
    work = Work(ledger, ANA)
    person = await intake.source_person(work, sourced(), Reachable())
    work.stage()
    load, append = ledger.store.load_together, ledger.store.append_together
    looking, written = threading.Event(), threading.Event()

    def while_it_is_written(*asked: Any) -> Any:
        found = None if seen else load(*asked)
        looking.set()
        assert written.wait(PATIENCE_S)
        return found or load(*asked)

    def while_they_look(*args: Any) -> Any:
        assert looking.wait(PATIENCE_S)
        return append(*args)

    monkeypatch.setattr(ledger.store, "load_together", while_it_is_written)
    monkeypatch.setattr(ledger.store, "append_together", while_they_look)
    writing = asyncio.create_task(work.commit())
    writing.add_done_callback(lambda _: written.set())
    await asyncio.sleep(0)
    for text in ("one", "two"):  # on what is being written, and on what is to be
        (await work.get(Person, person.id)).record(note("forget me"), by=ANA)
        work.undo()
        (await work.get(Person, person.id)).record(note(text), by=ANA)
        work.stage()

    assert list(await writing) == [1]
    assert list(await work.commit()) == [2, 3]
    assert await facts(ledger, person.id) == [sourced(), note("one"), note("two")]


async def test_what_a_rival_wrote_in_our_place_is_no_ground_for_ours(
    ledger: Ledger, other: Ledger, candidacy: tuple[UUID, UUID, UUID]
) -> None:
    """Nor anything to stumble over: ours is refused when it is written."""
    _, company, _ = candidacy
    id, work = await add_person(ledger), Work(ledger, ANA)
    person = await candidacies.open_candidacy(
        work, person_id=id, company_id=company, job_order_id=ORDER, at=NOON
    )
    [opened] = person.candidacies
    person.give_right_to_represent(opened, at=NOON, by=ANA)
    work.stage()
    (await work.get(Person, id)).record(note("forget me"), by=ANA)
    work.undo()
    await record(other, id, note("I was first"))

    found = await work.get(Person, id)

    assert (found.version, found.candidacies) == (2, {})
    with pytest.raises(StaleVersion):
        await work.commit()


async def test_shipping_twice_and_at_once_writes_each_pipeline_once(
    ledger: Ledger, other: Ledger
) -> None:
    await asyncio.gather(catalogue.ship(ledger), catalogue.ship(other))
    await catalogue.ship(ledger)
    assert await ledger.head() == 2
    assert (await ledger.get(Pipeline, pipeline_id("talent"))).definition == TALENT


async def test_a_key_opens_until_it_is_revoked(ledger: Ledger) -> None:
    receipt, text = await catalogue.create_key(ledger, actor="consultant:ana")
    assert await catalogue.holder_of(ledger, text) == Holder(Actor("consultant:ana"), "consultant")
    for other_text in (text[:-1], "", "lcrm_x_y", f"lcrm_{uuid4().hex}_secret"):
        assert await catalogue.holder_of(ledger, other_text) is None
    await catalogue.revoke_key(ledger, receipt.id)
    assert await catalogue.holder_of(ledger, text) is None


# connections that are cut


SAVING = re.compile(rb"(_pg3_\w+)\0SELECT \* FROM ledger\.append")  # as psycopg prepares it


class Proxy:
    """TCP on the loopback to PostgreSQL's socket. Cuts a connection at a save: ``before`` the
    server hears of it, or at the ``answer``, when the entries are there and nobody was told."""

    def __init__(self, url: str) -> None:
        parts: dict[str, Any] = dict(conninfo_to_dict(url))
        self.server = f"{parts['host']}/.s.PGSQL.{parts['port']}"
        self.cut, self.times, self.cuts, self.down = "", 0, 0, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        port = self._listener.getsockname()[1]
        self.url = (
            f"postgresql://{parts['user']}@127.0.0.1:{port}/{parts['dbname']}"
            "?sslmode=disable&gssencmode=disable"
        )
        self._start(self._accept)

    def cut_at(self, cut: str, times: int = 1, *, then_down: bool = False) -> None:
        self.cut, self.times, self.cuts, self.then_down = cut, times, 0, then_down

    def close(self) -> None:
        self.down = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up(*self._open)
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.down:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.server)
                self._open |= {client, server}
                told = threading.Event()
                self._start(self._pump, client, server, told, True)
                self._start(self._pump, server, client, told, False)

    def _pump(
        self, source: socket.socket, sink: socket.socket, told: threading.Event, asking: bool
    ) -> None:
        statement = b"not prepared yet"
        with suppress(OSError):
            while data := source.recv(65_536):
                if asking and (prepared := SAVING.search(data)):
                    statement = b"\0" + prepared[1] + b"\0"
                elif asking and self.times and statement in data:
                    self.times -= 1
                    self.cuts += 1
                    self.down = self.then_down
                    if self.cut == "before":
                        break
                    told.set()
                elif not asking and told.is_set():
                    break
                sink.sendall(data)
        self._hang_up(source, sink)
        if self.down:
            self._hang_up(*self._open)

    def _hang_up(self, *ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._open.discard(end)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()


@pytest.fixture
def proxy(database: str) -> Iterator[Proxy]:
    proxy = Proxy(database)
    yield proxy
    proxy.close()


@pytest.fixture
def through(proxy: Proxy) -> Iterator[Ledger]:
    with Ledger(proxy.url, KEYRING) as ledger:
        yield ledger


@pytest.mark.parametrize("intent", [BY_ANA, key("k")], ids=["no key", "key"])
@pytest.mark.parametrize("cut", ["before", "answer"])
async def test_a_connection_cut_at_commit_writes_once_and_answers(
    ledger: Ledger, through: Ledger, proxy: Proxy, cut: str, intent: Intent
) -> None:
    """What was written seals, reserves and is written once: each would refuse the repetition."""

    async def everything(work: Work) -> Person:
        person = await intake.source_person(work, sourced(), Reachable(email="ada@example.org"))
        person.record(replied(), by=ANA)
        return person

    proxy.cut_at(cut)
    receipt = await through.decide(everything, intent=intent)
    assert proxy.cuts == 1
    assert (receipt.version, receipt.position) == (3, 3)
    assert [e.position for e in await ledger.entries()] == [1, 2, 3]
    assert len(await facts(ledger, receipt.id)) == 3
    if intent.key:
        assert await ledger.receipts([intent]) == {intent.key: receipt}


@pytest.mark.parametrize("cut", ["before", "answer"])
async def test_a_connection_cut_under_many_writes_each_once_and_answers_each(
    ledger: Ledger, through: Ledger, proxy: Proxy, cut: str
) -> None:
    """They share a transaction, and then each of them is in doubt."""
    people = [await add_person(ledger) for _ in range(12)]
    proxy.cut_at(cut, times=2)
    receipts = await asyncio.gather(*(record(through, id, replied()) for id in people))
    assert proxy.cuts == 2
    assert sorted(receipt.position or 0 for receipt in receipts) == list(range(13, 25))
    for id, receipt in zip(people, receipts, strict=True):
        assert receipt == Receipt(id, 2, receipt.position)
        assert await facts(ledger, id) == [sourced(), replied()]


@pytest.mark.parametrize("cut", ["before", "answer"])
async def test_an_answer_that_nothing_was_new_survives_a_cut(
    ledger: Ledger, through: Ledger, proxy: Proxy, cut: str
) -> None:
    id = await add_person(ledger)
    await record(ledger, id, replied())
    proxy.cut_at(cut)
    receipt = await record(through, id, replied(), intent=key("k"))
    assert proxy.cuts == 1
    assert receipt == Receipt(id, 2, None)
    assert await ledger.receipts([key("k")]) == {"k": receipt}


async def test_a_caller_who_heard_nothing_asks_again_and_gets_the_first_answer(
    ledger: Ledger, through: Ledger, proxy: Proxy
) -> None:
    """The entries are there, and then nobody answers any more."""
    proxy.cut_at("answer", then_down=True)
    with pytest.raises(Unavailable):
        await add_person(through, "ada@example.org", intent=key("k"))
    assert await ledger.head() == 2
    proxy.down = False
    id = await add_person(through, "ada@example.org", intent=key("k"))
    assert (await ledger.receipts([key("k")]))["k"] == Receipt(id, 2, 2)
    assert await ledger.head() == 2


async def test_a_database_that_never_commits_is_unavailable_and_holds_nothing(
    ledger: Ledger, through: Ledger, proxy: Proxy
) -> None:
    proxy.cut_at("before", times=100)
    with pytest.raises(Unavailable):
        await add_person(through, "ada@example.org", intent=key("k"))
    assert proxy.cuts > 1
    assert await ledger.head() == 0
    proxy.cut_at("before", times=0)
    await add_person(through, "ada@example.org", intent=key("k"))
    assert await ledger.head() == 2


# many at once


async def test_who_waits_at_the_same_moment_shares_a_transaction_and_no_thread(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [await add_person(ledger) for _ in range(64)]
    threads, calls = threading.active_count(), []
    append = ledger.store.append_together
    monkeypatch.setattr(
        ledger.store, "append_together", lambda saves: calls.append(len(saves)) or append(saves)
    )
    receipts = await asyncio.gather(*(record(ledger, id, note()) for id in people))
    assert sorted(receipt.position or 0 for receipt in receipts) == list(range(65, 129))
    assert sum(calls) == 64
    assert len(calls) < 32
    assert threading.active_count() <= threads + 12


async def test_a_refused_save_leaves_those_beside_it_alone(ledger: Ledger) -> None:
    await add_person(ledger, "0@example.org")
    wishes = [add_person(ledger, f"{n % 4}@example.org") for n in range(40)]
    answers = await asyncio.gather(*wishes, return_exceptions=True)
    kinds = Counter(type(answer) for answer in answers)
    assert kinds == {UUID: 3, ContactPointTaken: 37}
    assert await ledger.head() == 2 + 3 * 2


async def test_a_key_that_does_not_open_is_the_trouble_of_who_asks_for_it_alone(
    ledger: Ledger, other: Ledger, owner_database: str
) -> None:
    damaged, *others = [await add_person(ledger) for _ in range(4)]
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute(
            "UPDATE ledger.data_keys SET wrapped = %s WHERE stream_id = %s", (b"\1no", damaged)
        )
    looking = [other.get(Person, id) for id in (*others, damaged, *others)]
    found = await asyncio.gather(*looking, return_exceptions=True)
    assert [type(each) for each in found] == [*[Person] * 3, WrongKey, *[Person] * 3]


async def test_when_too_much_waits_the_next_is_sent_away_and_writes_nothing(
    ledger: Ledger, owner_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, *people = [await add_person(ledger) for _ in range(10)]
    monkeypatch.setattr(ledger._saving, "most", 2_500)
    with psycopg.connect(owner_database) as owner:
        owner.execute("UPDATE ledger.head SET position = position")  # nobody else gets by
        writing = [asyncio.create_task(record(ledger, id, note("n" * 500))) for id in people]
        await eventually(lambda: any(task.done() for task in writing))
        with pytest.raises(Busy):
            await record(ledger, late, note("n" * 2_500))
        owner.rollback()
    answers = await asyncio.gather(*writing, return_exceptions=True)
    written = [answer for answer in answers if isinstance(answer, Receipt)]
    assert 0 < len(written) < 9
    assert {type(answer) for answer in answers} == {Receipt, Busy}
    assert await ledger.head() == 10 + len(written)


async def test_a_large_append_goes_by_itself_and_holds_nobody_up(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is one transaction, as any other."""
    work = Work(ledger, ANA)
    people = [await intake.source_person(work, sourced(), Reachable()) for _ in range(40)]
    for person in people:
        person.record(note("n" * 8_000), by=ANA)
    work.stage()
    entered, let, append = threading.Event(), threading.Event(), ledger.store.append

    def slowly(*args: Any) -> Any:
        entered.set()
        assert let.wait(PATIENCE_S)
        return append(*args)

    monkeypatch.setattr(ledger.store, "append", slowly)
    writing = asyncio.create_task(work.commit())
    await asyncio.to_thread(entered.wait, 10)
    await add_person(ledger)
    assert await ledger.head() == 1
    let.set()
    assert list(await writing) == list(range(2, 82))
    assert await facts(ledger, people[39].id) == [sourced(), note("n" * 8_000)]


async def test_a_large_append_is_refused_as_any_other(ledger: Ledger) -> None:
    await add_person(ledger, "39@example.org")
    work = Work(ledger, ANA)
    for n in range(40):
        person = await intake.source_person(work, sourced(), Reachable(email=f"{n}@example.org"))
        person.record(note("n" * 8_000), by=ANA)
    work.stage()
    with pytest.raises(ContactPointTaken):
        await work.commit()
    assert await ledger.head() == 2


# what is held in memory


async def test_a_hot_record_costs_one_round_trip_however_long_its_stream(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await add_person(ledger)
    await record(ledger, id, note())
    asked: list[str] = []
    for name in ("load_together", "append_together", "receipts"):
        call = getattr(ledger.store, name)
        monkeypatch.setattr(
            ledger.store,
            name,
            lambda *a, _name=name, _call=call: (asked.append(_name), _call(*a))[1],
        )
    for n in range(3):
        await record(ledger, id, note(), intent=key(str(n)))
    assert asked == ["append_together"] * 3


async def test_nobody_is_refused_by_what_another_process_has_changed_since(
    ledger: Ledger, other: Ledger
) -> None:
    """What is in memory may be old: only what is written proves that it was not."""
    id = await add_person(ledger)
    await ledger.change(Person, id, lambda p: p.permit(no_consent(), by=ANA), intent=BY_ANA)
    with pytest.raises(NoConsent):
        await record(ledger, id, sent("<1@x>"))
    await record(ledger, id, note())  # and is held, without consent
    await other.change(
        Person,
        id,
        lambda p: p.permit(consent(given_at=NOON + timedelta(seconds=1)), by=ANA),
        intent=BY_ANA,
    )
    later = sent("<2@x>", sent_at=NOON + timedelta(seconds=2))
    assert (await record(ledger, id, later)).position == 5


async def test_nobody_is_let_by_on_what_another_process_has_changed_since(
    ledger: Ledger, other: Ledger
) -> None:
    id = await add_person(ledger)
    await record(ledger, id, sent("<1@x>"))
    await other.change(Person, id, lambda p: p.permit(no_consent(), by=ANA), intent=BY_ANA)
    with pytest.raises(NoConsent):
        await record(ledger, id, sent("<2@x>"))
    assert await ledger.head() == 3


async def test_nothing_new_is_said_of_what_the_ledger_holds_now(
    ledger: Ledger, other: Ledger
) -> None:
    """Not of what was held: the version in the answer is the record's."""
    id = await add_person(ledger, "ada@example.org")
    await record(ledger, id, note())
    await record(other, id, note())
    receipt = await ledger.change(
        Person, id, lambda p: p.add_contact_point("email", "ada@example.org", by=ANA), intent=BY_ANA
    )
    assert receipt == Receipt(id, version=4, position=None)


async def test_a_version_is_compared_with_the_ledger_and_not_with_what_was_held(
    ledger: Ledger, other: Ledger
) -> None:
    id = await add_person(ledger)
    await record(ledger, id, note())
    await record(other, id, note())
    assert (await record(ledger, id, note(), intent=Intent(by=ANA, expected=3))).version == 4
    with pytest.raises(StaleVersion):
        await record(other, id, note(), intent=Intent(by=ANA, expected=3))


async def test_a_refused_change_is_not_remembered(ledger: Ledger) -> None:
    id = await add_person(ledger)
    await record(ledger, id, note())

    def halfway(person: Person) -> None:
        person.record(note("half"), by=ANA)
        raise NoConsent(person_id=id)

    with pytest.raises(NoConsent):
        await ledger.change(Person, id, halfway, intent=BY_ANA)
    assert (await record(ledger, id, note("whole"))).version == 3
    assert await facts(ledger, id) == [sourced(), note(), note("whole")]


async def test_once_a_key_is_destroyed_nothing_that_it_opened_is_decided_on(
    ledger: Ledger, other: Ledger
) -> None:
    """Though this process holds the person in clear, and heard of nothing."""
    id = await add_person(ledger, "ada@example.org")
    await record(ledger, id, note())
    await other.destroy_key(id)
    seen: list[Any] = []

    def looking(person: Person) -> None:
        seen.append(person.points)
        person.record(note(f"of nobody {person.points}"), by=ANA)

    await ledger.change(Person, id, looking, intent=BY_ANA)
    assert "ada@example.org" in str(seen[0])
    assert "ada" not in str(seen[1:])
    assert not ledger.memory.take([id]), "who is erased is read anew each time"
    assert [e.event for e in await ledger.stream(id)][-2:] == [note(ERASED), note(ERASED)]
    assert "ada@" not in str(await facts(ledger, id))


@pytest.mark.parametrize("cold", [True, False])
async def test_what_was_read_before_a_key_is_destroyed_gets_into_nobodys_record(
    ledger: Ledger, other: Ledger, *, cold: bool
) -> None:
    """Wherever it was read from, and however late the key goes."""
    through = other if cold else ledger
    ada, ben = await add_person(through, "ada@example.org"), await add_person(through)
    destroyed = False

    async def quoting(work: Work) -> Person:
        nonlocal destroyed
        quoted = (await work.get(Person, ada)).points
        person = await work.get(Person, ben)
        if not destroyed:
            await other.destroy_key(ada)
            destroyed = True
        person.record(note(f"knows {quoted}"), by=ANA)
        return person

    await ledger.decide(quoting, intent=BY_ANA)
    assert "ada@" not in str(await facts(ledger, ben))


async def test_what_is_said_of_somebody_erased_is_not_held(ledger: Ledger) -> None:
    id = await add_person(ledger)
    await ledger.destroy_key(id)
    await ledger.change(
        Person, id, lambda p: p.add_contact_point("email", "eve@example.org", by=ANA), intent=BY_ANA
    )
    assert not ledger.memory.take([id])


async def erase(ledger: Ledger, id: UUID, *, intent: Intent = BY_ANA) -> Receipt:
    return await ledger.change(Person, id, lambda p: p.erase(by=ANA), intent=intent)


async def test_who_is_erased_is_erased_for_every_process(ledger: Ledger, other: Ledger) -> None:
    id, ben = await add_person(ledger, "ada@example.org"), await add_person(ledger)
    first = key("told", b"1")
    told = await record(ledger, id, sent(), intent=first)
    await erase(other, id)
    assert not other.memory.take([id]), "nor does the one that did it hold them"

    with pytest.raises(PersonIsErased):
        await record(ledger, id, sent())
    assert not ledger.memory.take([id])
    assert await record(ledger, id, sent(), intent=first) == told, "a retry has its first answer"
    assert "ada" not in str(await facts(ledger, id))
    with pytest.raises(PersonIsErased):
        await ledger.decide(partial(intake.record, person_id=ben, interaction=note(mentions=(id,))),
                            intent=BY_ANA)  # fmt: skip
    assert await add_person(ledger, "ada@example.org") != id


async def test_what_is_held_goes_though_nobody_writes_any_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may have erased whoever is in it."""
    monkeypatch.setattr("ledger_crm.ledger.HELD_S", 0.0)
    tidied, tidy_up = asyncio.Event(), ledger._tidy_up
    monkeypatch.setattr(ledger, "_tidy_up", lambda: (tidy_up(), tidied.set()))
    await add_person(ledger, "ada@example.org")
    assert len(ledger.memory) == 1

    await asyncio.wait_for(tidied.wait(), PATIENCE_S)
    assert len(ledger.memory) == 0


async def test_an_erasure_that_is_refused_destroys_nothing(ledger: Ledger, other: Ledger) -> None:
    """A legal hold is placed between its decision and its writing."""
    id = await add_person(ledger, "ada@example.org")
    attempts = 0

    async def erasing(work: Work) -> Person:
        nonlocal attempts
        attempts += 1
        person = await work.get(Person, id)
        person.erase(by=ANA)
        if attempts == 1:
            await other.change(
                Person, id, lambda p: p.ask_privacy(hold_placed(), by=ANA), intent=BY_ANA
            )
        return person

    with pytest.raises(UnderLegalHold):
        await ledger.decide(erasing, intent=BY_ANA)
    assert attempts == 2
    assert "ada@example.org" in str(await facts(ledger, id))
    with pytest.raises(ContactPointTaken):
        await add_person(other, "ada@example.org")


async def test_what_a_rival_gives_up_while_we_are_refused_it_is_ours(
    ledger: Ledger, other: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not taken for something that is there already."""
    ada, ben = await add_person(ledger, "ada@example.org"), await add_person(ledger)
    gives = ContactPointRemoved(point="email", value="ada@example.org")
    holders = ledger.store.holders

    def after_it_is_given_up(claims: Any) -> Any:
        given = other.change(Person, ada, lambda p: p.enter(gives, by=ANA), intent=BY_ANA)
        asyncio.run(given)
        return holders(claims)

    monkeypatch.setattr(ledger.store, "holders", after_it_is_given_up)
    receipt = await ledger.change(
        Person,
        ben,
        lambda p: p.add_contact_point("email", "ada@example.org", by=ANA),
        intent=key("mine"),
    )
    assert receipt.position
    assert kind((await facts(ledger, ben))[-1]) == "person.contact_point_added"


async def test_once_a_key_is_destroyed_nothing_is_refused_or_left_as_it_was_on_what_it_opened(
    ledger: Ledger, other: Ledger
) -> None:
    id, ben = await add_person(ledger, "ada@example.org"), await add_person(ledger)
    for held in (id, ben):
        await record(ledger, held, note())
    await other.destroy_key(id)
    await record(other, ben, note("two"))  # it is read on, and they are read anew
    seen: list[tuple[str, int]] = []

    async def looking(work: Work) -> Person:
        await work.load([id, ben])
        person, beside = await work.get(Person, id), await work.get(Person, ben)
        seen.append((str(person.points), beside.version))
        return person

    receipt = await ledger.decide(looking, intent=BY_ANA)
    assert receipt == Receipt(id, version=3, position=None)
    assert [("ada" in points, version) for points, version in seen] == [(True, 2), (False, 3)]


async def test_a_decision_that_rests_on_somebody_erased_since_is_made_anew(
    ledger: Ledger, other: Ledger
) -> None:
    """What they are called must not go into another's record."""
    ada, ben = await add_person(ledger, "ada@example.org"), await add_person(ledger)
    await record(ledger, ada, note())
    await other.destroy_key(ada)

    async def quoting(work: Work) -> Person:
        quoted = (await work.get(Person, ada)).points
        person = await work.get(Person, ben)
        person.record(note(str(quoted)), by=ANA)
        return person

    await ledger.decide(quoting, intent=BY_ANA)
    assert "ada" not in str(await facts(ledger, ben))


async def test_who_is_erased_here_is_not_held_any_longer(ledger: Ledger) -> None:
    id = await add_person(ledger)
    await record(ledger, id, note())
    await ledger.destroy_key(id)
    assert not ledger.memory.take([id])


def held(n: int, *, used_s: float = 0.0, version: int = 1) -> Held:
    person = Person.source(sourced(), by=ANA, id=UUID(int=n))
    for _ in range(version - 1):
        person.record(note(), by=ANA)
    return Held(person, {}, used_s)


def test_what_is_held_too_long_is_forgotten_also_if_it_is_the_only_one() -> None:
    memory = Memory()
    memory.keep(held(1, version=3))
    memory.keep(held(1, version=2, used_s=2 * HELD_S))
    assert [each.aggregate.version for each in memory.take([UUID(int=1)]).values()] == [3]


def test_memory_has_a_bound_and_forgets_who_was_not_asked_for() -> None:
    memory = Memory(most=2)
    for n in (1, 2, 3):
        memory.keep(held(n))
        memory.keep(held(1))
    assert len(memory) == 2
    assert set(memory.take(UUID(int=n) for n in (1, 2, 3))) == {UUID(int=1), UUID(int=3)}
    assert len(memory) == 0


def test_memory_forgets_who_was_not_used_for_a_minute() -> None:
    memory = Memory()
    for n, used_s in enumerate((0.0, 50.0, 90.0)):
        memory.keep(held(n, used_s=used_s))
    assert set(memory.take(UUID(int=n) for n in range(3))) == {UUID(int=1), UUID(int=2)}


def test_memory_holds_the_newer_of_two() -> None:
    memory = Memory()
    for version in (1, 3, 2):
        memory.keep(held(1, version=version))
    [found] = memory.take([UUID(int=1)]).values()
    assert found.aggregate.version == 3


# a database that becomes a standby


async def test_a_server_that_takes_no_writes_any_more_is_as_good_as_away(
    ledger: Ledger, database: str, owner_database: str
) -> None:
    """After a failover the address may still lead to the old primary."""
    id = await add_person(ledger)
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid()",
            (name,),
        )
        with pytest.raises(Unavailable):
            await record(ledger, id, replied(), intent=key("k"))
        owner.execute("SET default_transaction_read_only = off")
        owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
    assert (await record(ledger, id, replied(), intent=key("k"))).position == 2


async def test_what_a_failover_has_lost_nobody_goes_on_from(
    ledger: Ledger, other: Ledger, owner_database: str
) -> None:
    """To a replica that had not got the last entries. What this process holds of them was
    acknowledged, and is gone: to go on from there would leave streams that nobody can fold, and
    text under keys that nobody has."""
    old, since = await add_person(ledger), len(await ledger.entries())
    await record(ledger, old, replied("<1@x>"))
    lost = await add_person(ledger)
    await record(ledger, lost, replied("<2@x>"))
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM ledger.entries WHERE notification_id > %s", (since,))
        owner.execute("UPDATE ledger.head SET position = %s", (since,))
        owner.execute("DELETE FROM ledger.data_keys WHERE stream_id = %s", (lost,))
    receipt = await record(ledger, old, replied("<3@x>", text="Later"))
    assert receipt == Receipt(old, since + 1, since + 1)
    assert (await facts(other, old))[-1].text == "Later"
    with pytest.raises(NoSuchRecord):
        await record(ledger, lost, replied("<4@x>"))


async def test_nobody_is_refused_by_what_a_failover_has_lost(
    ledger: Ledger, owner_database: str
) -> None:
    """It cuts connections, and what was held since before is not believed any more."""
    id = await add_person(ledger)
    since = await ledger.head()
    await record(ledger, id, note("lost"))
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM ledger.entries WHERE notification_id > %s", (since,))
        owner.execute("UPDATE ledger.head SET position = %s", (since,))
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    receipt = await record(ledger, id, note("kept"), intent=Intent(by=ANA, expected=1))
    assert receipt == Receipt(id, 2, since + 1)
    assert await facts(ledger, id) == [sourced(), note("kept")]


# a database that is killed


async def test_what_was_acknowledged_outlives_the_database() -> None:
    """Killed under load, twice: each acknowledged receipt is in the ledger once, nothing is there
    twice, callers hear within a bound that nobody is there, and then it goes on by itself."""
    acknowledged: dict[str, Receipt] = {}
    waited_s: list[float] = []
    numbers, stop = count(), asyncio.Event()

    async def contribute(ledger: Ledger, id: UUID) -> None:
        while not stop.is_set():
            name = f"<{next(numbers)}@x>"
            while name not in acknowledged:
                began = monotonic()
                try:
                    acknowledged[name] = await record(ledger, id, replied(name), intent=key(name))
                except Unavailable:
                    waited_s.append(monotonic() - began)

    with TemporaryDirectory(prefix="ledger-tests-", dir="/tmp") as home:
        server = Postgres(Path(home) / "postgres", durable=True)
        with server:
            prepare(server)
            copy(server, "killed", "template_ledger")
            with Ledger(url_of(server, "killed"), KEYRING) as ledger:
                people = [await add_person(ledger) for _ in range(6)]
                async with asyncio.TaskGroup() as tasks:
                    for id in people:
                        tasks.create_task(contribute(ledger, id))
                    await eventually(lambda: len(acknowledged) > 40)
                    await asyncio.to_thread(server.kill)
                    await eventually(lambda: bool(waited_s))
                    await asyncio.to_thread(server.start)
                    enough = len(acknowledged) + 40
                    await eventually(lambda: len(acknowledged) > enough)
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)
                    enough = len(acknowledged) + 40
                    await eventually(lambda: len(acknowledged) >= enough)
                    stop.set()
                entries: list[Entry[Any]] = []
                while page := await ledger.entries(after=len(entries)):
                    entries += page
    messages = [e for e in entries if not isinstance(e.event, PersonSourced)]
    assert [e.position for e in entries] == list(range(1, len(entries) + 1))
    assert {
        e.event.message_id: Receipt(e.originator_id, e.originator_version, e.position)
        for e in messages
    } == acknowledged
    assert len(messages) == len(acknowledged)
    assert max(waited_s) < PATIENCE_S


# a database that is away, or hangs


@pytest.fixture
def server() -> Iterator[Postgres]:
    """One of our own, to be stopped."""
    with (
        TemporaryDirectory(prefix="ledger-tests-", dir="/tmp") as home,
        Postgres(Path(home) / "postgres", durable=False) as server,
    ):
        prepare(server)
        copy(server, "alone", "template_ledger")
        yield server


async def test_of_a_database_that_is_away_all_who_ask_hear_soon(server: Postgres) -> None:
    """Writers of one record take turns, and a hundred readers share a dozen threads: the last of
    them must not wait for the patience of all before."""
    with Ledger(url_of(server, "alone"), KEYRING) as ledger:
        person = await ledger.decide(
            lambda work: intake.source_person(work, sourced(), Reachable()), intent=BY_ANA
        )
        server.stop()
        began_s = monotonic()
        answers = await asyncio.gather(
            *(
                ledger.change(Person, person.id, lambda p: p.record(note(), by=ANA), intent=BY_ANA)
                for _ in range(20)
            ),
            *(ledger.head() for _ in range(100)),
            return_exceptions=True,
        )
        assert {type(answer) for answer in answers} == {Unavailable}
        assert monotonic() - began_s < 60, "twenty in turn would be eighty seconds"

        server.start()
        assert await head_at_last(ledger) == 1


async def test_a_statement_that_takes_too_long_is_no_lost_connection(
    database: str, owner_database: str
) -> None:
    """It is not tried again, and those who ask something else get their answer."""
    url = make_conninfo(database, options="-c statement_timeout=2000ms")
    with Ledger(url, KEYRING) as ledger, psycopg.connect(owner_database) as owner:
        owner.execute("UPDATE ledger.head SET position = position")  # nobody else gets by
        began_s = monotonic()
        with pytest.raises(Unavailable):
            await add_person(ledger)
        assert monotonic() - began_s < 3.9
        assert not ledger._given_up_s
        with pytest.raises(Unavailable):
            await ledger.run(ledger.store._select, "SELECT pg_sleep(10)")
        assert not ledger._given_up_s
        owner.rollback()
        await add_person(ledger)
        assert await ledger.head() == 1


async def test_of_a_database_that_hangs_all_who_write_hear_soon(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those whose call is under way, and those who wait for the next; and what was not asked is
    not written when it comes back."""
    monkeypatch.setattr(module, "ANSWER_S", 1.0)
    monkeypatch.setattr(module, "QUEUE_S", 1.0)
    with Ledger(url_of(server, "alone"), KEYRING) as ledger:
        people = [await add_person(ledger) for _ in range(8)]
        with stopped(server):
            began_s = monotonic()
            first = asyncio.create_task(record(ledger, people[0], note()))
            await eventually(lambda: not ledger._saving._waiting and bool(ledger._saving._weight))
            answers = await asyncio.gather(
                first,
                *(record(ledger, id, note()) for id in people[1:]),
                return_exceptions=True,
            )
            assert {type(answer) for answer in answers} <= {Unavailable, Busy}
            assert monotonic() - began_s < PATIENCE_S
        await head_at_last(ledger)
        await eventually(lambda: not ledger._saving._weight)
        assert await ledger.head() == 9


async def test_a_database_that_hangs_is_waited_for_and_not_for_ever(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 1.0)
    with Ledger(url_of(server, "alone"), KEYRING) as ledger:
        assert await ledger.head() == 0
        with stopped(server):
            began_s = monotonic()
            with pytest.raises(Unavailable):
                await ledger.head()
            assert monotonic() - began_s < PATIENCE_S
        assert await head_at_last(ledger) == 0


async def head_at_last(ledger: Ledger) -> int:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(Unavailable):
                return await ledger.head()
            await asyncio.sleep(0.05)


@contextmanager
def stopped(server: Postgres) -> Iterator[None]:
    """It and its sessions do nothing, and hang up on nobody."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    pids = [server.pid, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
