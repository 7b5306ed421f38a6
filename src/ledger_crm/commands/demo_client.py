"""What the clients of the demo agency see, and what went wrong with whom they took: a shortlist
behind a link and what the client says to it, a rebate and a replacement, saved segments, and whose
people are off limits.

Told after all else, by rules and no die: whatever is added here, the rest stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from ledger_crm.domain.candidate import candidacy_id
from ledger_crm.domain.company import Company
from ledger_crm.domain.identity import EmploymentEnded
from ledger_crm.domain.invoice import InvoiceCredited, InvoiceRefunded, instalment_id
from ledger_crm.domain.permission import OffLimitsAgreed
from ledger_crm.domain.person import Person
from ledger_crm.domain.segment import (
    CompanyCriteria,
    CompanySegmentSaved,
    Criteria,
    SegmentEvents,
    SegmentSaved,
)
from ledger_crm.domain.shortlist import ClientVerdict, Door, VerdictGiven
from ledger_crm.ledger import Work

from . import catalogue, intake, placements
from . import demo_trade_words as trade
from . import demo_words as words
from .demo_story import OVER, Client, Order, Someone
from .demo_trade import Agency

SHOWN = 4  # on the shortlist, at most
LEFT_ON_DAY = 41  # at work
SETTLED_DAYS = 80  # after the first day: by then the invoice is paid, and half of it given back


class Seen(NamedTuple):
    """Somebody on the shortlist. ``headline``, ``text``: of who is blind, what speaks for them."""

    who: Someone
    blind: bool
    headline: str
    text: str


class Whole(Agency):
    """``shortlist_id``: one that a client looked at."""

    def _live(self, companies: int) -> None:
        self.agreed: list[tuple[datetime, Client, Order | None, bool]] = []  # is there a ladder?
        super()._live(companies)
        self._segments()
        self.shortlist_id = self._shown_to_the_client()
        self._fell_through("rebate", SETTLED_DAYS)
        self._fell_through("replacement", LEFT_ON_DAY + 3)
        self._off_limits()

    def _agree(self, at: datetime, client: Client, text: str, order: Order | None = None) -> None:
        super()._agree(at, client, text, order)
        self.agreed.append((at, client, order, self._has_ladder()))

    # Saved segments

    def _segments(self) -> None:
        at, by = self._working(self.end - timedelta(days=40)), next(iter(words.CONSULTANTS))
        medallists = (self._slug("silver_medallists"),)
        for slug, title, criteria, cadence_days in (
            ("medallists", "Silver medallists", Criteria(pools=medallists), 60),
            ("sent_to_us", "Sent to us, and in touch",
             Criteria(channels=("referral",), in_touch_days=180), 90),
            ("cold", "Not spoken to for half a year",
             Criteria(contactable=True, silent_days=180), 365),
        ):  # fmt: skip
            people = SegmentSaved(
                slug=self._slug(slug), title=title, criteria=criteria, cadence_days=cadence_days
            )
            at = self._saved(at, by, people)
        for slug, title, wanted, cadence_days in (
            ("in_work", "Clients we work for", CompanyCriteria(statuses=("active", "repeat")), 42),
            ("won_back", "To be won back", CompanyCriteria(statuses=("quiet", "former")), 120),
        ):
            clients = CompanySegmentSaved(
                slug=self._slug(slug), title=title, criteria=wanted, cadence_days=cadence_days
            )
            at = self._saved(at, by, clients)

    def _saved(self, at: datetime, by: str, definition: SegmentEvents) -> datetime:
        act = partial(catalogue.save_segment, definition=definition)
        self._step(at, self._actor(by), act)
        return at + timedelta(minutes=4)

    # A shortlist behind a link

    def _shown_to_the_client(self) -> UUID:
        """Of the open order on which most are in work: by name who is before the client already,
        the others blind. The contact looks at it the same day, and says of each what they want."""
        at = self._working(self.end - timedelta(days=5))
        open_ = [o for o in self.orders if o.id in self.boards and o.opened_at < at]
        order = max(open_, key=lambda each: (len(self._in_work(each, at)), str(each.id)))
        people = self._in_work(order, at)[:SHOWN]
        seen = [self._presented(order, who, named) for who, named in people]
        id, link = self._id("shortlist"), self._id("link")
        ids: dict[str, Any] = {"company_id": order.client.id, "id": id}
        door = Door(order.client.id, id, link, order.manager.id)
        by, theirs = self._actor(order.consultant), door.actor
        everyone = [each.who for each in seen]
        draw = partial(_draw, **ids, job_order_id=order.id, people=seen, at=at)
        facts = 1 + sum(bool(each.headline) for each in seen)
        self._step(at, by, draw, order.client, *everyone, facts=facts)
        at += timedelta(minutes=6)
        self._step(at, by, partial(_share, door=door, at=at), order.client, order.manager)
        at += timedelta(hours=2)
        look = partial(_look, door=door, people=[who.id for who in everyone], at=at)
        self._step(at, theirs, look, order.client)
        says: Sequence[tuple[ClientVerdict, str, str]] = trade.VERDICTS
        for who, (verdict, reason, text) in zip(everyone, says, strict=False):
            at += timedelta(minutes=3)
            fact = VerdictGiven(
                candidacy_id=candidacy_id(who.id, order.id), company_id=order.client.id,
                job_order_id=order.id, shortlist_id=id, link_id=link, contact_id=order.manager.id,
                version=1, verdict=verdict, given_at=at, reason=reason, text=text,
            )  # fmt: skip
            self._step(at, theirs, partial(_judge, person_id=who.id, fact=fact), who)
        at += timedelta(minutes=1)
        said = partial(_comment, door=door, text=trade.TO_THE_LIST, at=at)
        self._step(at, theirs, said, order.client)
        return id

    # Off limits

    def _off_limits(self) -> None:
        """Of the two clients for whose newest orders somebody was found; as the last of all, for
        nobody may be approached there from then on."""
        at = max(step.at for step in self.steps if step.at < self.end)
        found = [o for o in self.orders if o.fate == "filled" and o.ends_at < self.end]
        found.sort(key=lambda each: (each.opened_at, str(each.id)), reverse=True)
        clients = {order.client.id: order.client for order in found}
        for client, text in zip(clients.values(), trade.OFF_LIMITS, strict=False):
            at += timedelta(minutes=1)
            until_on = at.date() + timedelta(days=365)
            fact = OffLimitsAgreed(agreed_at=at, until_on=until_on, text=text)
            agree = partial(_agree_off_limits, company_id=client.id, fact=fact)
            self._step(at, self._actor(client.owner), agree, client)

    def _in_work(self, order: Order, at: datetime) -> list[tuple[Someone, bool]]:
        """Whom we would show then; first those whom the client knows by name."""
        found: list[tuple[Someone, bool]] = []
        for of, who, reached in self.went:
            stages = [stage for when, stage in reached if when <= at]
            if of is order and "replied" in stages and stages[-1] not in OVER:
                found.append((who, "submitted" in stages))
        return sorted(found, key=lambda each: not each[1])

    def _presented(self, order: Order, who: Someone, named: bool) -> Seen:
        if named:
            return Seen(who, False, "", "")
        headline = f"{words.TRADES[order.trade].titles[0]}, {who.skill}"
        return Seen(who, True, headline, trade.BLIND.format(skill=who.skill, city=who.city.name))

    # Who left within the guarantee

    def _fell_through(self, remedy: str, days: int) -> None:
        """The last of those who started so many days ago, under terms that give that."""
        found = [
            (order, who, starts_on)
            for order, who, starts_on in self.started
            if starts_on + timedelta(days=days) < self.end.date()
            and self._with_ladder(order, who) == (remedy == "rebate")
            and who.id != self.hiring_manager_id
            and order.client.id != self.quiet_company_id
        ]
        if not found:
            return
        order, who, starts_on = max(found, key=lambda each: (each[2], str(each[1].id)))
        by, candidacy = self._actor(order.consultant), candidacy_id(who.id, order.id)
        left_on = starts_on + timedelta(days=LEFT_ON_DAY - 1)
        at = datetime.combine(left_on, time(), UTC)  # a day is when it begins
        self.steps = [  # nobody calls on their first quarter
            step for step in self.steps
            if step.at <= at or step.act.func is not intake.record or step.touches[0] != who.id
        ]  # fmt: skip
        leaves = EmploymentEnded(company_id=order.client.id, ends_on=left_on, reason="resigned")
        act: partial[Any] = partial(
            placements.fall_through, person_id=who.id, candidacy_id=candidacy, left_on=left_on,
            reason="counter_offer", decided_by="candidate", text=trade.LEFT,
        )  # fmt: skip
        facts = 2 if remedy == "rebate" else 3  # the opening is free again
        self._step(at, by, act, who, order.client, facts=facts)
        at += timedelta(hours=17)
        self._step(at, by, partial(_ends, person_id=who.id, fact=leaves), who)
        if remedy == "rebate":
            self._given_back(order, candidacy, at)

    def _given_back(self, order: Order, candidacy: UUID, at: datetime) -> None:
        invoice, paid_at = self.bills[candidacy]
        at = self._working(max(at, paid_at or at) + timedelta(days=2))
        due, by = instalment_id(order.id, "start", candidacy), self._actor(order.client.owner)
        how: dict[str, Any] = {"company_id": order.client.id, "id": invoice}
        number = f"{at:%Y}-C{self.seed}-{self.made['invoice']}"
        credit = partial(_credit, **how, due=due, number=number, at=at)
        self._step(at, by, credit, order.client)
        if paid_at:
            at = self._working(at + timedelta(days=3))
            self._step(at, by, partial(_refund, **how, at=at), order.client)

    def _with_ladder(self, order: Order, who: Someone) -> bool:
        """By the terms at the introduction, as ``Company.terms_for`` finds them."""
        [reached] = [reached for of, one, reached in self.went if of is order and one is who]
        [introduced_at] = [at for at, stage in reached if stage == "submitted"]
        known = [each for each in self.agreed if each[0] <= introduced_at]
        of_order = [each for each in known if each[2] is order]
        of_client = [each for each in known if each[1] is order.client and each[2] is None]
        return max(of_order or of_client, key=lambda each: each[0])[3]


async def _draw(
    work: Work, company_id: UUID, id: UUID, job_order_id: UUID, people: list[Seen], at: datetime
) -> Company:
    """Under an id of the story's."""
    company, listed = await work.get(Company, company_id), []
    for each in people:
        candidacy = candidacy_id(each.who.id, job_order_id)
        listed.append((each.who.id, candidacy, each.blind))
        if each.headline:
            person = await work.get(Person, each.who.id)
            person.present(
                candidacy, blind=each.blind, headline=each.headline, text=each.text, at=at,
                by=work.by,
            )  # fmt: skip
    work.last(company).draw_shortlist(id, job_order_id, listed, at=at, by=work.by)
    return company


async def _agree_off_limits(work: Work, company_id: UUID, fact: OffLimitsAgreed) -> Company:
    company = await work.get(Company, company_id)
    company.set_off_limits(fact, by=work.by)
    return company


async def _share(work: Work, door: Door, at: datetime) -> Company:
    """By a link that nobody has: what its digest is of is not known, not even to us."""
    company = await work.get(Company, door.company_id)
    company.share_shortlist(
        door.shortlist_id,
        door.link_id,
        contact_id=door.contact_id,
        digest=work.ledger.store.keyring.hash_of("demo link", str(door.link_id)).hex(),
        until_on=at.date() + timedelta(days=60),
        at=at,
        by=work.by,
    )
    return company


async def _look(work: Work, door: Door, people: list[UUID], at: datetime) -> Company:
    company = await work.get(Company, door.company_id)
    company.see_shortlist(door, people, at=at)
    return company


async def _judge(work: Work, person_id: UUID, fact: VerdictGiven) -> Person:
    person = await work.get(Person, person_id)
    person.take_verdict(fact, by=work.by)
    return person


async def _comment(work: Work, door: Door, text: str, at: datetime) -> Company:
    company = await work.get(Company, door.company_id)
    company.comment_shortlist(door, text, at=at)
    return company


async def _ends(work: Work, person_id: UUID, fact: EmploymentEnded) -> Person:
    person = await work.get(Person, person_id)
    person.end_employment(fact, by=work.by)
    return person


async def _credit(
    work: Work, company_id: UUID, id: UUID, due: UUID, number: str, at: datetime
) -> Company:
    company = await work.get(Company, company_id)
    fact = InvoiceCredited(
        invoice_id=id,
        number=number,
        amount_cents=company.books.instalments[due].rebate_cents,
        currency=company.books.invoices[id].currency,
        credited_at=at,
        reason="rebate",
    )
    company.credit_invoice(fact, by=work.by)
    return company


async def _refund(work: Work, company_id: UUID, id: UUID, at: datetime) -> Company:
    company = await work.get(Company, company_id)
    invoice = company.books.invoices[id]
    fact = InvoiceRefunded(
        invoice_id=id,
        amount_cents=-invoice.open_cents,
        currency=invoice.currency,
        refunded_at=at,
        reference=f"SEPA-{str(id)[:8]}-R",
    )
    company.refund_invoice(fact, by=work.by)
    return company
