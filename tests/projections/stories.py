"""Stories that the rules allow: any sequence of commands, of which the refused ones are left out.

Three people, two companies, two job orders of each; few enough to meet each other often.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from builders import (
    absorbed,
    added,
    arranged,
    bounced,
    call,
    called_off,
    campaign_defined,
    campaign_finished,
    campaign_stopped,
    clicked,
    client_passed_on,
    client_referral_fee,
    client_referred,
    company_called,
    company_done,
    company_noted,
    company_promised,
    company_put_off,
    company_segment_saved,
    company_snoozed,
    consent,
    consultant_added,
    consultant_left,
    consultant_renamed,
    consultant_returned,
    credited,
    deal_changed,
    deal_linked,
    defined,
    document_added,
    document_removed,
    domain_added,
    domain_removed,
    done,
    employed,
    employment_ended,
    enrolled,
    erasure_deferred,
    erasure_requested,
    fee_agreed,
    fee_amended,
    fee_ended,
    feedback,
    field_defined,
    firm_absorbed,
    firm_document_added,
    firm_document_removed,
    firm_profile,
    firm_tagged,
    firm_untagged,
    held,
    hold_placed,
    hold_released,
    interview_moved,
    leave_alone,
    lifted,
    meeting,
    message_opened,
    no_answer,
    no_consent,
    note,
    off_limits,
    offer_accepted,
    offer_changed,
    offer_declined,
    offer_made,
    offer_withdrawn,
    on_limits,
    opening_vacated,
    order_changed,
    order_covered,
    order_held,
    order_lost,
    order_opened,
    order_reopened,
    order_staffed,
    owned,
    paid,
    paper_sent,
    paper_signed,
    parent,
    passed_on,
    pool_defined,
    pooled,
    preferred,
    profile,
    promised,
    put_off,
    raised,
    referral_fee,
    referred,
    refunded,
    removed,
    replied,
    researched,
    screening,
    segment_saved,
    sent,
    snoozed,
    some_filled,
    sourced,
    tagged,
    target_dropped,
    target_named,
    team_defined,
    team_joined,
    team_left,
    template_defined,
    unpooled,
    untagged,
    webhook_added,
    webhook_secret_renewed,
)
from ledger_crm.commands import (
    candidacies,
    customising,
    intake,
    markets,
    merging,
    placements,
    referring,
    selling,
    shortlists,
    teams,
)
from ledger_crm.commands.catalogue import (
    create_key,
    define_campaign,
    define_pipeline,
    define_pool,
    define_template,
    save_segment,
    ship,
)
from ledger_crm.domain.campaign import campaign_id
from ledger_crm.domain.candidate import Move, candidacy_id
from ledger_crm.domain.clock import today
from ledger_crm.domain.company import Company
from ledger_crm.domain.consultant import ConsultantAdded, consultant_id
from ledger_crm.domain.deal import DealSteps
from ledger_crm.domain.document import DocumentAdded, Filed, FirmDocumentFacts
from ledger_crm.domain.entry import Actor, id_of, new_id
from ledger_crm.domain.equal_opportunity import TOGETHER, Answers, EqualOpportunityForm
from ledger_crm.domain.fee import Share
from ledger_crm.domain.firm import FirmChanges
from ledger_crm.domain.interaction import CompanyInteractions
from ledger_crm.domain.interview import InterviewFacts, OfferFacts
from ledger_crm.domain.invoice import instalment_id
from ledger_crm.domain.joborder import JobOrderSteps
from ledger_crm.domain.person import Person
from ledger_crm.domain.pipeline import SALES, TALENT, Stage
from ledger_crm.domain.privacy import PrivacyFacts
from ledger_crm.domain.refusals import Refusal
from ledger_crm.domain.screening import Answer
from ledger_crm.domain.segment import Saved
from ledger_crm.domain.shortlist import ClientVerdict, Door
from ledger_crm.domain.webhook import (
    Webhook,
    WebhookChanges,
    WebhookDisabled,
    WebhookEnabled,
    WebhookRedriven,
    WebhookRemoved,
    WebhookSecretRenewed,
)
from ledger_crm.ledger import Intent, Ledger, Work
from scenario import ANA, LATER, NOON

PEOPLE = [UUID(int=0xA1 + n) for n in range(3)]
COMPANIES = [UUID(int=0xC1 + n) for n in range(2)]
ORDERS = {company: [UUID(int=company.int * 16 + n) for n in range(2)] for company in COMPANIES}
OTHER = dict(zip(COMPANIES, reversed(COMPANIES), strict=True))
DEALS = [UUID(int=0xD1 + n) for n in range(2)]
LISTS = {order: UUID(int=order.int + 0x51) for orders in ORDERS.values() for order in orders}
INVOICES = [UUID(int=0xE1 + n) for n in range(2)]
BOTH = tuple(Share(consultant=f"consultant:{who}", share_bp=5_000) for who in ("ana", "ben"))
AGREEMENTS = [UUID(int=0xF1 + n) for n in range(2)]

Command = Callable[[Work], Awaitable[Any]]

people = st.sampled_from(PEOPLE)
companies = st.sampled_from(COMPANIES)
places = companies.flatmap(lambda c: st.tuples(st.just(c), st.sampled_from(ORDERS[c])))
# few instants, so that several facts fall on the same one
instants = st.integers(-2, 2).map(lambda days: NOON + timedelta(days=days))
stages = st.sampled_from([stage.id for stage in TALENT.stages])
sales_stages = st.sampled_from([stage.id for stage in SALES.stages])
texts = st.sampled_from(["", "Grüße", "a\tb\nc\\", "x" * 3000])


def deal_steps_of(deal: UUID, person: UUID, order: UUID) -> list[DealSteps]:
    """Everything that may become of a deal beside its stages."""
    return [
        deal_changed(deal_id=deal, probability_bp=1, currency="JPY", contact_id=person),
        *(paper_sent(deal_id=deal, paper=paper) for paper in ("proposal", "terms")),
        *(paper_signed(deal_id=deal, version=n, signed_by_id=person) for n in (1, 2)),
        deal_linked(deal_id=deal, job_order_id=order),
    ]


def progress_of(
    person: UUID, candidacy: UUID, at: datetime, text: str
) -> list[InterviewFacts | OfferFacts]:
    """Everything that may happen between a client and a candidate, on one interview and offer."""
    one: dict[str, Any] = {"candidacy_id": candidacy, "interview_id": id_of("i", str(candidacy))}
    other: dict[str, Any] = {"candidacy_id": candidacy, "offer_id": id_of("o", str(candidacy))}
    return [
        arranged(**one, arranged_at=at, starts_at=at, interviewer_ids=(person,), text=text),
        interview_moved(**one, moved_at=at, text=text),
        called_off(**one, called_off_at=at),
        held(**one, held_at=at),
        feedback(**one, given_at=at, interviewer_id=person, text=text),
        feedback(**one, given_at=at, interviewer_id=None, scores=()),
        offer_made(**other, made_at=at, text=text),
        offer_changed(**other, changed_at=at),
        offer_accepted(**other, accepted_at=at),
        offer_declined(**other, declined_at=at),
        offer_withdrawn(**other, withdrawn_at=at),
    ]


def changes_of(above: UUID | None) -> list[FirmChanges]:
    """Everything that we may learn of a company."""
    return [
        firm_profile(),
        firm_profile(name=None, location="Zürich", employees=0),
        *(domain_added(domain=f"c{n}.example") for n in range(3)),
        *(domain_removed(domain=f"c{n}.example") for n in range(3)),
        parent(parent_id=above),
        owned(),
        firm_tagged(),
        firm_untagged(),
    ]


def steps_of(order: UUID, at: datetime) -> list[JobOrderSteps]:
    """Everything that may happen to a job order besides its end."""
    where: dict[str, Any] = {"job_order_id": order}
    return [
        order_changed(**where, changed_at=at, must_haves=("English", "é")),
        order_staffed(**where, staffed_at=at),
        order_held(**where, held_at=at),
        order_covered(**where, covered_at=at),
        screening(**where, set_at=at),
        some_filled(**where, filled_at=at),
        opening_vacated(**where, vacated_at=at),
        order_lost(**where, lost_at=at),
        order_reopened(**where, reopened_at=at, openings=None),
    ]


async def draw_up(work: Work, company: UUID, order: UUID, people: list[UUID], **rest: Any) -> Any:
    """The first version of the order's one shortlist, or the next one; every other one is blind."""
    wanted = [
        shortlists.Candidate(person_id=id, blind=bool(n % 2), headline="h" * n, text="t" * n)
        for n, id in enumerate(people)
    ]
    for each in wanted:
        person = await work.get(Person, each.person_id)
        person.must_be_presentable(candidacy_id(each.person_id, order), NOON)
        person.present(
            candidacy_id(each.person_id, order), blind=each.blind, headline=each.headline,
            text=each.text, at=NOON, by=ANA,
        )  # fmt: skip
    found = work.last(await work.get(Company, company))
    listed = [(each.person_id, candidacy_id(each.person_id, order), each.blind) for each in wanted]
    found.draw_shortlist(LISTS[order], order, listed, at=NOON, by=ANA, **rest)
    return found


async def share(work: Work, company: UUID, order: UUID, contact: UUID) -> Any:
    """Each contact has at most one link to it."""
    found = await work.get(Company, company)
    found.share_shortlist(
        LISTS[order], door_of(company, order, contact).link_id, contact_id=contact,
        digest=f"{order}{contact}", until_on=today(), at=NOON, by=ANA,
    )  # fmt: skip
    return found


def door_of(company: UUID, order: UUID, contact: UUID) -> Door:
    return Door(company, LISTS[order], id_of("link", str(order), str(contact)), contact)


HOOK = UUID(int=0x40F)
WEBHOOK_CHANGES = (
    WebhookDisabled(reason="failing"), WebhookEnabled(), WebhookRedriven(after=3), WebhookRemoved(),
    webhook_secret_renewed(7),
)  # fmt: skip


async def webhooked(work: Work, change: WebhookChanges | WebhookSecretRenewed) -> Webhook:
    """Added first."""
    if not await work.has(HOOK):
        return work.add(Webhook.open(webhook_added(), by=ANA, id=HOOK))
    webhook = await work.get(Webhook, HOOK)
    if isinstance(change, WebhookSecretRenewed):
        webhook.renew_secret(overlap_s=60, by=ANA)
    else:
        webhook.change(change, by=ANA)
    return webhook


def shortlisted(
    company: UUID, order: UUID, contact: UUID, at: datetime, people: list[UUID], text: str
) -> list[Command]:
    """Everything that may become of a shortlist."""
    door, verdicts = door_of(company, order, contact), ("interview", "reject", "hold")

    async def look(work: Work) -> Company:
        looked = await shortlists.look(work.ledger, door)
        return await shortlists.see(work, company, door, looked)

    def judging(verdict: ClientVerdict) -> Command:
        return lambda work: shortlists.judge(
            work, company, door, candidate="A", verdict=verdict, reason="pay", text=text
        )

    return [
        lambda work: draw_up(work, company, order, people, text=text),
        lambda work: share(work, company, order, contact),
        lambda work: shortlists.withdraw(work, company, LISTS[order], at=at, text=text),
        look,
        *map(judging, verdicts),
        lambda work: shortlists.comment(work, company, door, text=text),
        lambda work: shortlists.comment(work, company, door, text=text, candidate="B"),
    ]


async def equally_answers(work: Work, answers: Answers) -> Any:
    """By as many as are told of at once."""
    form = Actor("integration:website")
    return [work.add(EqualOpportunityForm.answer(answers, by=form)) for _ in range(TOGETHER)][-1]


def referring_to(person: UUID, company: UUID, other: UUID, at: datetime) -> list[Command]:
    """Everything that referrals and market maps may come to: one for each of them."""
    own, firm = {"referral_id": id_of("r", str(person))}, {"referral_id": id_of("r", str(company))}
    fee: dict[str, Any] = {"fee_cents": 1}

    async def tell_person(work: Work, state: Any) -> Person:
        found = await work.get(Person, person)
        found.tell_referral_fee(referral_fee(state, **own, told_at=at), by=ANA)
        return found

    async def tell_company(work: Work, state: Any) -> Company:
        found = await work.get(Company, company)
        found.tell_referral_fee(client_referral_fee(state, **firm, told_at=at), by=ANA)
        return found

    candidate = [
        referred(**own, **fee, by_person_id=other, received_at=at),
        referred(**own, **fee, fee_on="referral", by_person_id=other, by_company_id=company),
        passed_on(**own, **fee, to_person_id=other, to_company_id=company),
    ]
    client = [
        client_referred(**firm, **fee, by_person_id=other),
        client_passed_on(**firm, **fee, to_person_id=person),
    ]
    mapped = {"job_order_id": ORDERS[company][0], "target_id": OTHER[company]}
    targets: list[Command] = [
        lambda w: markets.target(w, company, target_named(**mapped)),
        lambda w: markets.target(w, company, target_dropped(**mapped)),
    ]
    looked_at = {"job_order_id": ORDERS[company][0], "company_id": company, "researched_at": at}
    return [
        lambda w: markets.research(w, person, researched(**looked_at)),
        *targets,
        *(lambda w, f=f: referring.candidate(w, person, f) for f in candidate),  # type: ignore[misc]
        *(lambda w, f=f: referring.client(w, company, f) for f in client),  # type: ignore[misc]
        *(lambda w, s=s: tell_person(w, s) for s in ("due", "paid")),  # type: ignore[misc]
        *(lambda w, s=s: tell_company(w, s) for s in ("due", "waived")),  # type: ignore[misc]
    ]


def forgetting(person: UUID, at: datetime, text: str) -> list[Command]:
    """Everything that a request to be erased may come to."""

    def asking(fact: PrivacyFacts) -> Command:
        async def ask(work: Work) -> Person:
            found = await work.get(Person, person)
            found.ask_privacy(fact, by=ANA)
            return found

        return ask

    facts = [
        erasure_requested(requested_at=at, text=text),
        erasure_deferred(text=text),
        hold_placed(placed_at=at, text=text),
        hold_released(released_at=at, text=text),
    ]
    return [*map(asking, facts), erasing(person)]


def as_one(person: UUID, other: UUID, at: datetime) -> list[Command]:
    """Two become one, and two again."""
    return [
        lambda work: merging.merge(work, person, absorbed(duplicate_id=other, absorbed_at=at)),
        lambda work: merging.unmerge(work, person, other, at=at),
    ]


def as_one_firm(company: UUID, at: datetime) -> list[Command]:
    other, fact = OTHER[company], firm_absorbed(duplicate_id=OTHER[company], absorbed_at=at)
    return [
        lambda work: merging.merge_companies(work, company, fact),
        lambda work: merging.unmerge_companies(work, company, other, at=at),
    ]


def erasing(person: UUID) -> Command:
    async def erase(work: Work) -> Person:
        found = await work.get(Person, person)
        found.erase(reason="asked_us", by=ANA)
        return found

    return erase


def customised(
    person: UUID, candidacy: UUID, company: UUID, order: UUID, text: str
) -> list[Command]:
    """Everything that custom fields may come to."""

    def defining(subject: str, slug: str, type_: str) -> Command:
        definition = field_defined(slug, subject=subject, type=type_)
        return lambda work: customising.define(work, definition)

    values: list[Any] = [
        {"note": text or None},
        {"weeks": len(text) / 2, "licence": ("b",), "mentor": str(person)},
        {"licence": None, "mentor": None},
    ]
    setting: list[Command] = []
    for each in values:
        setting += [
            lambda w, v=each: customising.of_person(w, person, v),  # type: ignore[misc]
            lambda w, v=each: customising.of_placement(w, person, candidacy, v),  # type: ignore[misc]
            lambda w, v=each: customising.of_company(w, company, v),  # type: ignore[misc]
            lambda w, v=each: customising.of_company(w, company, v, job_order_id=order),  # type: ignore[misc]
            lambda w, v=each: customising.of_company(w, company, v, deal_id=DEALS[0]),  # type: ignore[misc]
        ]
    types = {"note": "text", "weeks": "number", "licence": "multi_choice", "mentor": "person"}
    subjects = ("person", "placement", "company", "job_order", "deal")

    async def define_all(work: Work) -> Any:
        for subject in subjects:
            for slug, type_ in types.items():
                found = await defining(subject, slug, type_)(work)
        return found

    return [define_all, *setting]


def campaigning(person: UUID, company: UUID, at: datetime, text: str) -> list[Command]:
    """A campaign of two steps, and what may happen in it."""
    told: list[Command] = []

    async def begun(work: Work) -> Any:
        if not await work.has(campaign_id("spring")):
            await define_campaign(work, campaign_defined())
        return await intake.campaign(work, person, enrolled(enrolled_at=at, company_id=company))

    async def revised(work: Work) -> Any:
        return await define_campaign(work, campaign_defined(retired=text == ""))

    for fact in (campaign_finished(), campaign_stopped(reason="bored", text=text)):
        told.append(partial(intake.campaign, person_id=person, fact=fact))
    for n in range(2):
        step = sent(f"{text}-{n}", sent_at=at, campaign="spring")
        told.append(partial(intake.record, person_id=person, interaction=step))
    return [begun, begun, begun, revised, *told]


def teamed(at: datetime) -> list[Command]:
    """Two consultants and two teams, and what may become of them."""
    telling: list[Command] = []
    for who, slug in product(("consultant:ben", "consultant:cem"), ("north", "south")):
        added, day = consultant_added(who, joined_on=at.date()), at.date()

        async def found(work: Work, added: ConsultantAdded = added, slug: str = slug) -> Any:
            if not await work.has(consultant_id(added.consultant)):
                await teams.add_consultant(work, added)
            return await teams.define_team(work, team_defined(slug))

        telling.append(found)
        for became in (consultant_renamed(), consultant_left(day), consultant_returned(day)):
            telling.append(partial(teams.change_consultant, consultant=who, fact=became))
        for turn in (team_joined(who, day), team_left(who, day)):
            telling.append(partial(teams.change_members, slug=slug, fact=turn))
    return telling


@st.composite
def _commands(draw: st.DrawFn) -> Command:
    person, (company, order), at = draw(people), draw(places), draw(instants)
    candidacy, text = candidacy_id(person, order), draw(texts)

    async def on_company(work: Work, command: Callable[[Company], object]) -> Company:
        found = await work.get(Company, company)
        command(found)
        return found

    async def on_person(work: Work, command: Callable[[Person], object]) -> Person:
        found = await work.get(Person, person)
        command(found)
        return found

    def filing(company: Company, paper: FirmDocumentFacts) -> None:
        if isinstance(paper, Filed):
            company.add_document(paper, by=ANA)
        else:
            company.remove_document(paper, by=ANA)

    match draw(st.integers(-17, 20)):
        case -17:
            ways = as_one(person, draw(people), at) + as_one_firm(company, at)
            return draw(st.sampled_from(ways))
        case -14:
            return draw(st.sampled_from(forgetting(person, at, text)))
        case -16:
            return draw(st.sampled_from(campaigning(person, company, at, text)))
        case -15:
            return draw(st.sampled_from(teamed(at)))
        case -13:
            return draw(st.sampled_from(referring_to(person, company, draw(people), at)))
        case -12:
            return draw(st.sampled_from(customised(person, candidacy, company, order, text)))
        case -5:
            became = draw(
                st.sampled_from(deal_steps_of(draw(st.sampled_from(DEALS)), person, order))
            )
            return lambda work: selling.work_on_deal(work, company, became)
        case -6:
            told = draw(st.sampled_from(progress_of(person, candidacy, at, text)))
            return lambda work: candidacies.progress(work, person, told)
        case -7:
            learned = draw(st.sampled_from(changes_of(draw(st.none() | companies))))
            return lambda work: intake.change_company(work, company, learned)
        case -9:
            shown = draw(st.lists(people, min_size=1, unique=True))
            several = shortlisted(company, order, person, at, shown, text)
            return draw(st.sampled_from(several))
        case -11:
            if draw(st.booleans()):
                change = draw(st.sampled_from(WEBHOOK_CHANGES))
                return lambda work: webhooked(work, change)
            gender = draw(st.sampled_from(["woman", "Woman ", "man", ""]))
            return lambda work: equally_answers(work, Answers(gender=gender))
        case -10:
            if draw(st.booleans()):
                text = draw(st.sampled_from(["Dear {{name}}", "Good day"]))
                return lambda work: define_template(work, template_defined(text=text))
            answer = Answer(question="right_to_work", text=draw(st.sampled_from(["yes", "no"])))
            answers = draw(st.sampled_from([(), (answer,)]))
            return lambda work: candidacies.apply(
                work, person, company_id=company, job_order_id=order, at=at, answers=answers,
                text=text,
            )  # fmt: skip
        case -8:
            id = {"document_id": UUID(int=person.int + 0xD0C + draw(st.integers(0, 1)))}
            paper = draw(st.sampled_from([document_added, document_removed]))(**id)
            if draw(st.booleans()):
                firm = {"document_id": UUID(int=company.int + 0xD0C)}
                filed = draw(st.sampled_from([firm_document_added, firm_document_removed]))(**firm)
                return lambda work: on_company(work, lambda c: filing(c, filed))
            if isinstance(paper, DocumentAdded):
                return lambda work: on_person(work, lambda p: p.add_document(paper, by=ANA))
            return lambda work: on_person(work, lambda p: p.remove_document(paper, by=ANA))
        case -4:
            slug = draw(st.sampled_from(["speakers", "mentors"]))
            about = draw(
                st.sampled_from(
                    [
                        pooled(slug, pooled_at=at, text=text),
                        unpooled(slug),
                        None,
                        segment_saved(),
                        company_segment_saved(),
                    ]
                )
            )
            match about:
                case None:
                    retired = draw(st.booleans())
                    return lambda work: define_pool(work, pool_defined(slug, retired=retired))
                case Saved():
                    return lambda work: save_segment(work, about)
            return lambda work: intake.pool(work, person, about)
        case -3:
            number = {"follow_up_id": UUID(int=draw(st.integers(0xF0, 0xF1)))}
            if draw(st.booleans()):
                fact = promised(**number, due_on=at.date(), company_id=company, text=text)
                nobody = company_promised(**number, due_on=at.date(), text=text)
                if draw(st.booleans()):
                    return lambda work: intake.promise_company(work, company, nobody)
                return lambda work: intake.promise(work, person, fact)
            if draw(st.booleans()):
                told = draw(st.sampled_from([company_done(**number), company_put_off(**number)]))
                return lambda work: on_company(work, lambda c: c.follow_up(told, by=ANA))
            change = draw(
                st.sampled_from([done(**number, done_at=at), put_off(**number, reason="later")])
            )
            return lambda work: on_person(work, lambda p: p.follow_up(change, by=ANA))
        case -2:
            seen = draw(
                st.sampled_from(
                    [
                        message_opened(opened_at=at),
                        clicked(clicked_at=at),
                        bounced(draw(st.sampled_from("ab")), bounced_at=at),
                        meeting(started_at=at, company_id=company),
                        no_answer(said_at=at),
                        call(started_at=at, direction="in"),
                        note(text=text, mentions=(draw(people), company)),
                        company_noted(text=text, mentions=(draw(people),)),
                        company_called(started_at=at, text=text),
                        None,
                    ]
                )
            )
            if seen is None:
                quiet = draw(st.booleans())
                if quiet:
                    snooze = company_snoozed(until_on=at.date())
                    return lambda work: on_company(work, lambda c: c.snooze_quiet(snooze, by=ANA))
                return lambda work: on_person(
                    work, lambda p: p.snooze_quiet(snoozed(until_on=at.date()), by=ANA)
                )
            if isinstance(seen, CompanyInteractions):
                return lambda work: intake.record_of_company(work, company, seen)
            return lambda work: intake.record(work, person, seen)
        case -1:
            address = draw(st.sampled_from(["a@example.org", "b@example.org"]))
            changed = draw(
                st.sampled_from(
                    [
                        lambda p: p.change_contact_point(removed(address), by=ANA),
                        lambda p: p.change_contact_point(preferred(address), by=ANA),
                        lambda p: p.change_profile(profile(name="P", skills=text), by=ANA),
                        lambda p: p.change_profile(profile(cleared=("skills",)), by=ANA),
                        lambda p: p.tag(tagged(), by=ANA),
                        lambda p: p.tag(untagged(), by=ANA),
                        lambda p: p.end_employment(employment_ended(company_id=company), by=ANA),
                    ]
                )
            )
            return lambda work: on_person(work, changed)
        case 0 | 1:
            return lambda work: candidacies.open_candidacy(
                work, person, company_id=company, job_order_id=order, at=at, text=text
            )
        case 2 | 3 | 4:
            to = Move(stage=draw(stages), at=at, reason="pay", decided_by="client", text=text)
            return lambda work: candidacies.move(work, person, candidacy, to)
        case 5:
            return lambda work: candidacies.give_right_to_represent(work, person, candidacy, at=at)
        case 6:
            other = draw(st.none() | people)
            return lambda work: _introduce(work, person, company, candidacy, at, other)
        case 7:
            return lambda work: candidacies.place(
                work, person, candidacy, at=at, starts_on=at.date(), first_year_pay_cents=99_999,
                override=draw(st.sampled_from(["", "x"])),
            )  # fmt: skip
        case 8:
            fact = employed(company_id=company, starts_on=draw(st.none() | st.just(at.date())))
            return lambda work: intake.employ(work, person, fact)
        case 9:
            about = draw(st.none() | companies)
            said = draw(
                st.sampled_from(
                    [
                        sent(draw(st.sampled_from("ab")), sent_at=at, text=text, company_id=about),
                        replied(replied_at=at, text=text, company_id=about),
                        note(text=text, company_id=about, written_at=draw(st.none() | instants)),
                    ]
                )
            )
            return lambda work: intake.record(work, person, said)
        case 10:
            address = draw(st.sampled_from(["a@example.org", "b@example.org"]))
            return lambda work: intake.add_contact_point(work, person, "email", address)
        case 11:
            manager = draw(st.none() | people)
            opened = order_opened(job_order_id=order, opened_at=at, hiring_manager_id=manager)
            return lambda work: selling.open_job_order(work, company, opened)
        case 12:
            id, terms = draw(st.sampled_from(AGREEMENTS)), draw(st.none() | st.just(order))
            agreed = fee_agreed(agreement_id=id, job_order_id=terms, agreed_at=at, text=text)
            amended = fee_amended(agreement_id=id, job_order_id=terms, amended_at=at, text=text)
            ended = fee_ended(agreement_id=id, ended_at=at, text=text)
            act = draw(
                st.sampled_from(
                    [
                        lambda c: c.agree_fee(agreed, by=ANA),
                        lambda c: c.amend_fee(amended, by=ANA),
                        lambda c: c.end_fee(ended, by=ANA),
                    ]
                )
            )
            return lambda work: on_company(work, act)
        case 13:
            contact, deal = draw(st.none() | people), draw(st.sampled_from(DEALS))
            worth = draw(st.integers(0, 10**9))
            return lambda work: selling.open_deal(
                work, company, title="d", at=at, id=deal, value_cents=worth, contact_id=contact
            )
        case 14:
            deal, stage = draw(st.sampled_from(DEALS)), draw(sales_stages)
            return lambda work: selling.move_deal(
                work, company, deal, stage=stage, at=at, reason="price", text=text
            )
        case 15:
            last = draw(st.none() | st.just(at.date()))
            permission = draw(
                st.sampled_from(
                    [
                        consent(given_at=at, expires_on=last, text=text),
                        no_consent(withdrawn_at=at, text=text),
                        leave_alone(set_at=at, until_on=last, text=text),
                        lifted(lifted_at=at, text=text),
                    ]
                )
            )
            return lambda work: intake.permit(work, person, permission)
        case 16:
            limits = draw(
                st.sampled_from(
                    [
                        off_limits(agreed_at=at),
                        off_limits(agreed_at=at, with_subsidiaries=True),
                        on_limits(lifted_at=at),
                    ]
                )
            )
            return lambda work: on_company(work, lambda c: c.set_off_limits(limits, by=ANA))
        case 18:
            act = draw(
                st.sampled_from(
                    [
                        lambda w: placements.start(w, person, candidacy, starts_on=at.date()),
                        lambda w: placements.fall_through(
                            w, person, candidacy, left_on=at.date(), reason="x", decided_by="client"
                        ),
                        lambda w: placements.split_commission(
                            w, person, candidacy, shares=BOTH, at=at
                        ),
                    ]
                )
            )
            return act
        case 19:
            invoice, cents = draw(st.sampled_from(INVOICES)), draw(st.integers(1, 30_000))
            number, start = draw(st.sampled_from("123")), instalment_id(order, "start", candidacy)
            money: dict[str, Any] = {"invoice_id": invoice, "amount_cents": cents}
            fact = draw(
                st.sampled_from(
                    [
                        ("raise", raised(number, instalment_id=start, raised_at=at, **money)),
                        ("pay", paid(cents, invoice_id=invoice, paid_at=at)),
                        ("credit", credited(cents, invoice_id=invoice, number=number)),
                        ("refund", refunded(cents, invoice_id=invoice, refunded_at=at)),
                    ]
                )
            )
            return lambda work: on_company(
                work, lambda c: getattr(c, f"{fact[0]}_invoice")(fact[1], by=ANA)
            )
        case _:
            label = draw(st.sampled_from(["Found", "Sourced"]))
            renamed = defined(Stage("sourced", label, "sourced"), *TALENT.stages[1:])
            end = draw(
                st.sampled_from(
                    [
                        lambda c: c.cancel_job_order(order, at=at, reason="frozen", by=ANA),
                        lambda c: c.fill_job_order(order, at=at, by=ANA),
                        *(partial(Company.step, fact=fact, by=ANA) for fact in steps_of(order, at)),
                        None,
                    ]
                )
            )
            if end is None:
                return lambda work: define_pipeline(work, renamed)
            return lambda work: on_company(work, end)


async def _raise(work: Work, company_id: UUID, due: UUID) -> Company:
    company = await work.get(Company, company_id)
    fact = raised(due.hex[:8], invoice_id=due, instalment_id=due, amount_cents=2_500_000)
    company.raise_invoice(fact, by=ANA)
    return company


stories = st.lists(_commands(), max_size=40)


async def prologue(ledger: Ledger) -> None:
    """Everybody is there, the companies have terms and one open job order each."""
    await ship(ledger)
    await create_key(ledger, actor="consultant:ana")

    async def begin(work: Work) -> Any:
        for n, id in enumerate(PEOPLE):
            person = await intake.source_person(
                work, sourced(name=f"P{n}"), intake.Reachable(), id=id
            )
        for n, id in enumerate(COMPANIES):
            fact = added(name=f"C{n}", domain=f"c{n}.example")
            company = await intake.add_company(work, fact, id=id)
            company.agree_fee(fee_agreed(agreement_id=new_id()), by=ANA)
            opened = order_opened(job_order_id=ORDERS[id][0], openings=4)
            company.open_job_order(opened, by=ANA)
        return person

    await ledger.decide(begin, intent=Intent(by=ANA))


async def tell(
    ledger: Ledger,
    story: list[Command],
    *,
    after_each: Callable[[], object] = lambda: None,
    begin: Callable[[Ledger], Awaitable[None]] | None = prologue,
) -> None:
    if begin:
        await begin(ledger)
        after_each()
    for command in story:
        with suppress(Refusal):
            await ledger.decide(command, intent=Intent(by=ANA))
            after_each()


async def _introduce(
    work: Work, person: UUID, company: UUID, candidacy: UUID, at: datetime, other: UUID | None
) -> Person:
    """To the other one, who works there as far as anybody knows."""
    if other:
        await intake.employ(work, other, employed(company_id=company))
    return await candidacies.introduce(work, person, candidacy, at=at, to_person_id=other)


async def a_full_story(ledger: Ledger) -> None:
    """Every kind of fact once at least, with one person at both companies."""
    await prologue(ledger)
    ada, ben, cyd = PEOPLE
    for company, [order, _] in ORDERS.items():
        candidacy = candidacy_id(ada, order)
        told = progress_of(cyd, candidacy, NOON, "in full")
        commands: list[Command] = [
            lambda w, c=company: intake.employ(w, cyd, employed(company_id=c)),  # type: ignore[misc]
            lambda w, c=company, o=order: candidacies.open_candidacy(  # type: ignore[misc]
                w, ada, company_id=c, job_order_id=o, at=NOON
            ),
            lambda w, c=candidacy: candidacies.give_right_to_represent(w, ada, c, at=NOON),  # type: ignore[misc]
            lambda w, c=candidacy: candidacies.introduce(  # type: ignore[misc]
                w, ada, c, at=NOON, to_person_id=cyd
            ),
            lambda w, c=company, o=order: candidacies.apply(  # type: ignore[misc]
                w, ada, company_id=c, job_order_id=o, at=NOON, channel="job_board"
            ),
            *(
                lambda w, f=f: candidacies.progress(w, ada, f)  # type: ignore[misc]
                for f in (*told[:2], *told[3:9])
            ),
            lambda w, c=candidacy: candidacies.place(  # type: ignore[misc]
                w,
                ada,
                c,
                at=NOON,
                starts_on=date(2026, 4, 1),
                first_year_pay_cents=10**7,
                override="Two halves",
            ),
            lambda w, c=candidacy: placements.start(w, ada, c, starts_on=date(2026, 4, 1)),  # type: ignore[misc]
            lambda w, c=company, o=order, d=candidacy: _raise(w, c, instalment_id(o, "start", d)),  # type: ignore[misc]
            lambda w, c=company: intake.record(w, ada, note("of them", company_id=c)),  # type: ignore[misc]
            lambda w, c=company: selling.open_deal(w, c, title="d", at=NOON, contact_id=cyd),  # type: ignore[misc]
            *(
                shortlisted(company, order, cyd, NOON, [ada], "in full")[n]
                for n in (0, 1, 3, 4, 5, 7, 0, 3)
            ),
        ]
        for command in commands:
            await ledger.decide(command, intent=Intent(by=ANA))
    for company, [order, _] in ORDERS.items():
        for command in customised(ada, candidacy_id(ada, order), company, order, "in full")[:5]:
            await ledger.decide(command, intent=Intent(by=ANA))
    several = referring_to(ada, COMPANIES[0], ben, LATER)
    for command in (several[n] for n in (0, 1, 3, 7, -1)):
        await ledger.decide(command, intent=Intent(by=ANA))
    for command in as_one_firm(COMPANIES[0], NOON):
        await ledger.decide(command, intent=Intent(by=ANA))
    for said in (sent(), replied(), note()):
        await ledger.decide(
            lambda w, s=said: intake.record(w, ada, s),  # type: ignore[misc]
            intent=Intent(by=ANA),
        )
