"""What goes on at the demo agency besides its candidacies: the catalogue that it set up, who
started and what they paid for it, what was promised, who applied, was referred or is kept warm.

It is told after the candidacies, by a die of its own: whatever is added here, they stay as
they are.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from ledger_crm.domain.campaign import CampaignDefined, Enrolled
from ledger_crm.domain.campaign import Step as Message
from ledger_crm.domain.candidate import candidacy_id
from ledger_crm.domain.company import Company
from ledger_crm.domain.consultant import ConsultantAdded
from ledger_crm.domain.custom import Choice, CustomFieldDefined
from ledger_crm.domain.entry import Aggregate
from ledger_crm.domain.followup import (
    CompanyFollowUpDone,
    CompanyFollowUpPromised,
    FollowUpDone,
    FollowUpPromised,
)
from ledger_crm.domain.interaction import CompanyCalled, CompanyNoted
from ledger_crm.domain.invoice import InvoicePaid, InvoiceRaised, instalment_id
from ledger_crm.domain.joborder import ScreeningSet
from ledger_crm.domain.market import Researched, TargetNamed
from ledger_crm.domain.person import Person
from ledger_crm.domain.pool import PersonPooled, PoolDefined
from ledger_crm.domain.referral import CandidateReferred, ClientReferred
from ledger_crm.domain.screening import Answer, Question
from ledger_crm.domain.team import TeamDefined, TeamJoined
from ledger_crm.ledger import Work

from . import (
    candidacies,
    catalogue,
    customising,
    intake,
    markets,
    placements,
    referring,
    selling,
    teams,
)
from . import demo_trade_words as trade
from . import demo_words as words
from .demo_story import OVER, Client, Order, Reached, Someone, Story

LATELY = timedelta(days=90)
SHARE_WITH_SHORTLIST = 0.5
APPLICANTS = 3  # on an order, at most


class Agency(Story):
    """A story, and the rest of the trade. The catalogue of consultants and teams is that of the
    first agency: every other one works with the same people."""

    def _live(self, companies: int) -> None:
        self.started: list[tuple[Order, Someone, date]] = []
        self.bills: dict[UUID, tuple[UUID, datetime | None]] = {}  # of a start, and when paid
        self.orders: list[Order] = []
        self.deals: list[tuple[datetime, Client, UUID]] = []
        self.met: list[tuple[datetime, str, Someone]] = []  # since when, by whom
        self.went: list[tuple[Order, Someone, Reached]] = []
        super()._live(companies)
        self.rng = random.Random(f"{self.seed} besides")  # noqa: S311 - as that of the story
        self._set_up()
        for order, who, starts_on in self.started:
            self._starts(order, who, starts_on)
        for client in self.clients:
            self._looked_after(client)
        for at, client, deal_id in self.deals:
            through = {self._slug("came_through"): self.rng.choice(list(trade.WAYS))}
            act = partial(
                customising.of_company, company_id=client.id, values=through, at=at,
                deal_id=deal_id,
            )  # fmt: skip
            self._step(at, self._actor(client.owner), act, client)
        for order in self.orders:
            self._listed(order)
            self._applied_for(order)
        self._mapped()
        self._kept_warm()

    # What the story tells on its way

    def _placed(self, at: datetime, order: Order, who: Someone) -> date:
        starts_on = super()._placed(at, order, who)
        self.started.append((order, who, starts_on))
        return starts_on

    def _deal(self, at: datetime, client: Client, contact: Someone, stage: str) -> UUID:
        id = super()._deal(at, client, contact, stage)
        self.deals.append((at, client, id))
        return id

    def _work_on(self, order: Order) -> tuple[Someone, datetime]:
        self.orders.append(order)
        return super()._work_on(order)

    def _sourced_anew(self, at: datetime, by: str, who: Someone, client: Client) -> None:
        self.met.append((at, by, who))
        super()._sourced_anew(at, by, who, client)

    def _candidacy(self, order: Order, who: Someone, at: datetime, depth: str) -> Reached:
        reached = super()._candidacy(order, who, at, depth)
        self.went.append((order, who, reached))
        return reached

    # The catalogue, before anything else

    def _set_up(self) -> None:
        at, head = self.start + timedelta(hours=7), next(iter(words.CONSULTANTS))
        defined: list[partial[Any]] = []
        if self.seed == 1:
            for slug, name in words.CONSULTANTS.items():
                added = ConsultantAdded(
                    consultant=f"consultant:{slug}", name=name, joined_on=at.date()
                )
                defined.append(partial(_known, fact=added))
            for team, (title, members) in trade.TEAMS.items():
                told = TeamDefined(slug=team, title=title)
                defined.append(partial(teams.define_team, definition=told))
                for slug in members:
                    joined = TeamJoined(consultant=f"consultant:{slug}", joined_on=at.date())
                    defined.append(partial(teams.change_members, slug=team, fact=joined))
        for subject, slug, label, type_, choices in trade.FIELDS:
            field = CustomFieldDefined(
                subject=subject,
                slug=self._slug(slug),
                label=label,
                type=type_,
                choices=tuple(Choice(each, words_) for each, words_ in choices.items()),
            )
            defined.append(partial(customising.define, definition=field))
        pool = PoolDefined(slug=self._slug("silver_medallists"), title="Silver medallists")
        defined.append(partial(catalogue.define_pool, definition=pool))
        steps = tuple(Message(channel="email", after_days=days) for days in (0, 10, 21))
        campaign = CampaignDefined(
            slug=self._slug("still_looking"), title="Still looking?", steps=steps
        )
        defined.append(partial(catalogue.define_campaign, definition=campaign))
        for n, act in enumerate(defined):
            self._step(at + timedelta(seconds=n), self._actor(head), act)

    def _slug(self, slug: str) -> str:
        """Every agency but the first has a catalogue of its own."""
        return slug if self.seed == 1 else f"{slug}_{self.seed}".replace("-", "m")

    # Money

    def _starts(self, order: Order, who: Someone, starts_on: date) -> None:
        client, candidacy = order.client, candidacy_id(who.id, order.id)
        first_day = datetime.combine(starts_on, time(), UTC)
        act = partial(
            placements.start, person_id=who.id, candidacy_id=candidacy, starts_on=starts_on
        )
        self._step(first_day, self._actor(order.consultant), act, who, client, facts=2)
        centre = {self._slug("cost_centre"): f"CC-{self.rng.randrange(100, 1000)}"}
        known_at = self._later(first_day, 8, 20)
        known = partial(
            customising.of_placement, person_id=who.id, candidacy_id=candidacy, values=centre,
            at=known_at,
        )  # fmt: skip
        self._step(known_at, self._actor(order.consultant), known, who)
        raised_at = self._later(first_day, 30, 120)
        invoice, number = self._id("invoice"), f"{first_day:%Y}-{self.seed}-{self.made['invoice']}"
        bill = partial(
            _raise, company_id=client.id, id=invoice, number=number, at=raised_at,
            due=instalment_id(order.id, "start", candidacy),
        )  # fmt: skip
        self._step(raised_at, self._actor(client.owner), bill, client)
        self.bills[candidacy] = invoice, None
        if self.rng.random() < 0.93:
            paid_at = self._later(raised_at, 24 * 12, 24 * 50)
            self.bills[candidacy] = invoice, paid_at
            pay = partial(_pay, company_id=client.id, id=invoice, at=paid_at)
            self._step(paid_at, self._actor(client.owner), pay, client)

    # Clients: what we know of them, promised them, and who sent them

    def _looked_after(self, client: Client) -> None:
        rng, by = self.rng, self._actor(client.owner)
        at = self._later(client.added_at, 20, 40)
        size = rng.choice(list(trade.SIZES))
        act = partial(customising.of_company, company_id=client.id, at=at)
        values = {self._slug("headcount"): size}
        self._step(at, by, partial(act, values=values), client)

        at += timedelta(minutes=3)
        call = CompanyCalled(started_at=at, duration_s=rng.randrange(40, 400), text=trade.RECEPTION)
        note = CompanyNoted(written_at=at + timedelta(days=1), text=rng.choice(trade.NOTES))
        for when, fact in ((at, call), (at + timedelta(days=1), note)):
            act = partial(intake.record_of_company, company_id=client.id, fact=fact)
            self._step(when, by, act, client)

        others = [each for each in self.clients if each.added_at + timedelta(days=2) < at]
        newest = max(self.clients, key=lambda each: each.added_at)  # one at least is referred
        if others and (rng.random() < 0.25 or client is newest):
            source = rng.choice(others).contacts[0]
            at += timedelta(minutes=5)
            told = ClientReferred(
                referral_id=self._id("referral"), by_person_id=source.id, received_at=at,
                text=trade.REFERRED,
            )  # fmt: skip
            act = partial(referring.client, company_id=client.id, fact=told)
            self._step(at, by, act, client, source)

        if client.id == self.quiet_company_id:
            return  # nothing but letters of ours
        since = max(self.end - LATELY, client.added_at + timedelta(days=3))
        for who in (*client.contacts, None):
            self._promised(self._later(since, 0, 24 * 88), client, who)

    def _promised(self, at: datetime, client: Client, who: Someone | None) -> None:
        """To one of them, or to nobody in particular; done on the day, or not yet."""
        id, by = self._id("follow-up"), self._actor(client.owner)
        done_at = self._later(at, 72, 24 * 21)
        due_on, text = done_at.date(), self.rng.choice(trade.PROMISES)
        is_done = self.rng.random() < 0.8
        act: partial[Any]
        end: partial[Any]
        touched: tuple[Someone | Client, ...]
        if who:
            promise = FollowUpPromised(
                follow_up_id=id, due_on=due_on, promised_at=at, company_id=client.id, text=text
            )
            act = partial(intake.promise, person_id=who.id, fact=promise)
            over = FollowUpDone(follow_up_id=id, done_at=done_at)
            end = partial(_done, person_id=who.id, fact=over)
            touched = (who, client)
        else:
            theirs = CompanyFollowUpPromised(
                follow_up_id=id, due_on=due_on, promised_at=at, text=text
            )
            act = partial(intake.promise_company, company_id=client.id, fact=theirs)
            done = CompanyFollowUpDone(follow_up_id=id, done_at=done_at)
            end = partial(_done_for_company, company_id=client.id, fact=done)
            touched = (client,)
        self._step(at, by, act, *touched)
        if is_done:
            self._step(done_at, by, end, *touched)

    # Job orders: whom the client is shown, and who applies

    def _listed(self, order: Order) -> None:
        """Once at least two of them are before the client; those who are at that moment."""
        if self.rng.random() > SHARE_WITH_SHORTLIST:
            return
        last = min(order.ends_at if order.ends_at > order.opened_at else self.end, self.end)
        on_it = [(who, reached) for of, who, reached in self.went if of is order]
        moments = sorted(
            at + timedelta(minutes=9)
            for _, reached in on_it
            for at, stage in reached
            if stage == "submitted" and at + timedelta(minutes=9) < last
        )
        for at in moments:
            shown = [who for who, reached in on_it if _before_the_client(reached, at)]
            if len(shown) < 2:
                continue
            act = partial(
                _draw,
                company_id=order.client.id,
                id=self._id("shortlist"),
                job_order_id=order.id,
                people=[(who.id, candidacy_id(who.id, order.id), False) for who in shown],
                at=at,
            )
            self._step(at, self._actor(order.consultant), act, order.client, *shown)
            return

    def _applied_for(self, order: Order) -> None:
        """By themselves, through a board; on orders that are open in the end."""
        if not order.opened_at < self.end <= order.ends_at:
            return
        at = self._later(order.opened_at, 5, 30)
        mode = {self._slug("work_mode"): self.rng.choice(list(trade.MODES))}
        set_ = partial(
            customising.of_company, company_id=order.client.id, values=mode, at=at,
            job_order_id=order.id,
        )  # fmt: skip
        self._step(at, self._actor(order.consultant), set_, order.client)
        questions = [
            Question(id=id, asked=asked, form="yes_no" if id == "permit" else "text", required=True)
            for id, (asked, _) in trade.QUESTIONS.items()
        ]
        at += timedelta(minutes=2)
        asks = ScreeningSet(job_order_id=order.id, set_at=at, questions=tuple(questions))
        ask = partial(selling.step_job_order, company_id=order.client.id, fact=asks)
        self._step(at, self._actor(order.consultant), ask, order.client)
        for _ in range(self.rng.randrange(1, APPLICANTS + 1)):
            at = self._later(at, 2, 40)
            who = self._someone(at, order.client.city, order.trade)
            headline = f"{self.rng.choice(words.TRADES[order.trade].titles)}, {who.skill}"
            host = self._host(self.rng.choice(words.MAIL))
            self._sourced(at, order.consultant, who, host, "job_board", headline)
            at += timedelta(seconds=20)
            act = partial(
                candidacies.apply,
                person_id=who.id,
                company_id=order.client.id,
                job_order_id=order.id,
                at=at,
                channel="job_board",
                source=self.rng.choice(trade.BOARDS),
                answers=[
                    Answer(question=id, text=self.rng.choice(said))
                    for id, (_, said) in trade.QUESTIONS.items()
                ],
                text=self.rng.choice(trade.LETTERS),
            )
            self._step(at, self._actor(order.consultant), act, who, order.client, facts=4)
            at += timedelta(minutes=1)

    def _mapped(self) -> None:
        """Where else those may sit whom the order to look at asks for."""
        open_ = [order for order in self.orders if order.id in self.boards]
        order = max(open_, key=lambda each: (len(self.boards[each.id]), str(each.id)))
        by, at = order.consultant, self._later(order.opened_at, 1, 3)
        act: partial[Any]
        others = [each for each in self.clients if each is not order.client and each.added_at < at]
        for target in others[:4]:
            at += timedelta(minutes=4)
            named = TargetNamed(
                job_order_id=order.id, target_id=target.id, named_at=at, reason="same_trade"
            )
            act = partial(markets.target, company_id=order.client.id, fact=named)
            self._step(at, self._actor(by), act, order.client, target)
            who = target.contacts[-1]
            at += timedelta(minutes=4)
            found = Researched(
                company_id=order.client.id,
                job_order_id=order.id,
                researched_at=at,
                standing=self.rng.choice(("identified", "to_approach", "not_suitable")),
                text=trade.RESEARCHED,
            )
            act = partial(markets.research, person_id=who.id, fact=found)
            self._step(at, self._actor(by), act, who, order.client)

    # Candidates: who sent them, what we know, who is kept warm

    def _kept_warm(self) -> None:
        """Of those whom nothing is on with."""
        rng = self.rng
        taken = {who.id for _, who, _ in self.started}
        free = [
            (met_at, by, who)
            for met_at, by, who in self.met
            if who.id not in taken and who.free_at < self.end - timedelta(days=21)
        ]
        for met_at, by, who in rng.sample(free, min(len(free), max(6, len(self.clients) * 2))):
            at = met_at + timedelta(minutes=5)
            weeks = {self._slug("notice_weeks"): rng.choice((2, 4, 4, 6, 12))}
            known = partial(customising.of_person, person_id=who.id, values=weeks, at=at)
            self._step(at, self._actor(by), known, who)
            sources = [each for each in self.clients if each.added_at + timedelta(days=2) < at]
            if sources and rng.random() < 0.5:
                source = rng.choice(sources).contacts[-1]
                at += timedelta(minutes=1)
                told = CandidateReferred(
                    referral_id=self._id("referral"),
                    by_person_id=source.id,
                    received_at=at,
                    fee_cents=rng.choice((0, 50_000, 100_000)),
                )
                act = partial(referring.candidate, person_id=who.id, fact=told)
                self._step(at, self._actor(by), act, who, source)
            at = self._later(self.end - timedelta(days=20), 0, 24 * 14)
            pooled = PersonPooled(
                pool=self._slug("silver_medallists"), reason="good_fit", pooled_at=at
            )
            act = partial(intake.pool, person_id=who.id, fact=pooled)
            self._step(at, self._actor(by), act, who)
            if rng.random() < 0.6:
                at += timedelta(minutes=2)
                enrolled = Enrolled(campaign=self._slug("still_looking"), enrolled_at=at)
                act = partial(intake.campaign, person_id=who.id, fact=enrolled)
                self._step(at, self._actor(by), act, who)


def _before_the_client(reached: Reached, at: datetime) -> bool:
    stages = [stage for when, stage in reached if when <= at]
    return "submitted" in stages and stages[-1] not in OVER and stages[-1] != "qualified"


async def _known(work: Work, fact: ConsultantAdded) -> Aggregate:
    return await teams.add_consultant(work, fact)


async def _raise(
    work: Work, company_id: UUID, id: UUID, number: str, at: datetime, due: UUID
) -> Company:
    company = await work.get(Company, company_id)
    owed = company.books.instalments[due]
    fact = InvoiceRaised(
        invoice_id=id,
        instalment_id=due,
        number=number,
        amount_cents=owed.cents,
        currency=owed.currency,
        raised_at=at,
    )
    company.raise_invoice(fact, by=work.by)
    return company


async def _pay(work: Work, company_id: UUID, id: UUID, at: datetime) -> Company:
    company = await work.get(Company, company_id)
    invoice = company.books.invoices[id]
    fact = InvoicePaid(
        invoice_id=id,
        amount_cents=invoice.cents,
        currency=invoice.currency,
        paid_at=at,
        reference=f"SEPA-{str(id)[:8]}",
    )
    company.pay_invoice(fact, by=work.by)
    return company


async def _draw(
    work: Work,
    company_id: UUID,
    id: UUID,
    job_order_id: UUID,
    people: list[tuple[UUID, UUID, bool]],
    at: datetime,
) -> Company:
    """Under an id of the story's; who is on it is before the client already."""
    company = await work.get(Company, company_id)
    company.draw_shortlist(id, job_order_id, people, at=at, by=work.by)
    return company


async def _done(work: Work, person_id: UUID, fact: FollowUpDone) -> Person:
    person = await work.get(Person, person_id)
    person.follow_up(fact, by=work.by)
    return person


async def _done_for_company(work: Work, company_id: UUID, fact: CompanyFollowUpDone) -> Company:
    company = await work.get(Company, company_id)
    company.follow_up(fact, by=work.by)
    return company
