"""The demo agency on the real database: as large as promised, the same from the same seed, once
however often it is played or killed, and with the two stories that the first page points at."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from ledger_crm.commands import demo
from ledger_crm.commands.catalogue import create_key
from ledger_crm.commands.demo import Played, PlayedOtherwise, play
from ledger_crm.commands.demo_client import Whole
from ledger_crm.domain import candidacy as c
from ledger_crm.domain import clock
from ledger_crm.domain import company as co
from ledger_crm.domain.agreement import FeeAgreed
from ledger_crm.domain.entry import Entry, Event, kind, sealed_fields
from ledger_crm.domain.followup import FollowUpDone, FollowUpPromised
from ledger_crm.domain.identity import Employed, EmploymentEnded
from ledger_crm.domain.interaction import CallHeld, MessageReplied, MessageSent, NoteWritten
from ledger_crm.domain.invoice import InstalmentDue, InvoiceCredited, InvoicePaid, InvoiceRaised
from ledger_crm.domain.joborder import OpeningVacated
from ledger_crm.domain.person import ContactPointAdded, PersonSourced
from ledger_crm.domain.placement import FellThrough, PlacementStarted
from ledger_crm.domain.shortlist import (
    PresentationWritten,
    ShortlistDrawn,
    ShortlistSeen,
    VerdictGiven,
)
from ledger_crm.ledger import Intent, Ledger, Work
from scenario import ANA, KEYRING, NOON

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("demo")]  # played once for all of them

UNTIL = date(2026, 11, 23)
SMALL = 0.1


class Pulled(Exception):
    """The plug was."""


def pull_the_plug(after_batches: int) -> Callable[[int, int], None]:
    batches = iter(range(1, after_batches))

    def progress(_done: int, _total: int) -> None:
        if next(batches, None) is None:
            raise Pulled

    return progress


async def everything(ledger: Ledger) -> list[Entry[Event]]:
    found: list[Entry[Event]] = []
    while page := await ledger.entries(after=len(found), limit=5000):
        found += page
    return found


async def facts(ledger: Ledger) -> list[tuple[UUID, int, Event]]:
    return [(e.originator_id, e.originator_version, e.event) for e in await everything(ledger)]


def of(entries: list[Entry[Event]], *kinds: type[Event]) -> list[Any]:
    return [entry.event for entry in entries if isinstance(entry.event, kinds)]


@pytest.fixture
def another_ledger(databases: Callable[..., str]) -> Iterator[Ledger]:
    with Ledger(databases(), KEYRING) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def played(templates: Callable[..., str]) -> Played:
    """A small agency. Its ledger is the template ``small``."""
    with Ledger(templates("small"), KEYRING) as ledger:
        return asyncio.run(play(ledger, until=UNTIL, size=SMALL))


@pytest.fixture
def small(databases: Callable[..., str], played: Played) -> Iterator[Ledger]:
    with Ledger(databases(of="small"), KEYRING) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def large(templates: Callable[..., str], large_agency: str) -> list[Entry[Event]]:
    """All entries of an agency that is large enough to look like one."""
    with Ledger(templates("large_read", of=large_agency), KEYRING) as ledger:
        return asyncio.run(everything(ledger))


async def test_two_years_of_an_agency_are_large_whole_and_in_the_order_of_time(
    ledger: Ledger,
) -> None:
    told: list[tuple[int, int]] = []

    played = await play(ledger, until=UNTIL, progress=lambda *step: told.append(step))

    entries = await everything(ledger)
    assert played.companies == len(of(entries, co.CompanyAdded)) >= 40
    assert played.people == len(of(entries, PersonSourced)) >= 1500
    assert played.facts == played.written >= 20_000
    assert played.position == entries[-1].position == len(entries)
    assert told[-1] == (played.facts, played.facts)
    assert all(a < b for a, b in pairwise(done for done, _ in told))

    by_us = [e for e in entries if e.by.startswith(("consultant:", "portal:"))]
    assert len(by_us) == played.facts
    assert len({e.by for e in by_us if not e.by.startswith("portal:")}) == 6
    when = [
        e.event.occurred_at
        for e in by_us
        if e.event.occurred_at and not isinstance(e.event, Employed)
    ]
    assert when == sorted(when)
    assert when[-1].date() < UNTIL
    assert when[-1] - when[0] > timedelta(days=730)
    for entry in entries:
        for name in sealed_fields(type(entry.event)):
            assert not {"{", "}"} & set(getattr(entry.event, name))


def test_the_agency_works_like_one(large: list[Entry[Event]]) -> None:
    """The funnel narrows, a third answers, exits say why, terms change, orders end both ways."""
    entries = large
    stages = defaultdict(set)
    for fact in of(entries, c.StageReached):
        stages[fact.category].add(fact.candidacy_id)
    through = [
        len(stages[stage])
        for stage in (
            "sourced", "contacted", "replied", "screening", "qualified", "submitted",
            "client_interview", "final_interview", "offer", "placed",
        )
    ]  # fmt: skip
    assert all(more > fewer > 0 for more, fewer in pairwise(through))
    assert 0.25 <= len(stages["replied"]) / len(stages["contacted"]) <= 0.4
    for exit in ("rejected_by_us", "rejected_by_client", "withdrawn", "no_response", "on_hold"):
        assert stages[exit]
    closed = of(entries, c.CandidacyClosed)
    assert {fact.decided_by for fact in closed} == {"us", "client", "candidate", "rule"}
    assert all(fact.reason and fact.decider for fact in closed)
    assert of(entries, c.CandidacyReopened)
    assert {fact.basis for fact in of(entries, FeeAgreed)} == {"contingent", "fixed"}
    assert len({fact.fee_cents for fact in of(entries, c.Placed)}) > 20
    terms = Counter(
        e.originator_id
        for e in entries
        if isinstance(e.event, FeeAgreed) and not e.event.job_order_id
    )
    assert max(terms.values()) > 1
    orders = {fact.job_order_id for fact in of(entries, co.JobOrderOpened)}
    ended = {f.job_order_id for f in of(entries, co.JobOrderFilled, co.JobOrderCancelled)}
    assert orders > ended
    for fact in (co.JobOrderFilled, co.JobOrderCancelled, co.DealWon, co.DealLost, NoteWritten):
        assert of(entries, fact)
    assert of(entries, CallHeld)


async def test_there_is_something_to_see_in_each_part_of_the_trade(small: Ledger) -> None:
    entries = await everything(small)

    told = {kind(entry.event) for entry in entries}
    assert {
        "person.placement_started", "company.instalment_due", "company.invoice_raised",
        "company.invoice_paid", "person.follow_up_promised", "person.follow_up_done",
        "company.follow_up_promised", "company.note_written", "company.call_held",
        "person.applied", "person.referral_received", "company.referral_received",
        "custom_field.defined", "person.custom_field_set", "company.custom_field_set",
        "company.target_named", "person.researched", "company.shortlist_drawn",
        "consultant.added", "team.defined", "team.joined", "campaign.defined", "person.enrolled",
        "pool.defined", "person.pooled", "person.screening_answered", "segment.saved",
        "segment.of_companies_saved", "company.off_limits_agreed",
        "company.shortlist_shared", "company.shortlist_seen", "company.shortlist_commented",
        "person.presentation_written", "company.remedy_owed", "company.invoice_credited",
    } <= told  # fmt: skip
    started = of(entries, PlacementStarted)
    assert len(of(entries, InstalmentDue)) == len(started)
    assert len(of(entries, InvoicePaid)) < len(of(entries, InvoiceRaised)) <= len(started)
    for drawn in of(entries, ShortlistDrawn):
        assert len(drawn.people) >= 2
    owed = {fact.follow_up_id: fact.due_on for fact in of(entries, FollowUpPromised)}
    for done in of(entries, FollowUpDone):
        assert owed.pop(done.follow_up_id) == done.done_at.date()
    assert any(UNTIL - due_on < timedelta(days=90) for due_on in owed.values())


async def test_a_client_looked_at_a_shortlist_and_two_of_those_who_started_are_gone(
    small: Ledger, played: Played
) -> None:
    entries = await everything(small)

    [drawn] = [f for f in of(entries, ShortlistDrawn) if f.shortlist_id == played.shortlist_id]
    blind = {each.person_id for each in drawn.people if each.blind}
    assert len(blind) > 0
    assert blind == {e.originator_id for e in entries if isinstance(e.event, PresentationWritten)}
    said = [e for e in entries if isinstance(e.event, VerdictGiven)]
    assert [e.originator_id for e in said] == [each.person_id for each in drawn.people]
    [seen] = of(entries, ShortlistSeen)
    assert {e.by for e in said} == {f"portal:{seen.contact_id}"}
    assert {e.event.verdict for e in said} >= {"interview", "hold"}

    gone = {fact.remedy: fact for fact in of(entries, FellThrough)}
    assert gone.keys() == {"rebate", "replacement"}
    [credited] = of(entries, InvoiceCredited)
    assert credited.amount_cents == gone["rebate"].rebate_cents > 0
    [again] = of(entries, OpeningVacated)
    assert again.candidacy_id == gone["replacement"].candidacy_id
    for fact in gone.values():
        [left] = [e for e in of(entries, EmploymentEnded) if e.ends_on == fact.left_on]
        assert left.company_id == fact.company_id


def test_nobody_real_can_be_reached(large: list[Entry[Event]]) -> None:
    points = of(large, ContactPointAdded)

    for point in points:
        match point.point:
            case "phone":
                fiction = ("+447700900", "+442079460", "+493023125", "+494066969", "+496990009")
                american = point.value.startswith("+1") and point.value[5:10] == "55501"
                assert american or point.value.startswith((*fiction, "+498999998", "+3363998"))
            case "email":
                assert point.value.endswith((".example", ".example.org"))
            case "url":
                assert point.value.startswith("https://profiles.example/")
    assert {point.point for point in points} == {"phone", "email", "url"}


async def test_the_same_seed_gives_the_same_facts(ledger: Ledger, another_ledger: Ledger) -> None:
    one = await play(ledger, seed=7, until=UNTIL, size=SMALL)
    other = await play(another_ledger, seed=7, until=UNTIL, size=SMALL)

    assert one == other
    assert await facts(ledger) == await facts(another_ledger)


async def test_another_seed_is_another_agency_beside_the_first(
    small: Ledger, played: Played
) -> None:
    before = await facts(small)

    second = await play(small, seed=2, until=UNTIL, size=SMALL)

    now = await facts(small)
    assert now[: len(before)] == before
    assert len(now) == len(before) + second.facts
    assert second.hiring_manager_id != played.hiring_manager_id


async def test_beside_others_an_agency_is_written_down_as_of_now_and_told_as_it_was(
    small: Ledger, another_ledger: Ledger, played: Played
) -> None:
    """Or what the first one knew on a day would lie on both sides of that day."""
    assert played.written_then
    first, began = await everything(small), clock.now()

    second = await play(small, seed=2, until=UNTIL, size=SMALL)
    again = await play(small, seed=2, until=UNTIL, size=SMALL)
    alone = await play(another_ledger, seed=2, until=UNTIL, size=SMALL)

    assert (second.written_then, again.written_then, alone.written_then) == (False, False, True)
    both, theirs = await everything(small), await everything(another_ledger)
    assert {entry.timestamp < began for entry in both[: len(first)]} == {True}
    assert {entry.timestamp < began for entry in both[len(first) :]} == {False}
    known = [e.event.occurred_at for e in both[len(first) :] if e.by.startswith("consultant:")]
    assert known == [e.event.occurred_at for e in theirs if e.by.startswith("consultant:")]


async def test_beside_a_key_alone_it_is_written_down_as_of_then(ledger: Ledger) -> None:
    await create_key(ledger, actor="consultant:owner")
    assert (await play(ledger, until=UNTIL, size=SMALL)).written_then


async def test_played_again_it_changes_nothing_also_on_another_day(
    small: Ledger, played: Played
) -> None:
    head = await small.head()

    with clock.stopped_at(NOON + timedelta(days=4000)):
        again = await play(small, size=SMALL)

    assert await small.head() == head
    assert (again.written, again.position) == (0, None)
    assert again.until == played.until == UNTIL
    assert again.facts == played.facts
    assert again.job_order_id == played.job_order_id


@pytest.mark.parametrize("other", [{"until": date(2026, 11, 24)}, {"size": 0.2}])
async def test_another_day_or_size_for_the_agency_that_is_there_is_refused(
    small: Ledger, other: Any
) -> None:
    head = await small.head()

    with pytest.raises(PlayedOtherwise, match="another seed"):
        await play(small, **({"until": UNTIL, "size": SMALL} | other))

    assert await small.head() == head


async def test_an_address_that_another_record_has_is_refused_naming_the_holder(
    ledger: Ledger, small: Ledger
) -> None:
    [domain, *_] = [fact.domain for fact in of(await everything(small), co.CompanyAdded)]
    holder = co.Company.add(co.CompanyAdded(name="Was here first", domain=domain), by=ANA)

    async def adding(work: Work) -> co.Company:
        return work.add(holder)

    await ledger.decide(adding, intent=Intent(by=ANA))

    with pytest.raises(co.DomainTaken) as refused:
        await play(ledger, until=UNTIL, size=SMALL)

    assert refused.value.facts["holder"] == holder.id


async def test_killed_half_way_and_begun_again_it_ends_the_same(
    database: str, small: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "BATCH", 230)  # so that it goes on in the middle of what was one
    with Ledger(database, KEYRING) as ledger, pytest.raises(Pulled):
        await play(ledger, until=UNTIL, size=SMALL, progress=pull_the_plug(after_batches=11))
    monkeypatch.undo()

    with Ledger(database, KEYRING) as ledger:
        again = await play(ledger, size=SMALL)

        assert 0 < again.written < again.facts
        assert await facts(ledger) == await facts(small)


async def test_played_twice_at_once_each_fact_is_there_once(
    database: str, small: Ledger, played: Played
) -> None:
    with Ledger(database, KEYRING) as one, Ledger(database, KEYRING) as other:
        both = await asyncio.gather(
            play(one, until=UNTIL, size=SMALL), play(other, until=UNTIL, size=SMALL)
        )

        assert sum(each.written for each in both) == played.facts
        assert await facts(one) == await facts(small)


async def test_whoever_was_placed_comes_back_as_hiring_manager_on_the_same_record(
    small: Ledger, played: Played
) -> None:
    person = played.hiring_manager_id
    own = await small.stream(person)
    [placed] = of(own, c.Placed)
    _, manager = of(own, Employed)
    assert manager.role == "hiring_manager"
    assert manager.company_id == placed.company_id
    assert manager.starts_on - placed.placed_at.date() >= timedelta(days=730)
    assert len([p for p in of(own, ContactPointAdded) if p.point == "email"]) == 1
    theirs = await small.stream(placed.company_id)
    orders = [o for o in of(theirs, co.JobOrderOpened) if o.hiring_manager_id == person]
    assert orders
    assert all(order.opened_at.date() > manager.starts_on for order in orders)
    assert any(fact.to_person_id == person for fact in of(await everything(small), c.Introduced))


async def test_a_client_with_a_steady_rhythm_falls_silent(small: Ledger, played: Played) -> None:
    company = await small.stream(played.quiet_company_id)
    orders = [order.opened_at for order in of(company, co.JobOrderOpened)]
    gaps = [(later - sooner).days for sooner, later in pairwise(orders)]
    assert len(orders) >= 8
    assert max(gaps) <= 50
    silent_since = datetime.combine(UNTIL, NOON.time(), NOON.tzinfo) - max(orders)
    assert silent_since > 4 * timedelta(days=max(gaps))
    last = max(e.event.occurred_at for e in company if e.event.occurred_at)
    about_them = [
        fact
        for fact in of(await everything(small), MessageSent, MessageReplied)
        if fact.company_id == played.quiet_company_id and fact.occurred_at > last
    ]
    assert {type(fact) for fact in about_them} == {MessageSent}


async def test_the_order_to_look_at_is_open_with_people_in_many_stages(
    small: Ledger, played: Played
) -> None:
    on_it = [
        fact
        for fact in of(
            await everything(small), c.StageReached, co.JobOrderFilled, co.JobOrderCancelled
        )
        if fact.job_order_id == played.job_order_id
    ]
    assert not any(isinstance(fact, co.JobOrderFilled | co.JobOrderCancelled) for fact in on_it)
    assert len({fact.stage for fact in {f.candidacy_id: f for f in on_it}.values()}) >= 3


@pytest.mark.parametrize("seed", [0, 113])
def test_any_seed_is_as_large_as_promised(seed: int) -> None:
    story = Whole(seed, UNTIL)

    assert story.companies >= 40
    assert story.people >= 1500
    assert story.facts >= 20_000
