"""The demo agency: plays its story into a ledger, by the commands that everybody uses.

The same seed, last day and size give the same facts, ids too. Every command has an idempotency
key of its own, so a play that is repeated, killed and begun again, or run twice at once ends with
each fact once. It only adds: whatever else the ledger holds stays.

Each fact is written down as of the moment at which it was told, so that the agency can be looked at
as it was known on any day. But not among other people and companies, which were written down later
than it begins: what was known when is told by the order of the ledger, and would be wrong of both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from uuid import UUID

import msgspec

from ledger_crm.domain import clock
from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.entry import id_of, kind
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.refusals import Conflict, Refusal
from ledger_crm.ledger import Intent, KeyReused, Ledger, Repeated, Work

from .catalogue import ship
from .demo_client import Whole
from .demo_story import DAYS, Step

EDITION = 5  # of the story; another one has other facts under the same keys
BATCH = 1000  # facts, about, in one transaction
ATTEMPTS = 4  # at one batch, when others write to the same records


class PlayedOtherwise(Conflict):
    """This ledger holds the demo agency of this seed already, played to another day, in another
    size or by another version: say the same day and size again, or take another seed."""

    over_http = False


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """companies, people, facts   of the whole story
    written                     facts that were not there before
    written_then                whether they are written down as of when they were told; else as of
                                now
    position                    of the last one written; None: all was there
    hiring_manager_id           the person who was placed, and two years later hires
    quiet_company_id            the client that stopped ordering
    job_order_id                an open one with candidates in many stages
    shortlist_id                one that a client looked at by its link, and gave verdicts on
    """

    seed: int
    until: date
    companies: int
    people: int
    facts: int
    written: int
    written_then: bool
    position: int | None
    hiring_manager_id: UUID
    quiet_company_id: UUID
    job_order_id: UUID
    shortlist_id: UUID


async def play(
    ledger: Ledger,
    *,
    seed: int = 1,
    until: date | None = None,
    size: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Played:
    """Two years up to the morning of ``until``; None: that of the agency which is there, else
    today. ``progress(facts done, facts in all)`` after each batch.

    Raises PlayedOtherwise, Unavailable, and the refusal of a command that something else in the
    ledger stands in the way of (ContactPointTaken, StageIsRetired); what was written stays.
    """
    until = until or await _until(ledger, seed) or clock.today()
    story = Whole(seed, until, size)
    written_then = await _written_then(ledger, seed)
    with clock.played_at(story.steps[0].at, written_then=written_then):
        await ship(ledger)
    fingerprint = hashlib.sha256(f"{EDITION} {until} {size}".encode()).digest()
    intents = [
        Intent(by=step.by, key=f"demo:{seed}:{n}", fingerprint=fingerprint)
        for n, step in enumerate(story.steps)
    ]
    work = Work(ledger, intents[0].by)
    done, written, position = 0, 0, None
    for batch in _batches(story.steps):
        steps = story.steps[batch]
        positions = await _write(work, steps, intents[batch], written_then)
        done += sum(step.facts for step in steps)
        written += len(positions)
        position = positions[-1] if positions else position
        if progress:
            progress(done, story.facts)
    return Played(
        seed=seed,
        until=until,
        companies=story.companies,
        people=story.people,
        facts=story.facts,
        written=written,
        written_then=written_then,
        position=position,
        hiring_manager_id=story.hiring_manager_id,
        quiet_company_id=story.quiet_company_id,
        job_order_id=story.job_order_id,
        shortlist_id=story.shortlist_id,
    )


async def _written_then(ledger: Ledger, seed: int) -> bool:
    """As it was begun; else whether nobody is there who was written down later. In this order: one
    that another process begins meanwhile has all of its first batch, or nothing."""
    lived_in, at = False, 0
    while not lived_in and (rows := await ledger.rows(after=at, limit=BATCH)):
        lived_in = any(row.topic in (kind(CompanyAdded), kind(PersonSourced)) for row in rows)
        at = rows[-1].id
    for entry in await ledger.stream(id_of("demo", str(seed), "company", "1")):
        if isinstance(entry.event, CompanyAdded) and entry.event.added_at:
            return abs(entry.timestamp - entry.event.added_at) < timedelta(days=1)
    return not lived_in


async def _write(
    work: Work, steps: Sequence[Step], intents: Sequence[Intent], written_then: bool
) -> Sequence[int]:
    """Those of them that are not there yet, together; their positions."""
    for left in reversed(range(ATTEMPTS)):
        try:
            there = await work.ledger.receipts(intents)
        except KeyReused:
            raise PlayedOtherwise(key=intents[0].key) from None
        if there:
            work.forget()  # another play wrote them: what is in hand is from before that
        todo = [(s, i) for s, i in zip(steps, intents, strict=True) if i.key not in there]
        try:
            await work.load({id for step, _ in todo for id in step.touches})
            for step, intent in todo:
                work.by = step.by
                with clock.played_at(step.at, written_then=written_then):
                    work.stage(intent, await step.act(work))
            return await work.commit()
        except (Refusal, Repeated):
            # somebody works on these records, or plays this too, and got in between any two
            # lines above: decide again on what is there now. A refusal that is meant comes back
            if not left:
                raise
            work.forget()
    raise AssertionError("not reached: the last attempt returns or raises")


def _batches(steps: Sequence[Step]) -> Iterator[slice]:
    begin = facts = 0
    for n, step in enumerate(steps, 1):
        facts += step.facts
        if facts >= BATCH or n == len(steps):
            yield slice(begin, n)
            begin, facts = n, 0


async def _until(ledger: Ledger, seed: int) -> date | None:
    """Of the agency of this seed that the ledger holds. Told by its first fact, which lies on the
    first day."""
    for entry in await ledger.stream(id_of("demo", str(seed), "company", "1")):
        if isinstance(entry.event, CompanyAdded) and entry.event.added_at:
            return entry.event.added_at.date() + timedelta(days=DAYS)
    return None
