"""Any sequence of commands against plain models of the rules.

Bugs they have to find: a decision taken on state that the stored entries do not give back, a fact
that the rules forbid, a command that is refused although they allow it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from builders import (
    added,
    fee_agreed,
    fee_amended,
    fee_ended,
    order_opened,
    sales,
    sourced,
    talent,
)
from ledger_crm.domain.candidate import Move, candidacy_id
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Aggregate, Event
from ledger_crm.domain.fee import Rung
from ledger_crm.domain.person import Person
from ledger_crm.domain.pipeline import EXITS, SALES, TALENT
from ledger_crm.domain.refusals import Refusal
from ledger_crm.snapshot import frozen, thawed
from ledger_crm.store import EntryMapper
from scenario import ANA, COMPANY, KEYRING, LATER, NOON, PERSON

ORDERS = [UUID(int=n) for n in (1, 2)]
AGREEMENTS = [UUID(int=n) for n in (11, 12, 13)]
DEALS = [UUID(int=n) for n in (21, 22)]
CATEGORY = {stage.id: stage.category for stage in (*TALENT.stages, *SALES.stages)}

orders = st.sampled_from(ORDERS)
talent_stages = st.sampled_from(["screening", "offer", "submitted", "placed", "withdrawn", "none"])
sales_stages = st.sampled_from(["prospect", "terms_agreed", "won", "lost", "none"])
reasons = st.sampled_from(
    [
        {"reason": "no_visa", "decided_by": "candidate"},
        {"reason": "no_visa", "decided_by": "us", "decider": "Ana"},
        {"reason": "no_visa", "decided_by": "rule"},
        {"decided_by": "us", "decider": "Ana"},
    ]
)
fees = st.sampled_from(
    [
        {"basis": "contingent", "rate_bp": 2_500},
        {"basis": "fixed", "rate_bp": 0, "amount_cents": 1},
        {"basis": "contingent", "rate_bp": 0, "amount_cents": 1},
        {"basis": "fixed"},
    ]
)


class Machine(RuleBasedStateMachine):
    """What is written goes through the mapper, and so comes back as the store would give it."""

    aggregate: Any

    def __init__(self) -> None:
        super().__init__()
        self.mapper = EntryMapper(KEYRING, {})
        self.stored: list[Any] = []

    def begin(self, aggregate: Aggregate) -> None:
        self.aggregate = aggregate
        self.keep()

    def keep(self) -> list[Event]:
        entries = self.aggregate.collect_events()
        self.stored += [self.mapper.to_stored_event(entry) for entry in entries]
        return [entry.event for entry in entries]

    def says(self, command: Callable[[Any], object], *, allowed: bool) -> list[Event]:
        """What it wrote; nothing if it is not allowed."""
        try:
            command(self.aggregate)
        except Refusal as refusal:
            refused: Refusal | None = refusal
        else:
            refused = None
        assert allowed == (refused is None), refused or "allowed although the rules forbid it"
        written = self.keep()
        assert not (refused and written), "refused, and yet something is written"
        return written

    @invariant()
    def replay_gives_back_what_we_know(self) -> None:
        replayed: Any = None
        for row in self.stored:
            replayed = self.mapper.to_domain_event(row).mutate(replayed)
        if replayed is not None:
            known, again = vars(self.aggregate), vars(replayed)
            volatile = {"_pending_events", "_created_on", "_modified_on"}
            assert {k: v for k, v in again.items() if k not in volatile} == {
                k: v for k, v in known.items() if k not in volatile
            }

    @invariant()
    def a_snapshot_gives_back_what_we_know(self) -> None:
        if self.stored:
            id, version = self.aggregate.id, self.aggregate.version
            sealed = frozen(self.aggregate, KEYRING.own)
            thought = thawed(sealed, KEYRING.own, stream=id, version=version)
            assert type(thought) is type(self.aggregate)
            assert vars(thought) == vars(self.aggregate)


class PersonMachine(Machine):
    """One person on two job orders."""

    def __init__(self) -> None:
        super().__init__()
        self.begin(Person.source(sourced(), by=ANA, id=PERSON))
        self.stage: dict[UUID, str] = {}
        self.represented: set[UUID] = set()
        self.terms: dict[UUID, UUID] = {}
        self.points: set[str] = set()
        self.full_time: dict[UUID, bool] = {}
        self.started: set[UUID] = set()
        self.fallen: set[UUID] = set()

    def is_open(self, order: UUID) -> bool:
        return order in self.stage and CATEGORY[self.stage[order]] not in EXITS

    def is_placed(self, order: UUID) -> bool:
        return self.stage.get(order) == "placed"

    @rule(name=st.sampled_from(["ada", "Ada", "ben"]))
    def add_an_address(self, name: str) -> None:
        address = f"{name.lower()}@example.org"
        facts = self.says(
            lambda p: p.add_contact_point("email", f"{name}@example.org", by=ANA), allowed=True
        )
        assert len(facts) == (address not in self.points)
        self.points.add(address)

    @rule(order=orders, stage=talent_stages | st.just(""))
    def open(self, order: UUID, stage: str) -> None:
        target = stage or "sourced"
        category = CATEGORY.get(target, "lost")
        if facts := self.says(
            lambda p: p.open_candidacy(
                talent(), company_id=COMPANY, job_order_id=order, at=NOON, stage=stage, by=ANA
            ),
            allowed=order not in self.stage
            and category not in EXITS | {"submitted", "offer", "placed"},
        ):
            assert [getattr(fact, "stage", "") for fact in facts] == [target]
            self.stage[order] = target

    @rule(order=orders, to=talent_stages, why=reasons)
    def move(self, order: UUID, to: str, why: dict[str, Any]) -> None:
        explained = "reason" in why and ("decider" in why or why["decided_by"] == "candidate")
        category = CATEGORY.get(to)
        if self.says(
            lambda p: p.move(
                candidacy_id(PERSON, order), Move(stage=to, at=NOON, **why), talent(), by=ANA
            ),
            allowed=bool(
                order in self.stage
                and not self.is_placed(order)
                and category not in (None, "submitted", "placed")
                and (category != "offer" or order in self.terms)
                and (category not in EXITS or explained)
            ),
        ):
            self.stage[order] = to

    @rule(order=orders)
    def represent(self, order: UUID) -> None:
        facts = self.says(
            lambda p: p.give_right_to_represent(candidacy_id(PERSON, order), at=NOON, by=ANA),
            allowed=order in self.stage,
        )
        assert len(facts) == (order in self.stage and order not in self.represented)
        self.represented |= {order} & self.stage.keys()

    @rule(order=orders, agreement=st.sampled_from(AGREEMENTS))
    def introduce(self, order: UUID, agreement: UUID) -> None:
        for fact in self.says(
            lambda p: p.introduce(
                candidacy_id(PERSON, order), talent(), at=NOON, by=ANA,
                terms=fee_agreed(agreement_id=agreement),
            ),
            allowed=self.is_open(order) and order in self.represented and not self.is_placed(order),
        ):  # fmt: skip
            self.stage[order] = "submitted"
            self.terms.setdefault(order, agreement)
            assert fact.agreement_id == self.terms[order]  # type: ignore[attr-defined]

    @rule(order=orders, override=st.sampled_from(["", "Two halves"]), full_time=st.booleans())
    def place(self, order: UUID, override: str, full_time: bool) -> None:
        busy = any(o != order and self.holds(o) for o in self.stage)
        for fact in self.says(
            lambda p: p.place(
                candidacy_id(PERSON, order), talent(), at=NOON, starts_on=NOON.date(),
                first_year_pay_cents=1, fee_cents=1, currency="EUR", by=ANA,
                override=override, full_time=full_time,
            ),
            allowed=bool(
                self.is_open(order) and order in self.terms and not self.is_placed(order)
                and (override or not full_time or not busy)
            ),
        ):  # fmt: skip
            self.stage[order] = "placed"
            self.full_time[order] = full_time
            assert fact.agreement_id == self.terms[order]  # type: ignore[attr-defined]

    def holds(self, order: UUID) -> bool:
        return self.full_time.get(order, False) and order not in self.fallen

    @rule(order=orders)
    def start(self, order: UUID) -> None:
        if self.says(
            lambda p: p.start(
                candidacy_id(PERSON, order), terms=fee_agreed(), starts_on=NOON.date(), by=ANA
            ),
            allowed=self.is_placed(order) and order not in self.started | self.fallen,
        ):
            self.started.add(order)

    @rule(order=orders, days=st.integers(-1, 200))
    def fall_through(self, order: UUID, days: int) -> None:
        """Of a fee of one cent, by a ladder of 90 days."""
        terms = fee_agreed(guarantee_days=90, ladder=(Rung(until_day=90, rebate_bp=10_000),))
        came = order in self.started
        for fact in self.says(
            lambda p: p.fall_through(
                candidacy_id(PERSON, order), terms=terms, by=ANA, reason="x", decided_by="us",
                left_on=NOON.date() + timedelta(days=days),
            ),
            allowed=self.is_placed(order) and order not in self.fallen and (days >= 0 or not came),
        ):  # fmt: skip
            self.fallen.add(order)
            back = days < 90 or not came
            assert fact.rebate_cents == back  # type: ignore[attr-defined]
            assert fact.day == (days + 1 if came else 0)  # type: ignore[attr-defined]

    @invariant()
    def what_it_decides_on_is_what_we_know(self) -> None:
        found = self.aggregate.candidacies
        assert found.keys() == {candidacy_id(PERSON, order) for order in self.stage}
        for order in self.stage:
            candidacy = found[candidacy_id(PERSON, order)]
            assert candidacy.closed == (not self.is_open(order))
            assert candidacy.placed == self.is_placed(order)
            assert (candidacy.represented_at is not None) == (order in self.represented)
            assert candidacy.agreement_id == self.terms.get(order)
        assert {value for _, value in self.aggregate.points} == self.points


class CompanyMachine(Machine):
    """One company with deals, agreements and job orders."""

    def __init__(self) -> None:
        super().__init__()
        self.begin(Company.add(added(), by=ANA, id=COMPANY))
        self.deals: dict[UUID, str] = {}
        self.agreed: list[tuple[UUID, UUID | None]] = []
        self.rates: dict[UUID, list[int]] = {}
        self.ended: set[UUID] = set()
        self.orders: dict[UUID, bool] = {}

    @rule(deal=st.sampled_from(DEALS), stage=sales_stages | st.just(""))
    def open_deal(self, deal: UUID, stage: str) -> None:
        target = stage or "prospect"
        if self.says(
            lambda c: c.open_deal(sales(), title="x", at=NOON, id=deal, stage=stage, by=ANA),
            allowed=deal not in self.deals and target not in ("won", "lost", "none"),
        ):
            self.deals[deal] = target

    @rule(deal=st.sampled_from(DEALS), to=sales_stages, reason=st.sampled_from(["", "no_budget"]))
    def move_deal(self, deal: UUID, to: str, reason: str) -> None:
        if facts := self.says(
            lambda c: c.move_deal(deal, to, sales(), at=NOON, reason=reason, by=ANA),
            allowed=self.deals.get(deal, "won") not in ("won", "lost")
            and to != "none"
            and bool(to != "lost" or reason),
        ):
            self.deals[deal] = to
            chances = {stage.id: stage.probability_bp for stage in SALES.stages}
            assert [getattr(f, "probability_bp", None) for f in facts] == [chances[to]]

    @rule(agreement=st.sampled_from(AGREEMENTS), order=st.none() | orders, fee=fees)
    def agree(self, agreement: UUID, order: UUID | None, fee: dict[str, Any]) -> None:
        fact = fee_agreed(agreement_id=agreement, job_order_id=order, **fee)
        if self.says(
            lambda c: c.agree_fee(fact, by=ANA),
            allowed=bool(fact.rate_bp if fact.basis == "contingent" else fact.amount_cents)
            and agreement not in dict(self.agreed)
            and (order is None or order in self.orders),
        ):
            self.agreed.append((agreement, order))
            self.rates[agreement] = [fact.rate_bp]

    @rule(agreement=st.sampled_from(AGREEMENTS), rate_bp=st.sampled_from([0, 1_000, 2_000]))
    def amend(self, agreement: UUID, rate_bp: int) -> None:
        """A minute after the version before."""
        versions, order = self.rates.get(agreement, []), dict(self.agreed).get(agreement)
        fact = fee_amended(
            agreement_id=agreement, job_order_id=order, rate_bp=rate_bp,
            amended_at=NOON + timedelta(minutes=len(versions)),
        )  # fmt: skip
        for written in self.says(
            lambda c: c.amend_fee(fact, by=ANA),
            allowed=bool(versions and rate_bp and agreement not in self.ended),
        ):
            versions.append(rate_bp)
            assert written.version == len(versions)  # type: ignore[attr-defined]

    @rule(agreement=st.sampled_from(AGREEMENTS))
    def end(self, agreement: UUID) -> None:
        if self.says(
            lambda c: c.end_fee(fee_ended(agreement_id=agreement), by=ANA),
            allowed=agreement in self.rates and agreement not in self.ended,
        ):
            self.ended.add(agreement)

    @invariant()
    def an_amendment_changes_nothing_of_before(self) -> None:
        for id, rates in self.rates.items():
            versions = self.aggregate.agreement(id).versions
            assert [terms.rate_bp for terms in versions] == rates

    @rule(order=orders, low=st.integers(0, 2), high=st.integers(0, 2))
    def open_order(self, order: UUID, low: int, high: int) -> None:
        fact = order_opened(job_order_id=order, salary_from_cents=low, salary_to_cents=high)
        if self.says(
            lambda c: c.open_job_order(fact, by=ANA),
            allowed=order not in self.orders and not 0 < high < low,
        ):
            self.orders[order] = True

    @rule(order=orders, filled=st.booleans())
    def end_order(self, order: UUID, filled: bool) -> None:
        def command(c: Company) -> None:
            if filled:
                c.fill_job_order(order, at=NOON, by=ANA)
            else:
                c.cancel_job_order(order, at=NOON, reason="frozen", by=ANA)

        if self.says(command, allowed=self.orders.get(order, False)):
            self.orders[order] = False

    @invariant()
    def the_terms_in_force_are_the_latest_of_the_order_else_of_the_company(self) -> None:
        for order in ORDERS:
            own = [id for id, of in self.agreed if of == order]
            general = [id for id, of in self.agreed if of is None]
            expected = [i for ids in (own, general) for i in ids[-1:] if i not in self.ended][:1]
            try:
                terms = self.aggregate.terms_for(order, LATER)
            except Refusal:
                assert expected == []
            else:
                assert [terms.agreement_id] == expected
                assert terms.version == len(self.rates[terms.agreement_id])

    @invariant()
    def what_it_decides_on_is_what_we_know(self) -> None:
        assert {id: order.open for id, order in self.aggregate.job_orders.items()} == self.orders
        assert {id: deal.over for id, deal in self.aggregate.deals.items()} == {
            id: stage in ("won", "lost") for id, stage in self.deals.items()
        }


TestPerson = PersonMachine.TestCase
TestPerson.settings = settings(max_examples=60, stateful_step_count=30)
TestCompany = CompanyMachine.TestCase
TestCompany.settings = settings(max_examples=60, stateful_step_count=30)
