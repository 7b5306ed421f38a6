"""/portal: what the holder of a shortlist's link sees and says. Nothing else opens to a link, and
nothing of this to an API key.

The link's secret travels in a header and not in the address, which servers log, browsers remember
and mail scanners open. Answers hold labels and no ids: an id would tell that two blind candidates,
or a blind and a named one on another shortlist, are the same. They hold no position and no version
of a record either, from which one could count what we do for others.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from math import ceil
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import JSONBody

from ledger_crm.commands import shortlists as commands
from ledger_crm.domain.clock import now
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Aggregate, Instant, through
from ledger_crm.domain.refusals import Refusal, Stale
from ledger_crm.domain.shortlist import ClientReason, ClientVerdict, Door, Label, LinkIsOver
from ledger_crm.ledger import Intent, Ledger, NoSuchRecord, StaleVersion, Work
from ledger_crm.projections import shortlists

from .acting import Act
from .caller import AwaitedGuard, Callers, Connection, network_of
from .limits import allowance
from .problems import (
    LinkMissing,
    ReadModelBehind,
    TooManyGuesses,
    TooMuchAsked,
    Unavailable,
    refused,
)
from .reading import View
from .snapshots import Reads

TAKEN = {"GET": 240, "POST": 30}  # of one link within TAKEN_S, by each process that answers
TAKEN_S = 60.0
MOST = 1024  # links remembered at once
ATTEMPTS = 3  # at a version, while others are drawn

TOLD = frozenset(("candidate", "faults", "field", "key", "retry_after_s"))
"""Facts of a refusal that a link's holder is told: those that they sent themselves, and when to
come back."""


Words = Annotated[str, msgspec.Meta(max_length=4_000)]


class NewVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """candidate  their label
    reason     a rejection has one
    text       at most 4,000 letters
    """

    candidate: Label
    verdict: ClientVerdict
    reason: ClientReason | None = None
    text: Words = ""


class NewComment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """candidate  the label of whom it is about; null: all of them
    text       at most 4,000 letters
    """

    candidate: Label | None = None
    text: Words


class Heard(msgspec.Struct, frozen=True):
    """It is written down."""

    heard_at: Instant


def link_required(ledger: Ledger, callers: Callers) -> AwaitedGuard:
    """Puts what the link leads to, and its holder as the actor, into the request's state. Raises
    LinkMissing, LinkIsOver, TooMuchAsked, TooManyGuesses, Unavailable."""
    guesses = callers.guesses
    taken: dict[tuple[UUID, str], deque[float]] = {}

    async def guard(connection: Connection, __: BaseRouteHandler) -> None:
        scheme, _, text = connection.headers.get("authorization", "").partition(" ")
        text = text.strip() if scheme.lower() == "bearer" else ""
        if not text:
            raise LinkMissing()
        network = network_of(connection)
        try:
            guesses.must_be_heard(network, text)
        except TooManyGuesses:
            callers.visits.note("locked_out", network=network, about="link")
            raise
        try:
            door = await commands.door_of(ledger, text)
        except LinkIsOver:
            callers.visits.note("key_refused", network=network, about="link")
            raise
        if door is None:
            guesses.wrong(network, text)
            callers.visits.note("key_refused", network=network, about="link")
            raise LinkMissing()
        guesses.right(text)
        by_link = f"link:{door.link_id}"
        through.set(by_link)  # as what they write carries it
        callers.visits.note(
            "key_used", actor=door.actor, through=by_link, network=network, about="link"
        )
        state: dict[str, Any] = connection.scope["state"]
        _must_not_flood(taken, door.link_id, str(connection.scope["method"]), state)  # type: ignore[typeddict-item]
        state |= {"actor": door.actor, "door": door}

    return guard


def _must_not_flood(
    taken: dict[tuple[UUID, str], deque[float]], link_id: UUID, method: str, state: dict[str, Any]
) -> None:
    """What they are told of it is in ``state``. Raises TooMuchAsked."""
    most, at_s = TAKEN.get(method, TAKEN["POST"]), time.monotonic()
    if len(taken) >= MOST and (link_id, method) not in taken:
        taken.clear()
    times = taken.setdefault((link_id, method), deque())
    while times and times[0] <= at_s - TAKEN_S:
        times.popleft()
    more = len(times) < most
    if more:
        times.append(at_s)
    reset_s = times[0] + TAKEN_S - at_s  # when one more is taken than now
    state["allowance"] = allowance(b"link", most, TAKEN_S, most - len(times), reset_s)
    if not more:
        raise TooMuchAsked(retry_after_s=ceil(reset_s))


async def door(request: Request[Any, Any, Any]) -> Door:
    found: Door = request.scope["state"]["door"]
    return found


def discreet(request: Request[Any, Any, Any], refusal: Refusal) -> Response[dict[str, Any]]:
    """As everywhere, without the ids and numbers of ours."""
    if isinstance(refusal, NoSuchRecord):
        request.scope["state"].pop("allowance", None)  # as of one that never led anywhere
        refusal = LinkMissing()
    elif isinstance(refusal, Stale):  # others write to the record all the time
        refusal = Unavailable()
    refusal.facts = {name: value for name, value in refusal.facts.items() if name in TOLD}
    return refused(request, refusal)


class Portal(Controller):
    path = "/portal"
    tags = ("portal",)

    @get("/shortlist")
    async def read_shared_shortlist(
        self,
        ledger: NamedDependency[Ledger],
        reads: NamedDependency[Reads],
        door: NamedDependency[Door],
    ) -> Response[shortlists.ClientView]:
        """Read the shortlist

        Its newest version, and what you said of it. That you saw it is written down, once a day for
        each version."""
        for _ in range(ATTEMPTS):
            looked = await commands.look(ledger, door)
            view = View(reads, ledger, await ledger.head())
            try:
                answer = await view.one(
                    shortlists.as_client_sees,
                    door.shortlist_id,
                    shown=looked.shown,
                    link_id=door.link_id,
                )
                if not looked.seen:
                    await _saw(ledger, door, looked)
            except (NoSuchRecord, StaleVersion):  # another version was drawn in between
                continue
            return Response(answer.content)
        raise ReadModelBehind()

    @post("/verdicts")
    async def give_verdict(
        self, begin: NamedDependency[Act], door: NamedDependency[Door], data: JSONBody[NewVerdict]
    ) -> Response[Heard]:
        """Give a verdict

        Interview, reject with a reason, or hold. Given again, the later one stands."""
        return await _heard(
            begin,
            door,
            lambda work: commands.judge(
                work,
                door.company_id,
                door,
                candidate=data.candidate,
                verdict=data.verdict,
                reason=data.reason or "",
                text=data.text,
            ),
        )

    @post("/comments")
    async def comment(
        self, begin: NamedDependency[Act], door: NamedDependency[Door], data: JSONBody[NewComment]
    ) -> Response[Heard]:
        """Comment

        On a candidate, or on all of them."""
        return await _heard(
            begin,
            door,
            lambda work: commands.comment(
                work, door.company_id, door, text=data.text, candidate=data.candidate
            ),
        )


async def _saw(ledger: Ledger, door: Door, looked: commands.Look) -> None:
    async def seeing(work: Work) -> Company:
        return await commands.see(work, door.company_id, door, looked)

    await ledger.decide(seeing, intent=Intent(by=door.actor), of=door.company_id)


async def _heard(
    begin: Act, door: Door, decision: Callable[[Work], Awaitable[Aggregate]]
) -> Response[Heard]:
    """Said again under the same key it was heard when it was said first."""
    receipt, again = await begin.ledger.answer(decision, intent=begin.intent, of=door.company_id)
    headers = {"Idempotency-Replayed": "true"} if again else {}
    if receipt.position is None:
        return Response(Heard(now()), headers=headers)
    [entry] = await begin.ledger.entries(after=receipt.position - 1, limit=1)
    return Response(Heard(entry.timestamp), headers=headers)
