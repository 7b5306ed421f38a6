"""What the queries answer, and what they must not: nothing of another person or company."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import get_args
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from builders import (
    added,
    domain_added,
    domain_removed,
    employed,
    firm_profile,
    firm_tagged,
    note,
    order_changed,
    order_filled,
    order_held,
    order_opened,
    order_staffed,
    owned,
    parent,
    replied,
    sent,
    some_filled,
)
from ledger_crm.commands import candidacies, intake, placements, selling
from ledger_crm.domain.access import KeyCreated
from ledger_crm.domain.campaign import CampaignDefined
from ledger_crm.domain.candidacy import CandidacyOpened
from ledger_crm.domain.candidate import Move, candidacy_id
from ledger_crm.domain.clock import stopped_at
from ledger_crm.domain.consultant import ConsultantEvents
from ledger_crm.domain.custom import CustomFieldDefined
from ledger_crm.domain.entry import Entry, Event, kind, new_id
from ledger_crm.domain.identity import Employed, ProfileChanged
from ledger_crm.domain.merging import Merged, Unmerged
from ledger_crm.domain.person import Person
from ledger_crm.domain.pipeline import PipelineDefined
from ledger_crm.domain.pool import PoolDefined
from ledger_crm.domain.segment import AccountStatus, Criteria, SegmentEvents
from ledger_crm.domain.team import TeamEvents
from ledger_crm.domain.webhook import WebhookEvents
from ledger_crm.ledger import Intent, Ledger
from ledger_crm.projections import (
    SCHEMA,
    Cursor,
    accounts,
    candidates,
    companies,
    deals,
    engagement,
    every,
    funnel,
    history,
    interviews,
    people,
    standings,
)
from ledger_crm.workers.projector import connect
from projections.driving import Together, reading
from projections.stories import (
    COMPANIES,
    ORDERS,
    PEOPLE,
    Command,
    a_full_story,
    progress_of,
    prologue,
    stories,
    tell,
)
from scenario import ANA, KEYRING, LATER, NOON

pytestmark = pytest.mark.anyio

ADA, BEN, CYD = PEOPLE
ACME, BOLT = COMPANIES
NOBODY = UUID(int=0xBAD)


def project(url: str, ledger: Ledger) -> None:
    with connect(url) as conn:
        Together(every(), reading(ledger), conn).catch_up()


@asynccontextmanager
async def cursor(url: str) -> AsyncIterator[Cursor]:
    options = f"-c search_path={SCHEMA}"
    async with (
        await psycopg.AsyncConnection.connect(url, options=options) as conn,
        conn.cursor() as cur,
    ):
        yield cur


@pytest.fixture
async def cur(ledger: Ledger, database: str) -> AsyncIterator[Cursor]:
    """Of read models that hold the full story."""
    await a_full_story(ledger)
    project(database, ledger)
    async with cursor(database) as cur:
        yield cur


async def do(ledger: Ledger, *commands: Command) -> None:
    for command in commands:
        await ledger.decide(command, intent=Intent(by=ANA))


# history


CATALOGUE = (
    PipelineDefined
    | KeyCreated
    | PoolDefined
    | CampaignDefined
    | SegmentEvents
    | CustomFieldDefined
    | ConsultantEvents
    | TeamEvents
    | WebhookEvents
)


def ids_of(one: UUID, entries: Sequence[Entry[Event]]) -> set[UUID]:
    """Of all records that are merged into one with this."""
    into: dict[UUID, UUID] = {}
    for entry in entries:
        if isinstance(entry.event, Merged):
            into[entry.originator_id] = entry.event.survivor_id
        elif isinstance(entry.event, Unmerged) and (
            into.get(entry.originator_id) == entry.event.other_id
        ):
            del into[entry.originator_id]

    def survivor(id: UUID) -> UUID:
        return survivor(into[id]) if id in into else id

    return {one, *(id for id in {*into, *into.values()} if survivor(id) == survivor(one))}


def belonging_to(subject: UUID, entries: Sequence[Entry[Event]]) -> list[int]:
    """Positions, newest fact first, by the rule as it is written down."""
    subjects = ids_of(subject, entries)
    ours = {
        id
        for entry in entries
        if isinstance(entry.event, Employed | CandidacyOpened)
        and entry.event.company_id in subjects
        for id in ids_of(entry.originator_id, entries)
    }

    def belongs(entry: Entry[Event]) -> bool:
        event = entry.event
        if isinstance(event, CATALOGUE):
            return False
        about_nobody_else = kind(event).startswith("person.") and not event.concerns
        return bool(
            subjects & {entry.originator_id, *event.concerns, *event.others}
            or (entry.originator_id in ours and about_nobody_else)
        )  # fmt: skip

    found = sorted(filter(belongs, entries), key=lambda e: (e.at, e.position), reverse=True)
    return [entry.position for entry in found]


async def pages(cur: Cursor, subject: UUID, size: int) -> list[history.HistoryLine]:
    found: list[history.HistoryLine] = []
    while True:
        before = (found[-1].at, found[-1].position) if found else None
        page = await history.of(cur, subject, before=before, limit=size)
        assert len(page) <= size
        if not page:
            return found
        found += page


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories)
def test_a_history_is_complete_page_by_page_and_shows_no_business_of_others(
    databases: Callable[..., str], story: list[Command]
) -> None:
    url = databases()

    async def read(entries: Sequence[Entry[Event]]) -> None:
        async with cursor(url) as cur:
            for subject in (*PEOPLE, *COMPANIES, NOBODY):
                expected = belonging_to(subject, entries)
                for size in (1, 2, 7, 1000):
                    lines = await pages(cur, subject, size)
                    assert [line.position for line in lines] == expected
                if subject in COMPANIES:
                    one = ids_of(subject, entries)  # by the id of whoever it was merged into
                    assert {line.company_id for line in lines} <= {*one, None}
                elif lines:
                    theirs = ids_of(subject, entries)
                    mentioned = {
                        e.position for e in entries if theirs & {*e.event.concerns, *e.event.others}
                    }
                    others = [line for line in lines if line.person_id not in theirs]
                    assert {line.position for line in others} <= mentioned

    with Ledger(url, KEYRING) as ledger:
        asyncio.run(tell(ledger, story))
        project(url, ledger)
        asyncio.run(read(reading(ledger)(0, 10_000)))


async def test_a_companys_history_holds_what_passed_with_its_people_but_not_for_the_next_client(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    await do(
        ledger,
        lambda w: intake.employ(w, ADA, employed(company_id=ACME)),
        lambda w: intake.record(w, ADA, note("in general")),
        lambda w: intake.record(w, ADA, note("about acme", company_id=ACME)),
        lambda w: intake.record(w, ADA, note("about bolt", company_id=BOLT)),
        lambda w: intake.record(w, BEN, note("of somebody else")),
    )
    project(database, ledger)

    async with cursor(database) as cur:
        acme = {line.text for line in await history.of(cur, ACME)}
        bolt = {line.text for line in await history.of(cur, BOLT)}
        ada = {line.text for line in await history.of(cur, ADA)}

    notes = {"in general", "about acme", "about bolt", "of somebody else"}
    assert acme & notes == {"in general", "about acme"}
    assert bolt & notes == {"about bolt"}
    assert ada & notes == {"in general", "about acme", "about bolt"}


async def test_facts_of_one_instant_come_by_position_and_late_ones_take_their_place_in_the_past(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    await do(
        ledger,
        lambda w: intake.record(w, ADA, sent("1", sent_at=LATER, text="second")),
        lambda w: intake.record(w, ADA, replied("2", replied_at=LATER, text="third")),
        lambda w: intake.record(w, ADA, sent("3", sent_at=NOON, text="first")),
    )
    project(database, ledger)

    async with cursor(database) as cur:
        lines = await history.of(cur, ADA)

    told = [line.text for line in lines if line.text]
    assert told == ["third", "second", "first"]
    late = next(line for line in lines if line.text == "first")
    assert (late.at, late.by, late.person) == (NOON, ANA, "P0")
    assert late.recorded_at > NOON


# the others: each has a row that it must not return


async def test_cards_are_of_the_pipeline_job_order_person_and_stage_asked_for(
    cur: Cursor, ledger: Ledger
) -> None:
    [order, other] = ORDERS[ACME][0], ORDERS[BOLT][0]
    everything = await candidates.cards(cur)
    assert len(everything) == 2

    assert [c.id for c in await candidates.cards(cur, job_order_id=order)] == [
        candidacy_id(ADA, order)
    ]
    assert await candidates.cards(cur, "sales") == []
    assert await candidates.cards(cur, person_id=BEN) == []
    assert len(await candidates.cards(cur, "talent", person_id=ADA, stage="placed")) == 2
    assert await candidates.cards(cur, stage="offer") == []
    [newest] = await candidates.cards(cur, limit=1)
    assert newest.job_order_id == other
    assert (newest.person, newest.company, newest.job_order) == ("P0", "C1", "Engineer")
    older = await candidates.cards(cur, before=newest.position)
    assert [card.job_order_id for card in older] == [order]


async def test_counts_are_of_one_job_order_and_tell_now_from_ever(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    for person in (ADA, BEN):
        for company in COMPANIES:
            order = ORDERS[company][0]
            await do(
                ledger,
                lambda w, p=person, c=company, o=order: candidacies.open_candidacy(  # type: ignore[misc]
                    w, p, company_id=c, job_order_id=o, at=NOON
                ),
            )
    there = candidacy_id(ADA, ORDERS[ACME][0])
    await do(
        ledger,
        *(
            lambda w, s=stage: candidacies.move(w, ADA, there, Move(stage=s, at=NOON))  # type: ignore[misc]
            for stage in ("screening", "qualified", "screening")
        ),
    )
    project(database, ledger)

    async with cursor(database) as cur:
        over_all = {c.stage: (c.now, c.ever) for c in await candidates.counts(cur, "talent")}
        found = await candidates.counts(cur, "talent", job_order_id=ORDERS[ACME][0])
        acme = {c.stage: (c.now, c.ever) for c in found}
        found = await candidates.counts(cur, "talent", job_order_id=ORDERS[BOLT][0])
        bolt = {c.stage: (c.now, c.ever) for c in found}
        none = await candidates.counts(cur, "sales")
        shown = await candidates.one(cur, there)

    assert over_all["sourced"] == (3, 4)
    assert (acme["sourced"], acme["screening"], acme["qualified"]) == ((1, 2), (1, 1), (0, 1))
    assert (bolt["sourced"], bolt["screening"], bolt["qualified"]) == ((2, 2), (0, 0), (0, 0))
    assert none == [], "a pipeline of deals holds no candidates"
    assert next(iter(over_all)) == "sourced", "in the pipeline's order"
    assert shown is not None
    assert [step.stage for step in shown.steps] == shown.card.path
    assert shown.card.path == ["sourced", "screening", "qualified", "screening"]


async def test_deals_are_of_the_company_and_stage_asked_for_and_sums_are_by_currency(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    worth: list[tuple[UUID, int, str]] = [(ACME, 1000, "EUR"), (ACME, 999, "EUR"), (BOLT, 7, "JPY")]
    for company, cents, currency in worth:
        await do(
            ledger,
            lambda w, c=company, v=cents, m=currency: selling.open_deal(  # type: ignore[misc]
                w, c, title=f"Träger {v}", at=NOON, value_cents=v, currency=m
            ),
        )
    project(database, ledger)

    async with cursor(database) as cur:
        acme = await deals.cards(cur, "sales", company_id=ACME)
        lost = await deals.cards(cur, "sales", stage="lost")
        called = await deals.cards(cur, "sales", words="99 TRAG", company_id=ACME)
        everything = await deals.cards(cur, "sales")
        first = [c for c in await deals.counts(cur, "sales") if c.stage == "prospect"]
        of_bolt = await deals.counts(cur, "sales", company_id=BOLT)
        next_page = await deals.cards(cur, "sales", before=everything[0].position)

    assert [card.value_cents for card in acme] == [999, 1000]
    assert lost == []
    assert [card.value_cents for card in called] == [999]
    assert [card.company for card in everything] == ["C1", "C0", "C0"]
    assert next_page == everything[1:]
    assert [(c.currency, c.deals, c.value_cents, c.weighted_cents) for c in first] == [
        ("EUR", 2, 1999, 50 + 49),  # 5 % of each, rounded down deal by deal
        ("JPY", 1, 7, 0),
    ]
    assert [(c.stage, c.deals) for c in of_bolt if c.deals] == [("prospect", 1)]


async def test_a_persons_card_holds_their_own_contact_points_and_employments(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    await do(
        ledger,
        lambda w: intake.add_contact_point(w, ADA, "email", "ada@example.org"),
        lambda w: intake.add_contact_point(w, BEN, "email", "ben@example.org"),
        lambda w: intake.employ(w, ADA, employed(company_id=ACME, title="CTO")),
        lambda w: intake.employ(w, BEN, employed(company_id=BOLT, title="CFO")),
    )
    project(database, ledger)

    async with cursor(database) as cur:
        ada = await people.card(cur, ADA)
        nobody = await people.card(cur, NOBODY)
        found = await people.holders(cur, "email", "ben@example.org")
        unknown = await people.holders(cur, "email", "cyd@example.org")
        [newest, *_] = everybody = await people.listing(cur, Criteria(), on=NOON)
        rest = await people.listing(cur, Criteria(), on=NOON, before=newest.position, limit=1)

    assert ada is not None
    assert nobody is None
    assert [reach.value for reach in ada.contact_points] == ["ada@example.org"]
    assert [(job.company, job.title) for job in ada.employments] == [("C0", "CTO")]
    assert ada.version == 3
    assert [person.id for person in found] == [BEN]
    assert unknown == []
    assert [person.id for person in everybody] == [CYD, BEN, ADA]
    assert rest == everybody[1:2]


async def test_a_companys_card_holds_its_own_fees_and_job_orders(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    opened = order_opened(job_order_id=ORDERS[BOLT][1], title="Pilot")
    await do(ledger, lambda w: selling.open_job_order(w, BOLT, opened))
    project(database, ledger)

    async with cursor(database) as cur:
        acme, bolt = await companies.card(cur, ACME), await companies.card(cur, BOLT)
        nobody = await companies.card(cur, NOBODY)
        found = await companies.listing(cur, domain="c1.example")
        everything = await companies.listing(cur)
        rest = await companies.listing(cur, before=everything[0].position)

    assert acme is not None
    assert bolt is not None
    assert nobody is None
    assert [order.title for order in acme.job_orders] == ["Engineer"]
    assert [order.title for order in bolt.job_orders] == ["Pilot", "Engineer"]
    assert len(acme.fees) == len(bolt.fees) == 1
    assert acme.fees[0].id != bolt.fees[0].id
    assert [company.id for company in found] == [BOLT]
    assert rest == everything[1:]


async def test_job_orders_are_of_the_status_company_and_consultant_asked_for(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    [order, other] = ORDERS[ACME][0], ORDERS[BOLT][0]
    steps = [
        order_changed(job_order_id=order, openings=3, must_haves=("Engines", "English")),
        order_staffed(job_order_id=order),
        some_filled(job_order_id=order),
        order_held(job_order_id=order, held_at=LATER),
    ]
    await do(ledger, *(lambda w, s=s: selling.step_job_order(w, ACME, s) for s in steps))  # type: ignore[misc]
    project(database, ledger)

    async with cursor(database) as cur:
        [held] = await companies.orders(cur, status="on_hold")
        opened = await companies.orders(cur, status="open")
        ben = await companies.orders(cur, consultant="consultant:ben")
        nobody = await companies.orders(cur, consultant="consultant:be")
        called = await companies.orders(cur, words="engl SENIOR")
        left = await companies.orders(cur, words="engineer", besides=[order])
        vacancies = [await companies.vacancy(cur, id) for id in (order, other)]

    assert (held.id, held.title, held.must_haves) == (
        order,
        "Senior engineer",
        ["Engines", "English"],
    )
    assert (held.found, held.openings, held.owner) == (1, 3, "consultant:ana")
    assert (held.reason, held.status_since, held.closed_at) == ("budget", LATER, None)
    assert [one.id for one in opened] == [other]
    assert [one.id for one in ben] == [order]
    assert nobody == []
    assert [one.id for one in called] == [order]
    assert [one.id for one in left] == [other]
    assert [one and one.id for one in vacancies] == [None, other]


async def test_companies_are_of_the_owner_tag_industry_parent_and_domain_asked_for(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    facts = [
        firm_profile(name="Looms", industry="Textiles", employees=7),
        domain_added(),
        domain_removed(domain="c0.example"),
        parent(parent_id=BOLT),
        owned(),
        firm_tagged(),
    ]
    await do(ledger, *(lambda w, f=f: intake.change_company(w, ACME, f) for f in facts))  # type: ignore[misc]
    await do(ledger, lambda w: intake.change_company(w, BOLT, domain_added(domain="c0.example")))
    project(database, ledger)

    async with cursor(database) as cur:
        asked = [{"owner": "consultant:ana"}, {"tag": "key_account"}, {"industry": "textiles"},
                 {"parent_id": BOLT}, {"domain": "looms.example"}, {"name": "loom"}]  # fmt: skip
        found = [[c.name for c in await companies.listing(cur, **one)] for one in asked]  # type: ignore[arg-type]
        moved = await companies.listing(cur, domain="c0.example")
        nobody = await companies.listing(cur, tag="key")
        acme, bolt = await companies.card(cur, ACME), await companies.card(cur, BOLT)

    assert found == [["Looms"]] * len(asked)
    assert [company.id for company in moved] == [BOLT]
    assert nobody == []
    assert acme is not None
    assert bolt is not None
    assert (acme.domains, acme.tags, acme.employees) == (["looms.example"], ["key_account"], 7)
    assert acme.parent is not None
    assert (acme.parent.id, acme.children) == (BOLT, [])
    assert [child.name for child in bolt.children] == ["Looms"]
    assert bolt.domains == ["c1.example", "c0.example"]


async def test_contacts_are_those_of_the_company_role_and_day_asked_for(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    left = {"starts_on": date(2024, 1, 1), "ends_on": date(2025, 1, 1)}
    await do(
        ledger,
        lambda w: intake.employ(w, ADA, employed(company_id=ACME, role="hr", **left)),
        lambda w: intake.employ(w, BEN, employed(company_id=ACME)),
        lambda w: intake.employ(w, CYD, employed(company_id=BOLT)),
    )
    project(database, ledger)

    async with cursor(database) as cur:
        everybody = await people.at_company(cur, ACME)
        hr = await people.at_company(cur, ACME, role="hr")
        now = await people.at_company(cur, ACME, on=NOON.date())
        then = await people.at_company(cur, ACME, on=date(2024, 6, 1))
        rest = await people.at_company(cur, ACME, before=everybody[0].position)

    assert [one.name for one in everybody] == ["P1", "P0"]
    assert [one.name for one in hr] == ["P0"]
    assert [one.name for one in now] == ["P1"]
    assert [one.name for one in then] == ["P1", "P0"]
    assert rest == everybody[1:]


async def test_interviews_and_offers_are_of_the_person_company_order_and_status_asked_for(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    [order, other] = ORDERS[ACME][0], ORDERS[BOLT][0]
    for company, job in ((ACME, order), (BOLT, other)):
        candidacy = candidacy_id(ADA, job)
        await do(
            ledger,
            lambda w, c=company, j=job: candidacies.open_candidacy(  # type: ignore[misc]
                w, ADA, company_id=c, job_order_id=j, at=NOON
            ),
            lambda w, c=candidacy: candidacies.give_right_to_represent(w, ADA, c, at=NOON),  # type: ignore[misc]
            lambda w, c=candidacy: candidacies.introduce(w, ADA, c, at=NOON),  # type: ignore[misc]
        )
    for company in COMPANIES:
        await do(ledger, lambda w, c=company: intake.employ(w, BEN, employed(company_id=c)))  # type: ignore[misc]
    here = progress_of(BEN, candidacy_id(ADA, order), NOON, "")
    [first, move, _, hold, said, say, offer, raised, taken, *_] = here
    there = progress_of(BEN, candidacy_id(ADA, other), NOON, "")[0]
    for fact in (first, move, hold, said, said, say, there, offer, raised, taken):
        await do(ledger, lambda w, f=fact: candidacies.progress(w, ADA, f))  # type: ignore[misc]
    project(database, ledger)

    async with cursor(database) as cur:
        [held] = await interviews.of(cur, status="held")
        [ahead] = await interviews.of(cur, job_order_id=other)
        both = await interviews.of(cur, person_id=ADA)
        rest = await interviews.of(cur, before=both[0].position)
        nobody = await interviews.of(cur, person_id=BEN)
        [accepted] = await interviews.offers_of(cur, company_id=ACME)
        none = await interviews.offers_of(cur, status="open")

    assert (held.job_order_id, held.moves, held.person, held.company) == (order, 1, "P0", "C0")
    assert held.interviewer_ids == [BEN]
    assert [(s.interviewer, s.verdict, len(s.scores)) for s in held.feedback] == [
        (None, "yes", 0),
        ("P1", "yes", 1),
    ]
    assert (ahead.status, ahead.feedback) == ("arranged", [])
    assert [one.id for one in both] == [ahead.id, held.id]
    assert rest == both[1:]
    assert nobody == []
    assert (accepted.status, accepted.first_year_pay_cents) == ("accepted", 8_500_000)
    assert accepted.changes == 1
    assert none == []


async def ordered(ledger: Ledger, company: UUID, *days: int) -> None:
    """Job orders of that company, opened so many days after noon and filled a day later."""
    for day in days:
        id, at = new_id(), NOON + timedelta(days=day)
        await do(
            ledger,
            lambda w, i=id, t=at: selling.open_job_order(  # type: ignore[misc]
                w, company, order_opened(job_order_id=i, opened_at=t)
            ),
            lambda w, i=id, t=at: selling.step_job_order(  # type: ignore[misc]
                w, company, order_filled(job_order_id=i, filled_at=t + timedelta(days=1))
            ),
        )


async def test_an_account_is_what_its_orders_and_the_day_make_of_it(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)  # both have terms and an open order
    start = NOON - timedelta(days=400)
    cyd, dan = UUID(int=0xC8), UUID(int=0xC9)
    for id in (cyd, dan):
        fact = added(name=f"N{id.int}", domain="", added_at=start)
        await do(ledger, lambda w, f=fact, i=id: intake.add_company(w, f, id=i))  # type: ignore[misc]
    await do(ledger, lambda w: selling.open_deal(w, dan, title="d", at=NOON, stage="qualified"))
    filled = order_filled(job_order_id=ORDERS[BOLT][0], filled_at=NOON)
    await do(ledger, lambda w: selling.step_job_order(w, BOLT, filled))
    with stopped_at(NOON + timedelta(days=100)):
        await ordered(ledger, BOLT, 30, 60, 90)
    project(database, ledger)

    async def told(day: int) -> dict[UUID, tuple[str, datetime]]:
        at = NOON + timedelta(days=day)
        found = await accounts.listing(cur, asked_at=at)
        for status in get_args(AccountStatus):
            these = await accounts.listing(cur, asked_at=at, status=status)
            assert these == [each for each in found if each.status == status]
        return {each.company_id: (each.status, each.since) for each in found}

    async with cursor(database) as cur:
        today, late, very_late = await told(100), await told(151), await told(3000)
        quiet = await accounts.listing(cur, asked_at=NOON + timedelta(days=151), status="quiet")
        bolt = await accounts.of(cur, BOLT, asked_at=NOON + timedelta(days=151))
        nobody = await accounts.of(cur, NOBODY, asked_at=NOON)

    assert today[ACME] == ("active", NOON)
    assert today[cyd] == ("prospect", start)
    assert today[dan] == ("qualified", NOON)
    assert today[BOLT][0] == "qualified", "they asked, and nobody was placed"
    assert late[BOLT] == ("quiet", NOON + timedelta(days=150))  # two gaps of 30 after day 90
    assert very_late[BOLT][0] == "former"
    assert very_late[ACME][0] == "active", "its order is still open"
    assert [each.company_id for each in quiet] == [BOLT]
    assert bolt is not None
    assert (bolt.rhythm_days, bolt.orders, bolt.open_orders) == (30, 4, 0)
    assert bolt.why == "an order every 30 days, and the last order was opened on 2026-05-31"
    assert nobody is None


@pytest.mark.parametrize("orders", [1, 2])
async def test_who_ordered_once_or_twice_has_no_rhythm_and_is_not_quiet_before_a_year_is_over(
    ledger: Ledger, database: str, orders: int
) -> None:
    await prologue(ledger)
    filled = order_filled(job_order_id=ORDERS[BOLT][0], filled_at=NOON)
    await do(ledger, lambda w: selling.step_job_order(w, BOLT, filled))
    with stopped_at(NOON + timedelta(days=100)):
        await ordered(ledger, BOLT, *[7] * (orders - 1))
    project(database, ledger)
    last = NOON + timedelta(days=7 * (orders - 1))

    async def told(days: int) -> tuple[str, int | None]:
        found = await accounts.of(cur, BOLT, asked_at=last + timedelta(days=days))
        assert found is not None
        return found.status, found.rhythm_days

    async with cursor(database) as cur:
        assert await told(31) == ("qualified", None)
        assert await told(364) == ("qualified", None)
        assert await told(366) == ("quiet", None)


async def test_a_placement_that_is_not_long_ago_keeps_a_client_with_a_rhythm_from_being_quiet(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    first, order = ORDERS[ACME][:2]
    opened = order_opened(job_order_id=order, opened_at=NOON + timedelta(days=90))
    candidacy, on = candidacy_id(BEN, order), NOON + timedelta(days=90)
    placed_at = NOON + timedelta(days=140)
    with stopped_at(NOON + timedelta(days=200)):
        await do(
            ledger,
            lambda w: selling.step_job_order(
                w, ACME, order_filled(job_order_id=first, filled_at=NOON)
            ),
        )
        await ordered(ledger, ACME, 30, 60)
        await do(
            ledger,
            lambda w: selling.open_job_order(w, ACME, opened),
            lambda w: candidacies.open_candidacy(
                w, BEN, company_id=ACME, job_order_id=order, at=on
            ),
            lambda w: candidacies.give_right_to_represent(w, BEN, candidacy, at=on),
            lambda w: candidacies.introduce(w, BEN, candidacy, at=on),
            lambda w: candidacies.place(
                w, BEN, candidacy, at=placed_at, starts_on=placed_at.date(), first_year_pay_cents=1
            ),
        )
    project(database, ledger)

    async with cursor(database) as cur:
        soon = await accounts.of(cur, ACME, asked_at=NOON + timedelta(days=199))
        late = await accounts.of(cur, ACME, asked_at=NOON + timedelta(days=201))

    assert soon is not None
    assert late is not None
    assert (soon.status, soon.rhythm_days) == ("active", 30)
    assert (late.status, late.since) == ("quiet", NOON + timedelta(days=200))


async def test_who_is_placed_on_two_orders_makes_a_repeat_account(
    cur: Cursor, ledger: Ledger, database: str
) -> None:
    one = await accounts.of(cur, ACME, asked_at=LATER)
    person, order = BEN, ORDERS[ACME][1]
    opened = order_opened(job_order_id=order, opened_at=NOON)
    candidacy = candidacy_id(person, order)
    await do(
        ledger,
        lambda w: selling.open_job_order(w, ACME, opened),
        lambda w: candidacies.open_candidacy(
            w, person, company_id=ACME, job_order_id=order, at=NOON
        ),
        lambda w: candidacies.give_right_to_represent(w, person, candidacy, at=NOON),
        lambda w: candidacies.introduce(w, person, candidacy, at=NOON),
        lambda w: candidacies.place(
            w, person, candidacy, at=LATER, starts_on=LATER.date(), first_year_pay_cents=1
        ),
    )
    project(database, ledger)
    async with cursor(database) as fresh:
        two = await accounts.of(fresh, ACME, asked_at=LATER)
    fall = {"left_on": LATER.date(), "reason": "moved_away", "decided_by": "candidate"}
    await do(ledger, lambda w: placements.fall_through(w, person, candidacy, **fall))  # type: ignore[arg-type]
    project(database, ledger)
    async with cursor(database) as fresh:
        gone = await accounts.of(fresh, ACME, asked_at=LATER)

    assert gone is not None
    assert (gone.status, gone.placed_orders) == ("active", 1), "who did not stay is no placement"
    assert one is not None
    assert two is not None
    assert (one.status, one.placed_orders) == ("active", 1)
    assert (two.status, two.since, two.placed_orders) == ("repeat", LATER, 2)


async def test_a_funnel_counts_what_happened_in_its_days_by_pipeline_client_and_source(
    ledger: Ledger, database: str
) -> None:
    await prologue(ledger)
    for person in (ADA, BEN):
        for company in COMPANIES:
            order = ORDERS[company][0]
            await do(
                ledger,
                lambda w, p=person, c=company, o=order: candidacies.open_candidacy(  # type: ignore[misc]
                    w, p, company_id=c, job_order_id=o, at=NOON
                ),
            )
    there, away = (candidacy_id(ADA, ORDERS[c][0]) for c in (ACME, BOLT))
    out = Move(stage="withdrawn", at=LATER, reason="pay", decided_by="candidate")
    later = NOON + timedelta(days=40)
    with stopped_at(later):
        await do(
            ledger,
            lambda w: candidacies.move(w, ADA, there, Move(stage="screening", at=LATER)),
            lambda w: candidacies.move(w, ADA, away, out),
            lambda w: candidacies.move(w, ADA, there, Move(stage="qualified", at=later)),
        )
    project(database, ledger)

    async with cursor(database) as cur:
        days = {"since": NOON.date(), "until": date(2026, 4, 1)}
        lines = await funnel.report(cur, **days)
        clients = await funnel.report(cur, **days, by="client")
        sources = await funnel.report(cur, **days, by="source", company_id=ACME)
        none = await funnel.report(cur, **days, source="website")
        sooner = await funnel.report(cur, since=date(2020, 1, 1), until=NOON.date())
        whole = await funnel.report(cur, since=NOON.date(), until=date(2027, 1, 1))

    sourced, screening, withdrawn = lines
    assert (sourced.category, sourced.entered, sourced.went_on, sourced.fell_out) == (
        "sourced", 4, 1, 1,
    )  # fmt: skip
    assert (sourced.conversion_bp, sourced.median_days) == (2_500, 1.0)
    assert (screening.category, screening.went_on, screening.median_days) == ("screening", 0, None)
    assert (withdrawn.category, withdrawn.conversion_bp) == ("withdrawn", None)
    assert [(line.name, line.category, line.entered) for line in clients] == [
        ("C0", "sourced", 2), ("C0", "screening", 1), ("C1", "sourced", 2), ("C1", "withdrawn", 1),
    ]  # fmt: skip
    assert {(line.group, line.category) for line in sources} == {
        ("linkedin", "sourced"), ("linkedin", "screening"),
    }  # fmt: skip
    assert none == sooner == []
    assert [line.category for line in whole] == ["sourced", "screening", "qualified", "withdrawn"]
    assert whole[1].conversion_bp == 10_000


async def test_standings_tell_head_and_lag_before_during_and_after_building(
    ledger: Ledger, database: str
) -> None:
    before = await _standings(database)
    await prologue(ledger)
    unbuilt = await _standings(database)
    project(database, ledger)
    level = await _standings(database)

    assert before == (0, {(0, 0, 0.0, None)})
    head, found = unbuilt
    assert {(at, lag, fault) for at, lag, _, fault in found} == {(0, head, None)}
    assert all(0 <= seconds < 60 for *_, seconds, _ in found)
    assert level == (head, {(head, 0, 0.0, None)})


async def _standings(url: str) -> tuple[int, set[tuple[int, int, float, str | None]]]:
    async with cursor(url) as cur:
        head, found = await standings(cur, every())
    return head, {(one.position, one.lag_events, one.lag_s, one.fault) for one in found}


async def test_no_text_is_too_long_for_an_index(ledger: Ledger, database: str) -> None:
    """A projection that halts on what somebody wrote halts for ever."""
    await prologue(ledger)
    noise = "".join(hashlib.sha256(bytes([n])).hexdigest() for n in range(256))
    url = f"https://example.org/{noise[:1900]}"
    await do(
        ledger,
        lambda w: intake.add_contact_point(w, ADA, "url", url),
        lambda w: intake.record(w, ADA, sent(thread_id=noise, text=noise)),
        lambda w: intake.record(w, ADA, replied(thread_id=noise)),
        lambda w: intake.record(w, ADA, note(noise)),
    )
    fact = ProfileChanged(name=noise, headline=noise, location=noise, skills=noise)
    await ledger.change(
        Person, ADA, lambda p: p.change_profile(fact, by=ANA), intent=Intent(by=ANA)
    )
    project(database, ledger)

    async with cursor(database) as cur:
        [thread] = await engagement.threads_of(cur, ADA)
        found = await people.listing(cur, Criteria(skills=(noise[:80],)), on=NOON)
    assert (thread.thread_id, thread.sent, thread.replied) == (noise, 1, 1)
    assert [person.id for person in found] == [ADA]
