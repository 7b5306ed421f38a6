"""What the demo agency lived through, made up from a seed: commands in the order of their time.

Planned client by client and order by order, then sorted and cut at the last day, so whatever is
unfinished then is simply still going on. Each plan keeps the rules of the domain by itself: terms
before job orders, a right to represent before the introduction, an exit at the latest when the
order ends.
"""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec

from ledger_crm.domain.agreement import FeeAgreed
from ledger_crm.domain.candidacy import Deciders
from ledger_crm.domain.candidate import Move, candidacy_id
from ledger_crm.domain.company import Company, CompanyAdded
from ledger_crm.domain.entry import Actor, Aggregate, id_of
from ledger_crm.domain.fee import Rung
from ledger_crm.domain.identity import Employed, Role, Source
from ledger_crm.domain.interaction import (
    CallHeld,
    Channel,
    Interaction,
    MessageReplied,
    MessageSent,
    NoteWritten,
)
from ledger_crm.domain.interview import (
    FeedbackGiven,
    InterviewArranged,
    InterviewFacts,
    InterviewHeld,
    OfferAccepted,
    OfferDeclined,
    OfferFacts,
    OfferMade,
    Verdict,
)
from ledger_crm.domain.joborder import JobOrderOpened
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.pipeline import EXITS
from ledger_crm.ledger import Work

from . import candidacies, intake, selling
from . import demo_words as words

DAYS = 785  # two years, and the weeks before them that lead to the first placement
COMPANIES = 48
AGENCIES_WITH_PHONES = 8  # in one ledger: there are few numbers for fiction

Fate = Literal["filled", "cancelled"]
Reached = list[tuple[datetime, str]]  # stages of a candidacy, and when

# How far those get who are not placed, in shares of a hundred or so.
FUNNEL = {
    "never contacted": 5,
    "no_reply": 80,
    "not interested": 11,
    "screened out": 6,
    "withdrawn": 2,
    "rejected on paper": 5,
    "rejected after interview": 4,
    "rejected in the end": 2,
    "offer declined": 1,
}


# Where they come from, in shares of a hundred.
CHANNELS: dict[Source, int] = {
    "linkedin": 45,
    "referral": 15,
    "job_board": 15,
    "website": 10,
    "database": 10,
    "event": 5,
}

OVER = EXITS | {"placed"}


class Step(NamedTuple):
    """One command. ``touches``: the streams that it reads or writes; ``facts``: that it enters."""

    at: datetime
    by: Actor
    touches: tuple[UUID, ...]
    act: partial[Awaitable[Aggregate]]
    facts: int = 1


class Someone(msgspec.Struct, kw_only=True, eq=False):
    id: UUID
    name: str
    city: words.City
    trade: str
    skill: str
    pay: int  # thousands a year
    channel: Channel
    free_at: datetime  # from when on another post may come up
    known: bool = False

    @property
    def given(self) -> str:
        return self.name.partition(" ")[0]


class Client(msgspec.Struct, kw_only=True, eq=False):
    id: UUID
    name: str
    domain: str
    industry: words.Industry
    city: words.City
    owner: str
    added_at: datetime
    contacts: list[Someone] = []
    rate_bp: int = 0


class Order(msgspec.Struct, kw_only=True, eq=False):
    id: UUID
    client: Client
    manager: Someone
    consultant: str
    trade: str
    title: str
    skill: str
    pay: int  # thousands a year
    opened_at: datetime
    fate: Fate
    pace: float = 1.0  # of everything between its stages; less is quicker
    funnel: dict[str, int] = msgspec.field(default_factory=FUNNEL.copy)
    ends_at: datetime


class Story:
    """``steps``: all that happens before the morning of ``until``. Of size 1 it has 48 companies
    and some 1,700 people; there are always six companies."""

    def __init__(self, seed: int, until: date, size: float = 1.0) -> None:
        self.seed = seed
        self.end = datetime.combine(until, time(), UTC)
        self.start = self.end - timedelta(days=DAYS)
        self.rng = random.Random(seed)  # noqa: S311 - no secrets here, and the same again
        self.made: Counter[str] = Counter()
        self.mailboxes: set[str] = set()
        self.pool: dict[str, list[Someone]] = {trade: [] for trade in words.TRADES}
        self.clients: list[Client] = []
        self.boards: dict[UUID, set[str]] = {}  # stages taken on job orders open at the end
        self.steps: list[Step] = []

        self._live(max(6, round(COMPANIES * size)))

        self.steps = sorted((s for s in self.steps if s.at < self.end), key=lambda step: step.at)
        self.facts = sum(step.facts for step in self.steps)
        told = Counter(step.act.func for step in self.steps)
        self.companies, self.people = told[intake.add_company], told[intake.source_person]
        self.job_order_id = max(self.boards, key=lambda id: (len(self.boards[id]), str(id)))

    def _live(self, companies: int) -> None:
        names = self.rng.sample(words.FIRST_WORDS, len(words.FIRST_WORDS))
        founding, quiet, *rest = (self._company(n, names) for n in range(companies))
        self.quiet_company_id = quiet.id
        orders = [*self._hires_again(founding), *self._goes_quiet(quiet)]
        for client in rest:
            orders += self._courted(client)
        for order in sorted(orders, key=lambda order: order.opened_at):
            if order.opened_at < self.end:
                self._work_on(order)

    # The two stories to look at

    def _hires_again(self, client: Client) -> list[Order]:
        """Whom we place first comes back two years later: as a hiring manager, with an order."""
        signed_at = self._founding(client)
        first = self._order(client, self._later(signed_at, 1, 4), fate="filled", pace=0.35)
        winner, placed_at = self._work_on(first)
        self.hiring_manager_id = winner.id

        at = self._later(self.end - timedelta(days=18), 0, 2)
        head = f"Head of {first.trade}"
        self._employed(at, client.owner, winner, client, head, "hiring_manager", at.date())
        text = f"Now {head} there. Has a {first.title} to find and wants us to do it."
        self._call(self._later(at, 2, 6), client.owner, winner, text, client)
        later = self._later(at, 26, 30)
        back = self._order(client, later, manager=winner, fate="cancelled", pace=0.5)
        back.trade, back.title, back.skill, back.pay = (
            first.trade, first.title, first.skill, first.pay,
        )  # fmt: skip
        back.funnel = dict.fromkeys(FUNNEL, 1)  # so that there is somebody in most stages

        return [*self._rhythm(client, placed_at + timedelta(days=30), self.end, 80), back]

    def _goes_quiet(self, client: Client) -> list[Order]:
        """An order every six weeks, filled, and for the last months nothing but our own letters."""
        signed_at = self._founding(client)
        last = self.end - timedelta(days=260)
        orders = self._rhythm(client, signed_at + timedelta(days=9), last, 42, jitter=3)
        for order in orders:
            order.fate = "filled"
        for days_ago in (100, 55):
            at = self._later(self.end - timedelta(days=days_ago), 0, 4)
            contact = client.contacts[0]
            text = self._say(words.QUIET, contact, title=orders[0].title)
            self._sent(at, client.owner, contact, text, client)
        return orders

    # Clients: found, won, kept

    def _company(self, n: int, names: Sequence[str]) -> Client:
        industry, rng = self.rng.choice(words.INDUSTRIES), self.rng
        volume = "" if n < len(names) else str(n // len(names) + 1)
        first = names[n % len(names)] + volume
        early = n < 2 or rng.random() < 0.4
        client = Client(
            id=self._id("company"),
            name=f"{first} {rng.choice(industry.suffixes)}",
            domain=self._host(f"{first.lower()}.example"),
            industry=industry,
            city=rng.choice(words.CITIES),
            owner=rng.choice(list(words.CONSULTANTS)),
            added_at=self.start + timedelta(hours=8),  # the first day: ``demo`` reads it back
        )
        if n:
            span = 1 if n < 2 else 50 if early else DAYS * 0.62
            client.added_at = self._later(self.start, 9, 24 * span)
        fact = CompanyAdded(
            name=client.name,
            domain=client.domain,
            industry=industry.name,
            specialty=industry.specialty,
            location=client.city.name,
            founded=str(rng.randrange(1962, 2022)),
            source="demo agency",
            added_at=client.added_at,
        )
        at = client.added_at
        act = partial(intake.add_company, fact=fact, id=client.id)
        self._step(at, self._actor(client.owner), act, client)
        for nth in range(rng.choice((2, 3, 3, 4))):
            at += timedelta(minutes=rng.randrange(2, 9), seconds=rng.randrange(60))
            self._contact(at, client, "hiring_manager" if nth % 3 == 0 else "hr")
        self.clients.append(client)
        return client

    def _contact(self, at: datetime, client: Client, role: Role) -> None:
        who = self._someone(at, client.city, self.rng.choice(client.industry.trades), client.domain)
        client.contacts.append(who)
        self._sourced(at, client.owner, who, client.domain, "website", f"Contact at {client.name}")
        title = "People team" if role == "hr" else f"Head of {who.trade}"
        since = at.date() - timedelta(days=self.rng.randrange(90, 2500))
        self._employed(at + timedelta(seconds=40), client.owner, who, client, title, role, since)

    def _founding(self, client: Client) -> datetime:
        """Client from the first day on; when they signed."""
        at = self._later(client.added_at, 1, 2)
        deal_id = self._deal(at, client, client.contacts[0], "terms_agreed")
        self._agree(at + timedelta(minutes=4), client, self.rng.choice(words.TERMS))
        at += timedelta(minutes=31)
        self._move_deal(at, client, deal_id, "won")
        return at

    def _courted(self, client: Client) -> list[Order]:
        """Won, lost on the way, or stuck; the job orders if won."""
        rng, owner, contact = self.rng, client.owner, client.contacts[0]
        stages = ("contacted", "qualified", "meeting_held", "proposal_sent", "terms_agreed", "won")
        gets_to = "won" if rng.random() < 0.76 else rng.choice(stages[:-1])
        at = self._later(client.added_at, 4, 70)
        deal_id = self._deal(at, client, contact, "prospect")
        for stage in stages:
            at = self._later(at, 30, 300)
            if stage == "contacted":
                title = rng.choice(words.TRADES[contact.trade].titles)
                text = self._say(words.PROSPECTING, contact, company=client.name, title=title)
                self._sent(at, owner, contact, text, client)
                at = self._later(at, 3, 100)
                answer = self._say(words.PROSPECT_ANSWERS, contact, other=client.contacts[-1].given)
                self._replied(at, owner, contact, answer, client)
            elif stage in ("qualified", "meeting_held"):
                about = words.CLIENT_CALLS if stage == "qualified" else words.MEETING
                title = rng.choice(words.TRADES[contact.trade].titles)
                self._call(at, owner, contact, self._say(about, contact, title=title), client)
            elif stage == "proposal_sent":
                client.rate_bp = rng.choice((1_800, 2_000, 2_200, 2_250, 2_500))
                text = self._say(words.PROPOSAL, contact, rate=client.rate_bp / 100, days=90)
                self._sent(at, owner, contact, text, client)
            elif stage == "terms_agreed":
                self._agree(at, client, rng.choice(words.TERMS))
            at += timedelta(minutes=rng.randrange(3, 40))
            self._move_deal(at, client, deal_id, stage)
            if stage == gets_to != "won":
                if rng.random() < 0.75:
                    self._move_deal(self._later(at, 100, 900), client, deal_id, "lost")
                return []
        self._kept(client, at)
        first = at + timedelta(days=rng.randrange(1, 14))
        return self._rhythm(client, first, self.end, rng.randrange(95, 155))

    def _kept(self, client: Client, at: datetime) -> None:
        """Calls and letters between orders, new terms and further deals as the years go by."""
        rng, owner = self.rng, client.owner
        if rng.random() < 0.45:
            again = self._later(at, 24 * 200, 24 * 420)
            self._call(again, owner, client.contacts[0], "Wants to talk about the rate.", client)
            client.rate_bp -= rng.choice((100, 200, 250))
            again = self._later(again, 48, 200)
            self._agree(again, client, rng.choice(words.RENEGOTIATED))
        if rng.random() < 0.5:
            self._next_deal(client, self._later(at, 24 * 150, 24 * 450))
        while (at := self._later(at, 24 * 14, 24 * 60)) < self.end:
            contact = rng.choice(client.contacts)
            title = rng.choice(words.TRADES[contact.trade].titles)
            if rng.random() < 0.6:
                text = self._say(words.CLIENT_CALLS, contact, title=title)
                self._call(at, owner, contact, text, client)
            else:
                text = self._say(words.QUIET, contact, title=title)
                self._sent(at, owner, contact, text, client)
                if rng.random() < 0.7:
                    at = self._awake(at, 2, 90)
                    self._replied(at, owner, contact, rng.choice(words.NOTHING_NEW), client)

    def _next_deal(self, client: Client, at: datetime) -> None:
        deal_id = self._deal(at, client, self.rng.choice(client.contacts), "qualified")
        for stage in ("meeting_held", "proposal_sent", "terms_agreed", "won"):
            at = self._later(at, 60, 500)
            if self.rng.random() < 0.15:
                self._move_deal(at, client, deal_id, "lost")
                return
            self._move_deal(at, client, deal_id, stage)

    def _deal(self, at: datetime, client: Client, contact: Someone, stage: str) -> UUID:
        id, title = self._id("deal"), self.rng.choice(words.DEAL_TITLES)
        trade = contact.trade[0].upper() + contact.trade[1:]
        act = partial(
            selling.open_deal,
            company_id=client.id,
            title=title.format(trade=trade, year=at.year, city=client.city.name),
            at=at,
            id=id,
            stage=stage,
            value_cents=contact.pay * self.rng.randrange(1, 6) * 22_000,
            currency=client.city.currency,
            expected_close_on=at.date() + timedelta(days=self.rng.randrange(30, 120)),
            contact_id=contact.id,
        )
        self._step(at, self._actor(client.owner), act, client, contact)
        return id

    def _move_deal(self, at: datetime, client: Client, deal_id: UUID, stage: str) -> None:
        act = partial(
            selling.move_deal,
            company_id=client.id,
            deal_id=deal_id,
            stage=stage,
            at=at,
            reason=self.rng.choice(words.LOST) if stage == "lost" else "",
            text=self.rng.choice(words.DEAL_NOTES.get(stage, ("",))),
        )
        self._step(at, self._actor(client.owner), act, client)

    def _agree(self, at: datetime, client: Client, text: str, order: Order | None = None) -> None:
        """For one order: a fixed fee, or the client's rate and two points for the exclusive."""
        rng, client.rate_bp = self.rng, client.rate_bp or 2_200
        fixed = order is not None and rng.random() < 0.5
        fact = FeeAgreed(
            agreement_id=self._id("agreement"),
            basis="fixed" if fixed else "contingent",
            currency=client.city.currency,
            rate_bp=0 if fixed else client.rate_bp + (200 if order else 0),
            minimum_cents=0 if fixed else rng.choice((0, 800_000, 1_000_000)),
            amount_cents=rng.randrange(12, 25) * 100_000 if fixed else 0,
            guarantee_days=(guarantee_days := rng.choice((60, 90, 90, 120))),
            ladder=_ladder(guarantee_days) if self._has_ladder() else (),
            payment_days=rng.choice((14, 30, 30, 45)),
            agreed_at=at,
            job_order_id=order.id if order else None,
            text=text,
        )
        act = partial(_agree_fee, company_id=client.id, fact=fact)
        self._step(at, self._actor(client.owner), act, client)

    def _has_ladder(self) -> bool:
        """The agreement that was made last: every third pays back, the others replace."""
        return self.made["agreement"] % 3 == 0

    # Job orders

    def _rhythm(
        self, client: Client, at: datetime, last: datetime, every_days: int, jitter: int = 25
    ) -> list[Order]:
        orders = []
        while (at := self._later(at, 0, 5)) < last:
            orders.append(self._order(client, at))
            at += timedelta(days=every_days + self.rng.randrange(-jitter, jitter + 1))
        return orders

    def _order(
        self,
        client: Client,
        at: datetime,
        *,
        manager: Someone | None = None,
        fate: Fate | None = None,
        pace: float = 1.0,
    ) -> Order:
        rng = self.rng
        trade = rng.choice(client.industry.trades)
        low, high = words.TRADES[trade].pay
        return Order(
            id=self._id("job order"),
            client=client,
            manager=manager or rng.choice(client.contacts[:2]),
            consultant=rng.choice(list(words.CONSULTANTS)),
            trade=trade,
            title=rng.choice(words.TRADES[trade].titles),
            skill=rng.choice(words.TRADES[trade].skills),
            pay=round(rng.uniform(low, high) * client.city.pay),
            opened_at=at,
            ends_at=at,
            fate=fate or ("filled" if rng.random() < 0.78 else "cancelled"),
            pace=pace,
        )

    def _work_on(self, order: Order) -> tuple[Someone, datetime]:
        """Who is placed in the end, and when. On an order that is cancelled: nobody, that is its
        manager, and the day it was opened."""
        rng, client, at = self.rng, order.client, order.opened_at
        openings = rng.choice((1, 1, 1, 1, 1, 1, 2)) if order.fate == "filled" else 1
        by, owner = self._actor(order.consultant), self._actor(client.owner)
        fact = JobOrderOpened(
            job_order_id=order.id,
            title=order.title,
            openings=openings,
            opened_at=at,
            location=client.city.name,
            requisition=f"R-{rng.randrange(1000, 10_000)}" if rng.random() < 0.5 else "",
            hiring_manager_id=order.manager.id,
            salary_from_cents=round(order.pay * 0.9) * 100_000,
            salary_to_cents=round(order.pay * 1.12) * 100_000,
            currency=client.city.currency,
        )
        act = partial(selling.open_job_order, company_id=client.id, fact=fact)
        self._step(at, owner, act, client, order.manager)
        if rng.random() < 0.6:
            brief = self._say(words.BRIEF, order.manager, title=order.title, pay=order.pay)
            self._call(at + timedelta(minutes=25), client.owner, order.manager, brief, client)
        if rng.random() < 0.12:
            self._agree(at + timedelta(minutes=95), client, "For this post only.", order)

        board: list[str] = []
        entering = self._entering(order, rng.randrange(10, 19))
        if order.fate == "filled":
            for _ in range(openings):
                winner = self._candidate(order, entering[0])
                reached = self._candidacy(order, winner, entering.pop(0), "placed")
                winner.free_at = self.end
                board.append(self._stage_now(reached))
                placed_at = reached[-1][0]
                order.ends_at = max(order.ends_at, placed_at)
            ended = "filled"
        else:
            winner, placed_at = order.manager, at
            ended = rng.choice(words.CANCELLED)
            order.ends_at = self._later(at, 24 * 21, 24 * 75)
            end = partial(
                _cancel, company_id=client.id, job_order_id=order.id, at=order.ends_at, reason=ended
            )
            self._step(order.ends_at, by, end, client)

        for at in entering:
            if at >= order.ends_at:
                break
            board.append(self._until_the_end(order, self._candidate(order, at), at, ended))
        if order.opened_at < self.end <= order.ends_at:
            self.boards[order.id] = {stage for stage in board if stage} - OVER
        return winner, placed_at

    def _entering(self, order: Order, count: int) -> list[datetime]:
        """Sourcing goes by mornings: half of them at once, the rest when that was not enough."""
        times, at = [], self._later(order.opened_at, 2, 30 * order.pace)
        for nth in range(count):
            if nth and nth % 6 == 0:
                at = self._later(at, 72 * order.pace, 220 * order.pace)
            times.append(at)
            at = self._working(at + timedelta(minutes=self.rng.randrange(4, 19), seconds=13))
        return times

    def _until_the_end(self, order: Order, who: Someone, at: datetime, ended: str) -> str:
        """One who is not placed: leaves with the order at the latest. Where they stand at the end
        of the story."""
        began = len(self.steps)
        depth = self.rng.choices(list(order.funnel), list(order.funnel.values()))[0]
        reached = self._candidacy(order, who, at, depth)
        self.steps[began:] = [s for s in self.steps[began:] if s.at < order.ends_at]
        reached = [(at, stage) for at, stage in reached if at < order.ends_at]
        if reached and reached[-1][1] not in OVER:
            stage, at = reached[-1][1], order.ends_at + timedelta(minutes=self.rng.randrange(5, 55))
            us, them = words.CONSULTANTS[order.consultant], order.manager.name
            if ended != "filled":
                self._exit(order, who, at, "job_cancelled", ended, "client", them)
            elif stage in ("submitted", "client_interview", "final_interview", "offer"):
                self._exit(order, who, at, "rejected_by_client", "position_filled", "client", them)
            else:
                self._exit(order, who, at, "rejected_by_us", "position_filled", "us", us)
            if stage not in ("sourced", "contacted"):
                at += timedelta(minutes=self.rng.randrange(10, 300))
                self._sent(at, order.consultant, who, self._say((words.OVER,), who, order))
        return self._stage_now(reached)

    def _stage_now(self, reached: Reached) -> str:
        return next((stage for at, stage in reversed(reached) if at < self.end), "")

    # Candidacies

    def _candidate(self, order: Order, at: datetime) -> Someone:
        """One whom we know and who is free, or somebody new."""
        free = [who for who in self.pool[order.trade] if who.free_at < at]
        if free and self.rng.random() < 0.35:
            who = self.rng.choice(free)
        else:
            city = order.client.city if self.rng.random() < 0.6 else self.rng.choice(words.CITIES)
            who = self._someone(at, city, order.trade)
            self.pool[order.trade].append(who)
        who.free_at = at + timedelta(days=100)
        return who

    def _candidacy(self, order: Order, who: Someone, at: datetime, depth: str) -> Reached:
        """All that happens between ``who`` and us about ``order``, however long it takes."""
        rng, by, client, manager = self.rng, order.consultant, order.client, order.manager
        us, exit = words.CONSULTANTS[by], partial(self._exit, order, who)
        reached: Reached = []

        def later(low: float, high: float) -> datetime:
            return self._later(at, low * order.pace, high * order.pace)

        def move(stage: str) -> None:
            reached.append((at, stage))
            self._move(order, who, Move(stage=stage, at=at))

        def out(*how: Any) -> Reached:
            reached.append((at, exit(at, *how)))
            return reached

        again = who.known
        if not again:
            self._sourced_anew(at, by, who, client)
        at += timedelta(seconds=rng.randrange(40, 190))
        act = partial(
            candidacies.open_candidacy,
            person_id=who.id,
            company_id=client.id,
            job_order_id=order.id,
            at=at,
        )
        self._step(at, self._actor(by), act, who, client)
        reached.append((at, "sourced"))
        if depth == "never contacted":
            at = later(20, 120)
            return out("rejected_by_us", rng.choice(words.SCREENED_OUT[:3]), "us", us)

        at = later(0.5, 30)
        self._sent(at, by, who, self._say(words.AGAIN if again else words.OUTREACH, who, order))
        at += timedelta(seconds=rng.randrange(5, 60))
        move("contacted")
        for _ in range(rng.choice((0, 1, 1, 2) if depth == "no_reply" else (0, 0, 1))):
            at = later(60, 130)
            self._sent(at, by, who, self._say(words.FOLLOW_UP, who, order))
        if depth == "no_reply":
            at = later(170, 340)
            return out("no_response", "no_reply", "rule", "a week after the last message")

        at = self._awake(at, 1, 60 * order.pace)
        answer: Sequence[str] = words.NO if depth == "not interested" else words.YES
        self._replied(at, by, who, self._say(answer, who, order))
        at = later(0.1, 5)
        move("replied")
        if depth == "not interested":
            at = later(0.1, 20)
            return out("withdrawn", rng.choice(words.NO_REASONS), "candidate", who.name)

        self._sent(at, by, who, self._say(words.BOOKING, who, order))
        at = later(2, 20)
        move("screening")
        at = later(20, 90)
        self._call(at, by, who, self._say(words.SCREENING, who, order), client)
        at = later(0.6, 6)
        if depth == "screened out":
            return out("rejected_by_us", rng.choice(words.SCREENED_OUT), "us", us)

        move("qualified")
        at += timedelta(minutes=rng.randrange(2, 9))
        self._note(at, by, who, self._say(words.QUALIFIED, who, order), client)
        if rng.random() < 0.05:
            at = later(20, 60)
            out("on_hold", "budget_not_released", "client", manager.name)
            at = later(100, 300)
            move("qualified")
        at = self._awake(at, 1, 40 * order.pace)
        self._right(at, order, who, self._say(words.RIGHT, who, order))
        if depth == "withdrawn":
            at = later(20, 90)
            return out("withdrawn", rng.choice(words.WITHDRAWN_REASONS), "candidate", who.name)

        at = later(1, 26)
        self._introduced(at, order, who)
        reached.append((at, "submitted"))
        if rng.random() < 0.8:
            at += timedelta(minutes=1)
            text = self._say(words.TO_CLIENT, manager, title=order.title, name=who.name)
            self._sent(at, by, manager, text, client)
            at = self._awake(at, 3, 70 * order.pace)
            answer = words.CLIENT_SAYS_NO if depth == "rejected on paper" else words.CLIENT_SAYS_YES
            self._replied(at, by, manager, self._say(answer, manager, skill=order.skill), client)
        at = later(2, 50)
        if depth == "rejected on paper":
            return out(
                "rejected_by_client", rng.choice(words.CLIENT_REASONS), "client", manager.name
            )

        for stage, end in (
            ("client_interview", "rejected after interview"),
            ("final_interview", "rejected in the end"),
        ):
            move(stage)
            interview = self._arranged(at, order, who)
            at = later(40, 150)
            verdict: Verdict = "no" if depth == end else "yes"
            self._held(at, order, who, interview, verdict)
            at += timedelta(minutes=rng.randrange(20, 90))
            self._call(at, by, who, self._say(words.DEBRIEF, who, order), client)
            at = later(3, 70)
            if depth == end and rng.random() < 0.75:
                return out(
                    "rejected_by_client", rng.choice(words.CLIENT_REASONS), "client", manager.name
                )
            if depth == end:
                why = rng.choice(words.WITHDRAWN)
                return out(
                    "withdrawn", rng.choice(words.WITHDRAWN_REASONS), "candidate", who.name, why
                )

        move("offer")
        offer = self._offered(at, order, who)
        at += timedelta(minutes=rng.randrange(3, 50))
        self._note(at, by, who, self._say(words.OFFER, who, order), client)
        at = self._awake(at, 15, 100 * order.pace)
        if depth == "offer declined":
            declined = OfferDeclined(**offer, declined_at=at, reason="counter_offer")
            self._progress(at, order, who, declined)
            why = rng.choice(words.WITHDRAWN[:2])
            return out("withdrawn", "counter_offer", "candidate", who.name, why)
        self._progress(at, order, who, OfferAccepted(**offer, accepted_at=at))
        self._placed(at, order, who)
        return [*reached, (at, "placed")]

    def _arranged(self, at: datetime, order: Order, who: Someone) -> dict[str, Any]:
        ids: dict[str, Any] = {
            "candidacy_id": candidacy_id(who.id, order.id),
            "interview_id": self._id("interview"),
        }
        fact = InterviewArranged(
            **ids,
            arranged_at=at,
            starts_at=at + timedelta(hours=self.rng.randrange(20, 40)),
            form=self.rng.choice(("video", "video", "onsite")),
            interviewer_ids=(order.manager.id,),
        )
        self._progress(at, order, who, fact, order.manager)
        return ids

    def _held(
        self, at: datetime, order: Order, who: Someone, ids: dict[str, Any], verdict: Verdict
    ) -> None:
        self._progress(at, order, who, InterviewHeld(**ids, held_at=at))
        said = FeedbackGiven(**ids, given_at=at, interviewer_id=order.manager.id, verdict=verdict)
        self._progress(at, order, who, said)

    def _offered(self, at: datetime, order: Order, who: Someone) -> dict[str, Any]:
        candidacy = candidacy_id(who.id, order.id)
        ids: dict[str, Any] = {"candidacy_id": candidacy, "offer_id": self._id("offer")}
        pay = round(order.pay * self.rng.uniform(0.92, 1.1)) * 100_000
        made = OfferMade(**ids, made_at=at, first_year_pay_cents=pay)
        self._progress(at, order, who, made)
        return ids

    def _progress(
        self,
        at: datetime,
        order: Order,
        who: Someone,
        fact: InterviewFacts | OfferFacts,
        *others: Someone,
    ) -> None:
        act = partial(candidacies.progress, person_id=who.id, fact=fact)
        self._step(at, self._actor(order.consultant), act, who, *others)

    def _placed(self, at: datetime, order: Order, who: Someone) -> date:
        """The day on which they start."""
        starts_on = (at + timedelta(days=self.rng.randrange(25, 95))).date().replace(day=1)
        starts_on = max(starts_on, at.date() + timedelta(days=7))
        act = partial(
            candidacies.place,
            person_id=who.id,
            candidacy_id=candidacy_id(who.id, order.id),
            at=at,
            starts_on=starts_on,
            first_year_pay_cents=round(order.pay * self.rng.uniform(0.92, 1.1)) * 100_000,
        )
        client, by = order.client, order.consultant
        self._step(at, self._actor(by), act, who, client, facts=2)
        first_day = datetime.combine(starts_on, time(9, self.rng.randrange(60)), UTC)
        self._employed(first_day, by, who, client, order.title, "employee", starts_on)
        for days, texts in words.CHECK_IN.items():
            if self.rng.random() < 0.8:
                at = self._later(first_day + timedelta(days=days), 0, 30)
                self._call(at, by, who, self.rng.choice(texts), client)
        return starts_on

    def _introduced(self, at: datetime, order: Order, who: Someone) -> None:
        act = partial(
            candidacies.introduce,
            person_id=who.id,
            candidacy_id=candidacy_id(who.id, order.id),
            at=at,
            to_person_id=order.manager.id,
            text=self._say(words.INTRODUCTION, who, order),
        )
        self._step(at, self._actor(order.consultant), act, who, order.client, order.manager)

    def _right(self, at: datetime, order: Order, who: Someone, text: str) -> None:
        act = partial(
            candidacies.give_right_to_represent,
            person_id=who.id,
            candidacy_id=candidacy_id(who.id, order.id),
            at=at,
            text=text,
        )
        self._step(at, self._actor(order.consultant), act, who)

    def _exit(
        self,
        order: Order,
        who: Someone,
        at: datetime,
        stage: str,
        reason: str,
        decided_by: Deciders,
        decider: str,
        text: str = "",
    ) -> str:
        to = Move(
            stage=stage, at=at, reason=reason, decided_by=decided_by, decider=decider, text=text
        )
        self._move(order, who, to)
        return stage

    def _move(self, order: Order, who: Someone, to: Move) -> None:
        id = candidacy_id(who.id, order.id)
        act = partial(candidacies.move, person_id=who.id, candidacy_id=id, to=to)
        self._step(to.at, self._actor(order.consultant), act, who)

    # People, and what passes between us

    def _someone(self, at: datetime, city: words.City, trade: str, employer: str = "") -> Someone:
        rng = self.rng
        given, family = rng.choice(words.NAMES)
        low, high = words.TRADES[trade].pay
        return Someone(
            id=self._id("person"),
            name=f"{rng.choice(given)} {rng.choice(family)}",
            city=city,
            trade=trade,
            skill=rng.choice(words.TRADES[trade].skills),
            pay=round(rng.uniform(low, high) * city.pay),
            channel="email" if employer or rng.random() < 0.55 else "linkedin",
            free_at=at,
        )

    def _sourced_anew(self, at: datetime, by: str, who: Someone, client: Client) -> None:
        rng = self.rng
        channel = rng.choices(list(CHANNELS), list(CHANNELS.values()))[0]
        title = rng.choice(words.TRADES[who.trade].titles)
        headline = f"{title}, {who.skill}"
        self._sourced(at, by, who, self._host(rng.choice(words.MAIL)), channel, headline)
        not_from = {client.id, self.quiet_company_id}
        there = [c for c in self.clients if c.added_at < at and c.id not in not_from]
        if there and rng.random() < 0.12:
            since = at.date() - timedelta(days=rng.randrange(200, 2500))
            self._employed(
                at + timedelta(seconds=30), by, who, rng.choice(there), title, "employee", since
            )

    def _sourced(
        self, at: datetime, by: str, who: Someone, host: str, channel: Source, headline: str
    ) -> None:
        rng, who.known = self.rng, True
        mailbox = self._mailbox(who.name, host)
        path = mailbox.partition("@")[0].replace(".", "-")
        profile = f"https://{self._host('profiles.example')}/in/{path}-{self.made['person']}"
        reachable = intake.Reachable(
            email=mailbox,
            phone=self._phone(who.city) if rng.random() < 0.45 else "",
            profile_url=profile if rng.random() < 0.6 else "",
        )
        origin = profile if channel == "linkedin" else rng.choice(words.ORIGINS.get(channel, ("",)))
        fact = PersonSourced(
            name=who.name,
            channel=channel,
            origin=origin,
            sourced_at=at,
            headline=headline,
            address=who.city.name,
        )
        act = partial(intake.source_person, fact=fact, reachable=reachable, id=who.id)
        self._step(at, self._actor(by), act, who, facts=1 + len(reachable.points))

    def _employed(
        self,
        at: datetime,
        by: str,
        who: Someone,
        client: Client,
        title: str,
        role: Role,
        since: date,
    ) -> None:
        fact = Employed(company_id=client.id, title=title, role=role, starts_on=since)
        act = partial(intake.employ, person_id=who.id, fact=fact)
        self._step(at, self._actor(by), act, who, client)

    def _sent(
        self, at: datetime, by: str, who: Someone, text: str, client: Client | None = None
    ) -> None:
        message = MessageSent(
            channel=who.channel,
            message_id=self._message_id(),
            thread_id=who.id.hex[:12],
            sent_at=at,
            text=text,
            company_id=client.id if client else None,
        )
        self._record(at, by, who, message, client)

    def _replied(
        self, at: datetime, by: str, who: Someone, text: str, client: Client | None = None
    ) -> None:
        message = MessageReplied(
            channel=who.channel,
            message_id=self._message_id(),
            thread_id=who.id.hex[:12],
            replied_at=at,
            text=text,
            company_id=client.id if client else None,
        )
        self._record(at, by, who, message, client)

    def _call(self, at: datetime, by: str, who: Someone, text: str, client: Client) -> None:
        call = CallHeld(
            started_at=at,
            duration_s=self.rng.randrange(180, 2700),
            direction="in" if self.rng.random() < 0.2 else "out",
            text=text,
            company_id=client.id,
        )
        self._record(at, by, who, call, client)

    def _note(self, at: datetime, by: str, who: Someone, text: str, client: Client) -> None:
        self._record(
            at, by, who, NoteWritten(written_at=at, text=text, company_id=client.id), client
        )

    def _record(
        self, at: datetime, by: str, who: Someone, what: Interaction, client: Client | None
    ) -> None:
        act = partial(intake.record, person_id=who.id, interaction=what)
        self._step(at, self._actor(by), act, who, *((client,) if client else ()))

    def _say(
        self, choice: Sequence[str], who: Someone, order: Order | None = None, **more: object
    ) -> str:
        facts = {"given": who.given, "name": who.name, "skill": who.skill, "pay": who.pay}
        facts |= {"city": who.city.name, "trade": who.trade}
        if order:
            facts |= {"title": order.title, "city": order.client.city.name, "pay": order.pay}
        return self.rng.choice(choice).format(**(facts | more))

    # Names, numbers, hours

    def _step(
        self,
        at: datetime,
        by: Actor,
        act: partial[Any],
        *touches: Someone | Client,
        facts: int = 1,
    ) -> None:
        self.steps.append(Step(at, by, tuple(t.id for t in touches), act, facts))

    def _actor(self, consultant: str) -> Actor:
        return Actor(f"consultant:{consultant}")

    def _id(self, noun: str) -> UUID:
        self.made[noun] += 1
        return id_of("demo", str(self.seed), noun, str(self.made[noun]))

    def _message_id(self) -> str:
        self.made["message"] += 1
        return f"<{self.made['message']}.{self.seed}@northlight.example>"

    def _host(self, name: str) -> str:
        """Every seed but the first has hosts of its own, so that two agencies fit in a ledger."""
        if self.seed == 1:
            return name
        first, dot, rest = name.partition(".")
        return f"{first}-{str(self.seed).replace('-', 'm')}{dot}{rest}"

    def _mailbox(self, name: str, host: str) -> str:
        plain = name.casefold().translate(words.PLAIN)
        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
        local = plain.replace(" ", ".")
        nth = 1
        while (mailbox := f"{local}{nth if nth > 1 else ''}@{host}") in self.mailboxes:
            nth += 1
        self.mailboxes.add(mailbox)
        return mailbox

    def _phone(self, city: words.City) -> str:
        """One that nobody has, "" when fiction has no more of them."""
        numbers = words.PHONES.get(city.phones, [])
        share = len(numbers) // AGENCIES_WITH_PHONES
        if not 0 <= self.seed < AGENCIES_WITH_PHONES or self.made[city.phones] >= share:
            return ""
        self.made[city.phones] += 1
        return numbers[self.seed * share + self.made[city.phones] - 1]

    def _later(self, at: datetime, low: float, high: float) -> datetime:
        """``low`` to ``high`` hours later, in office hours."""
        return self._working(at + timedelta(seconds=round(self.rng.uniform(low, high) * 3600)))

    def _awake(self, at: datetime, low: float, high: float) -> datetime:
        """``low`` to ``high`` hours later, not at night."""
        at += timedelta(seconds=round(self.rng.uniform(low, high) * 3600))
        if 6 <= at.hour < 22:
            return at
        return self._that_day(at + timedelta(hours=2 if at.hour >= 22 else 0), 6)

    def _working(self, at: datetime) -> datetime:
        if at.hour >= 17:
            at = self._that_day(at + timedelta(days=1), 7)
        elif at.hour < 7:
            at = self._that_day(at, 7)
        while at.weekday() >= 5 or (at.month, at.day) in words.HOLIDAYS:
            at = self._that_day(at + timedelta(days=1), 7)
        return at

    def _that_day(self, at: datetime, hour: int) -> datetime:
        return at.replace(hour=hour, minute=0, second=0) + timedelta(
            minutes=self.rng.randrange(540), seconds=self.rng.randrange(60)
        )


def _ladder(guarantee_days: int) -> tuple[Rung, ...]:
    return (
        Rung(until_day=30, rebate_bp=10_000),
        Rung(until_day=guarantee_days, rebate_bp=5_000),
    )


async def _agree_fee(work: Work, company_id: UUID, fact: FeeAgreed) -> Company:
    company = await work.get(Company, company_id)
    company.agree_fee(fact, by=work.by)
    return company


async def _cancel(
    work: Work, company_id: UUID, job_order_id: UUID, at: datetime, reason: str
) -> Company:
    company = await work.get(Company, company_id)
    company.cancel_job_order(job_order_id, at=at, reason=reason, by=work.by)
    return company
