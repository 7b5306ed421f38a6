"""Who went quiet in our segments, people and companies, on which day, and when did something pass
between us again?

A plain fold over all facts, for the last one says up to when. It asks of every day of the past whom
the list of who is quiet would have shown at its end, by what was written down then, and by what
each segment is by now. Records that are merged are one from the day on. It knows segments that ask
for what ``KNOWS`` has; what else they may ask for is left to queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.agreement import FeeAgreed
from ledger_crm.domain.candidacy import Placed
from ledger_crm.domain.company import CompanyAdded, DealFact
from ledger_crm.domain.engagement import CompanyQuietSnoozed, PersonQuietSnoozed, contact, later
from ledger_crm.domain.entry import CompanyFact, Entry
from ledger_crm.domain.firm import FirmProfileChanged, FirmTagged, FirmUntagged, OwnerAssigned
from ledger_crm.domain.identity import PersonTagged, PersonUntagged
from ledger_crm.domain.interaction import CompanyCalled, Interaction
from ledger_crm.domain.joborder import OVER, JobOrderOpened, JobOrderStep, status_after
from ledger_crm.domain.merging import Merged, Unmerged
from ledger_crm.domain.permission import DoNotContactLifted, DoNotContactSet, Word
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.placement import FellThrough
from ledger_crm.domain.pool import PersonPooled, PersonUnpooled
from ledger_crm.domain.privacy import PersonErased
from ledger_crm.domain.segment import CompanySegmentSaved, Saved, SegmentSaved

DAY = timedelta(days=1)
KNOWS = {
    "pools", "channels", "tags", "industries", "owners", "employees_at_least", "employees_at_most",
    "statuses", "silent_days", "in_touch_days",
}  # fmt: skip
NOT_YET_QUALIFIED = ("prospect", "contacted", "lost")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    opened_at: datetime
    status: str = "open"
    placed: int = 0
    fell_through: int = 0
    placed_at: datetime | None = None  # the last time


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Of a record, after the last fact of a day. ``into``: the one it is merged into, and when."""

    company: bool = False
    touched_at: datetime | None = None
    snoozed_until_on: date = date.min
    into: tuple[UUID, datetime] | None = None
    tags: frozenset[str] = frozenset()
    channel: str = ""
    pools: frozenset[str] = frozenset()
    leave_alone: Word | None = None
    industry: str = ""
    owner: str = ""
    employees: int | None = None
    qualified: bool = False
    orders: dict[UUID, Order] = {}


class State(msgspec.Struct):
    until_on: date = date.min
    segments: dict[tuple[bool, str], Saved] = {}
    days: dict[date, dict[UUID, Known]] = {}  # what became known on each
    now: dict[UUID, Known] = {}


begin = State


def fold(state: State, entry: Entry[Any]) -> None:
    fact, id, state.until_on = entry.event, entry.originator_id, entry.timestamp.date()
    if isinstance(fact, SegmentSaved | CompanySegmentSaved):
        state.segments[isinstance(fact, CompanySegmentSaved), fact.slug] = fact
        return
    whose = {id, fact.company_id} - {None} if isinstance(fact, Interaction) else {id}
    if isinstance(fact, Placed | FellThrough):
        order = fact.job_order_id
        whose = {each for each, known in state.now.items() if order in known.orders}
    for each in whose:
        company = each != id or isinstance(fact, CompanyFact)
        before = state.now.get(each) or Known(company=company)
        if (after := told(before, entry)) != before:
            state.now[each] = state.days.setdefault(state.until_on, {})[each] = after


def told(known: Known, entry: Entry[Any]) -> Known:
    match entry.event:
        case PersonSourced() as fact:
            return replace(known, channel=fact.channel)
        case CompanyAdded() as fact:
            return replace(known, industry=fact.industry)
        case FirmProfileChanged() as fact:
            industry = known.industry if fact.industry is None else fact.industry
            employees = known.employees if fact.employees is None else fact.employees
            return replace(known, industry=industry, employees=employees)
        case OwnerAssigned() as fact:
            return replace(known, owner=fact.owner)
        case PersonTagged() | FirmTagged() as fact:
            return replace(known, tags=known.tags | {fact.tag})
        case PersonUntagged() | FirmUntagged() as fact:
            return replace(known, tags=known.tags - {fact.tag})
        case PersonPooled() as fact:
            return replace(known, pools=known.pools | {fact.pool})
        case PersonUnpooled() as fact:
            return replace(known, pools=known.pools - {fact.pool})
        case Interaction() | CompanyCalled() as fact:
            return replace(known, touched_at=later(known.touched_at, later(*contact(fact))))
        case PersonQuietSnoozed() | CompanyQuietSnoozed() as fact:
            return replace(known, snoozed_until_on=fact.until_on)
        case DoNotContactSet() | DoNotContactLifted() as fact:
            if known.leave_alone and fact.word.said_at < known.leave_alone.said_at:
                return known
            return replace(known, leave_alone=fact.word)
        case Merged() as fact:
            return replace(known, into=(fact.survivor_id, fact.merged_at))
        case Unmerged() as fact if known.into and known.into[0] == fact.other_id:
            return replace(known, into=None)
        case PersonErased():
            return Known(channel=known.channel, into=known.into)
        case FeeAgreed():
            return replace(known, qualified=True)
        case DealFact() as fact:
            return replace(
                known, qualified=known.qualified or fact.category not in NOT_YET_QUALIFIED
            )
        case JobOrderOpened() as fact:
            return ordered(known, fact.job_order_id, Order(opened_at=fact.opened_at))
        case (JobOrderStep() | Placed() | FellThrough()) as fact:
            if order := known.orders.get(fact.job_order_id):
                return ordered(known, fact.job_order_id, stepped(order, fact))
    return known


def ordered(known: Known, id: UUID, order: Order) -> Known:
    return replace(known, orders={**known.orders, id: order})


def stepped(order: Order, fact: Any) -> Order:
    match fact:
        case Placed():
            placed_at = later(order.placed_at, fact.placed_at)
            return replace(order, placed=order.placed + 1, placed_at=placed_at)
        case FellThrough():
            return replace(order, fell_through=order.fell_through + 1)
    return replace(order, status=status_after(order.status, fact))


def is_quiet(theirs: Sequence[Known], end: datetime, saved: Saved) -> bool:
    """``theirs``: of all records of one that are merged, the one they are known as first."""
    asked: Any = saved.criteria
    touched = [known.touched_at for known in theirs if known.touched_at]
    if not touched or any(known.snoozed_until_on >= end.date() for known in theirs):
        return False
    silent_days = max(saved.cadence_days, asked.silent_days or 0)
    if max(touched) >= end - silent_days * DAY:
        return False
    if asked.in_touch_days and max(touched) < end - asked.in_touch_days * DAY:
        return False
    if any(all(tag not in known.tags for known in theirs) for tag in asked.tags):
        return False
    return (of_companies if theirs[0].company else of_people)(theirs, end, asked)


def of_people(theirs: Sequence[Known], end: datetime, asked: Any) -> bool:
    return all(any(pool in known.pools for known in theirs) for pool in asked.pools) and (
        not asked.channels or any(known.channel in asked.channels for known in theirs)
    )


def of_companies(theirs: Sequence[Known], end: datetime, asked: Any) -> bool:
    industries = [each.lower() for each in asked.industries]
    least, most = asked.employees_at_least, asked.employees_at_most
    counts = [known.employees for known in theirs if known.employees is not None]
    return (
        (not industries or any(known.industry.lower() in industries for known in theirs))
        and (not asked.owners or any(known.owner in asked.owners for known in theirs))
        and (least is None or any(count >= least for count in counts))
        and (most is None or any(count <= most for count in counts))
        and (not asked.statuses or status(theirs, end) in asked.statuses)
    )


def status(theirs: Sequence[Known], at: datetime) -> str:
    """What the account is by then."""
    orders = [order for known in theirs for order in known.orders.values()]
    if not orders:
        return "qualified" if any(known.qualified for known in theirs) else "prospect"
    opened = sorted(order.opened_at for order in orders)
    gaps = [after - before for before, after in pairwise(opened)]
    held = sum(order.placed > order.fell_through for order in orders)
    if all(order.status in OVER for order in orders):
        last = max(opened[-1], *(order.placed_at or opened[-1] for order in orders))
        rhythm = 2 * max(median(gaps), 15 * DAY) if len(gaps) > 1 else 365 * DAY
        if at > max(last + 730 * DAY, last + rhythm + 365 * DAY):
            return "former"
        if at > last + rhythm:
            return "quiet"
    elif held < 2:
        return "active"
    return "repeat" if held > 1 else "active" if held else "qualified"


def may_be_reminded(id: UUID, now: dict[UUID, Known], end: datetime) -> bool:
    """Of somebody who is to be left alone, unless one that this record went on as, since it did,
    was told otherwise later."""
    word = now[id].leave_alone
    if not word or not word.holds_no(end):
        return True
    while (into := now[id].into) is not None:
        id, since = into
        later_word = now[id].leave_alone
        if later_word and later_word.said_at >= max(since, word.said_at):
            return True
    return False


def result(state: State) -> list[dict[str, Any]]:
    """``until_on``: None, if they are still quiet."""
    asked = {
        key: saved
        for key, saved in state.segments.items()
        if not saved.retired and KNOWS.issuperset(msgspec.to_builtins(saved.criteria))
    }
    now, since, spells = dict[UUID, Known](), dict[tuple[bool, str, UUID], date](), []
    day = min(state.days, default=state.until_on)
    while day <= state.until_on:
        now |= state.days.get(day, {})
        end, records = datetime.combine(day, time.max, UTC), dict[UUID, list[UUID]]()
        for id in now:
            records.setdefault(known_as(id, now), []).append(id)
        for id, ids in records.items():
            theirs = [now[id], *(now[each] for each in ids if each != id)]
            for (company, slug), saved in asked.items():
                quiet = (
                    company == now[id].company
                    and is_quiet(theirs, end, saved)
                    and (company or all(may_be_reminded(each, now, end) for each in ids))
                )
                if quiet:
                    since.setdefault((company, slug, id), day)
                elif (began := since.pop((company, slug, id), None)) is not None:
                    spells.append((began, company, slug, id, day))
        for company, slug, id in [key for key in since if key[2] not in records]:
            spells.append((since.pop((company, slug, id)), company, slug, id, day))
        day += DAY
    spells += [(began, *key, None) for key, began in since.items()]
    spells.sort(key=lambda spell: spell[:4])
    return [
        {
            "of": "company" if company else "person",
            "segment": slug, "quiet_on": began, "id": id, "until_on": until,
        }
        for began, company, slug, id, until in spells
    ]  # fmt: skip


def known_as(id: UUID, now: dict[UUID, Known]) -> UUID:
    while (into := now[id].into) is not None:
        id = into[0]
    return id
