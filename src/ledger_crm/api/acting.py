"""Writes: one command for whoever asks, at most once, on the version that they saw."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, Concatenate, Literal, ParamSpec, TypeVar
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, QueryParameter

from ledger_crm.commands.drafting import Draft
from ledger_crm.domain.agreement import FeeAgreed
from ledger_crm.domain.candidacy import CandidacyFact
from ledger_crm.domain.company import DealFact
from ledger_crm.domain.document import Filed
from ledger_crm.domain.entry import Actor, Aggregate, Event, IdTaken
from ledger_crm.domain.followup import CompanyFollowUpPromised, FollowUpPromised
from ledger_crm.domain.interview import InterviewArranged, InterviewFact, OfferFact, OfferMade
from ledger_crm.domain.invoice import InstalmentDue, InvoiceRaised
from ledger_crm.domain.joborder import JobOrderOpened
from ledger_crm.domain.referral import Referral
from ledger_crm.domain.refusals import Invalid, Stale
from ledger_crm.domain.role import Permission
from ledger_crm.domain.shortlist import ShortlistDrawn, ShortlistShared
from ledger_crm.ledger import Intent, Ledger, Receipt, StaleVersion, Unavailable, Work

from . import confidential
from .conditional import versions
from .malformed import TWICE
from .metrics import decided
from .problems import Fault, Malformed

A = TypeVar("A", bound=Aggregate)
P = ParamSpec("P")

KEY = r"^[!-~]{1,255}$"
BARE = re.compile(r"[!#-~][!-~]{0,254}")
QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,510})"')  # a String of RFC 9651
NO_KEY = (
    "1 to 255 visible characters, bare or in quotes: within quotes may be spaces, and before each"
    " quote and backslash is a backslash; nothing follows the quote at the end"
)
FOLLOW: Permission = "events.read"
RECORD = re.compile(r"/(people|companies)/[^/]+")
NO_TAG = 'not an ETag in its quotes, like "7", nor several with commas between, nor *'
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        description="Of your own choosing, new for each wish, bare or as a text in quotes: `K` and"
        ' `"K"` are the same key. Sent again by the same caller with the same method, path and'
        " body, byte by byte, it gets the first answer again and nothing is done twice; with"
        " another it is refused. What was refused is not kept, what was written is for ever.",
    ),
]
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        required=False,
        max_length=1_000,
        description="The `ETag` of the record that you decided on, from a read or a receipt; or"
        " several, any of which will do; or `*`: there is one. Refused with 412 if somebody wrote"
        " to it since. Weak tags (`W/`) match nothing. What is written to under `/people/{id}` and"
        " `/companies/{id}` is that person or company, also by what becomes of a candidacy, a job"
        " order or a shortlist: its `ETag` counts, and theirs has no version.",
    ),
]


DryRun = Annotated[
    bool,
    QueryParameter(
        description="`true`: decides, and writes nothing. Answered 200 with the entries that would"
        " be written, or the refusal."
    ),
]


class NotInOne(Invalid):
    """What keeps files beside the ledger cannot be part of all or nothing: send it alone."""


class WeakTag(Stale):
    """A weak tag (W/) matches nothing in If-Match, for a write is decided on the very version that
    was read: send the ETag as it was given, without what a proxy put before it."""


class NoVersionInTag(Stale):
    """This ETag says no version: it is of an answer that is no record, such as a list, a history, a
    candidacy, a job order or a shortlist. What is written to is the person or company that it is
    part of, which id names: send the ETag that GET answers at read, or that the last receipt
    had."""


class AlreadyBegun(Stale):
    """There is such a record already, and If-None-Match asks that there is none: read it, and send
    its ETag as If-Match to write the next version."""


class Matching(msgspec.Struct, frozen=True):
    """What If-Match and If-None-Match ask for. Without anything set nothing is asked.

    anything  there is a record, of whatever version
    versions  any of these; 0, which none has, stands for tags that were never ours
    weak      there was a weak tag besides
    nothing   there is no record
    """

    anything: bool = False
    versions: tuple[int, ...] = ()
    weak: bool = False
    nothing: bool = False


class Made(Receipt, frozen=True):
    """A receipt for what has an id of its own inside a record.

    created  id of the deal, job order, fee agreement, candidacy, interview, offer, follow-up,
             document, invoice, shortlist, link or referral
    """

    created: UUID


READ_AT: Mapping[str, str] = {
    "add_application": "/applications/{id}",
    "add_company": "/companies/{id}",
    "add_document": "{record}/documents/{id}/content",
    "add_person": "/people/{id}",
    "add_webhook": "/webhooks/{id}",
    "agree_fee": "/fees/{id}",
    "draw_shortlist": "/shortlists/{id}",
    "file_company_document": "{record}/documents/{id}/content",
    "open_candidacy": "/candidates/{id}",
    "open_deal": "/deals/{id}",
    "open_job_order": "/job-orders/{id}",
    "promise_company_follow_up": "/follow-ups/{id}",
    "promise_follow_up": "/follow-ups/{id}",
    "raise_invoice": "/invoices/{id}",
    "record_interview": "/interviews/{id}",
    "record_offer": "/offers/{id}",
    "refer_candidate": "/referrals/{id}",
    "refer_client": "/referrals/{id}",
}
"""Where that is read which an operation makes (Location). ``record``: the person or company."""


class Foretold(msgspec.Struct, frozen=True, omit_defaults=True):
    """fact    by its kind; only for keys with `events.read`
    sealed  names of fields of the fact that are not shown
    """

    stream: UUID
    version: int
    kind: str
    fact: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})] | None = None
    sealed: Sequence[str] = ()


class Trial(msgspec.Struct, frozen=True):
    """What a dry run foresees. Nothing was written.

    id        of the record; one that would begin gets another id when it does
    version   that it would have
    entries   that would be written; none: there is nothing new, or it was written before
    replayed  the Idempotency-Key was used for this: the first answer would be given again
    """

    dry_run: Literal[True]
    id: UUID
    version: int
    entries: list[Foretold]
    replayed: bool


class Act:
    """What handlers write with: the ledger, in the name of one caller and for one request."""

    def __init__(
        self,
        ledger: Ledger,
        intent: Intent,
        matching: Matching,
        draft: Draft | None = None,
        *,
        tells: bool = False,
        sight: confidential.Sight | None = None,
        operation: str = "",
        record: str = "",
    ) -> None:
        """``matching``: what If-Match says; ``intent`` expects the first version of it. ``draft``:
        where it is decided, and not written yet; ``tells``: what is in it may be shown;
        ``sight``: of a caller who does not see everything; ``operation``: as the API's document
        names it; ``record``: where the person or company is read that it is on."""
        self.ledger, self.intent, self.matching = ledger, intent, matching
        self.draft, self.tells, self.sight = draft, tells, sight
        self.operation, self.record = operation, record

    async def new(
        self,
        command: Callable[Concatenate[Work, P], Awaitable[Aggregate]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Response[Receipt]:
        """On a record that begins here."""
        receipt, again = await self._decide(lambda work: command(work, *args, **kwargs))
        return await self._answer(receipt, again)

    async def on(
        self,
        id: UUID,
        command: Callable[Concatenate[Work, UUID, P], Awaitable[Aggregate]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Response[Receipt]:
        """On the record with this id, which is the command's first argument."""
        receipt, again = await self._decide(lambda work: command(work, id, *args, **kwargs), of=id)
        return await self._answer(receipt, again)

    async def within(
        self,
        id: UUID,
        command: Callable[Concatenate[Work, UUID, P], Awaitable[Aggregate]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Response[Made]:
        """As ``on``, for a command that makes something inside the record. What it made is read
        from the entry that it wrote, so that a repeated request names the same id."""
        made: UUID | None = None

        async def making(work: Work) -> Aggregate:
            nonlocal made
            aggregate = await command(work, id, *args, **kwargs)
            made = _made(work.pending()[-1].event)
            return aggregate

        receipt, again = await self._decide(making, of=id)
        trying = self.draft is not None and self.draft.trying
        if made is None or (again and not trying):
            assert receipt.position, "making something writes something"
            [entry] = await self.ledger.entries(after=receipt.position - 1, limit=1)
            made = _made(entry.event)
        return await self._answer(Made(receipt.id, receipt.version, receipt.position, made), again)

    async def _decide(
        self, decision: Callable[[Work], Awaitable[Aggregate]], of: UUID | None = None
    ) -> tuple[Receipt, bool]:
        if not self.sight:
            return await self._decided(decision, of)
        decision = self.sight.deciding(decision)
        try:
            try:
                return await self._decided(decision, of)
            except confidential.NotKnownYet:
                await self.sight.learn()
                return await self._decided(decision, of)
        except IdTaken as refusal:
            refusal.facts = {}  # whose it is may be hidden, and nobody was asked about that
            raise

    async def _decided(
        self, decision: Callable[[Work], Awaitable[Aggregate]], of: UUID | None
    ) -> tuple[Receipt, bool]:
        if self.matching.anything:
            decision = _of_what_is_there(decision)
        if self.matching.nothing:
            decision = _of_what_begins(decision)
        for _ in (*self.matching.versions, None):
            try:
                door = self.ledger if self.draft is None else self.draft
                answering = door.answer(decision, intent=self.intent, of=of)
                return await decided(answering, self.operation)
            except StaleVersion as refused:
                found = refused.facts.get("found")
                if found != self.intent.expected and found in self.matching.versions:
                    self.intent = msgspec.structs.replace(self.intent, expected=found)
                elif self.matching.weak:
                    raise WeakTag(**refused.facts) from None
                elif found and self.matching.versions == (0,) and self.record:
                    raise NoVersionInTag(
                        id=refused.facts["id"], found=found, read=self.record
                    ) from None
                else:
                    raise
        raise Unavailable()  # it went to and fro between them

    async def _answer(self, receipt: Any, again: bool) -> Response[Any]:
        if (draft := self.draft) is not None and draft.trying:
            foreseen, version = draft.foreseen, receipt.version
            if self.sight:
                foreseen = await self.sight.foreseen(foreseen)
                untold = [one for one in draft.foreseen if one not in foreseen]
                version -= sum(one.stream == receipt.id for one in untold)
            told = [
                Foretold(one.stream, one.version, one.kind, one.fact, one.sealed)
                if self.tells
                else Foretold(one.stream, one.version, one.kind)
                for one in foreseen
            ]
            trial = Trial(True, receipt.id, version, told, again)
            return Response(trial, status_code=200)
        headers = headers_of(receipt, again)
        if at := READ_AT.get(self.operation):
            id = receipt.created if isinstance(receipt, Made) else receipt.id
            headers["Location"] = at.format(record=self.record, id=id)
        return Response(receipt, headers=headers)


def headers_of(receipt: Receipt, again: bool) -> dict[str, str]:
    """``again``: it is the answer of an earlier time."""
    headers = {"ETag": f'"{receipt.version}"'}
    if again:
        headers["Idempotency-Replayed"] = "true"
    return headers


async def begin(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Act:
    """For what begins a record: there is no version yet that anybody could have seen."""
    return await _begin(request, ledger, idempotency_key, dry_run)


async def begin_by_link(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    idempotency_key: IdempotencyKey = None,
) -> Act:
    """As ``begin``, for whoever has no key: what would be written is none of their business. What
    they say by one link is not what they say by another, though it is called the same there."""
    act = await _begin(request, ledger, idempotency_key, dry_run=False)
    link_id = request.scope["state"]["door"].link_id
    said = ledger.fingerprint(f"{link_id}\x1f{act.intent.fingerprint.hex()}")
    act.intent = msgspec.structs.replace(act.intent, fingerprint=said)
    return act


async def act(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
    dry_run: DryRun = False,
) -> Act:
    matching = _matching(request.headers.getall("if-match")) if if_match is not None else None
    return await _act(request, ledger, idempotency_key, matching or Matching(), dry_run)


async def _begin(
    request: Request[Any, Any, Any], ledger: Ledger, key: str | None, dry_run: bool
) -> Act:
    if "if-match" in request.headers:
        raise Malformed(faults=[Fault("header:If-Match", "there is no record yet to match")])
    return await _act(request, ledger, key, Matching(), dry_run)


async def _act(
    request: Request[Any, Any, Any],
    ledger: Ledger,
    key: str | None,
    matching: Matching,
    dry_run: bool,
) -> Act:
    wish = key_in(request) if key is not None else ""
    if "if-none-match" in request.headers:
        matching = _beginning(request, matching)
    scope: Any = request.scope
    by, holder = Actor(scope["state"]["actor"]), scope["state"].get("holder")
    draft: Draft | None = scope["state"].get("draft")
    if draft is None and dry_run:
        draft = Draft(ledger, by, trying=True)
    if (
        draft is not None  # and it may be empty
        and not draft.trying
        and "vault" in request.route_handler.parsed_fn_signature.parameters
    ):
        raise NotInOne(operation=request.route_handler.handler_name)
    body = await request.body()
    sight: confidential.Sight | None = None
    if holder and not holder.may(confidential.ALL):
        named = [*map(str, request.path_params.values())]
        named += confidential.texts_of(msgspec.json.decode(body or b"{}"))
        sight = confidential.Sight(ledger, request.app.state.equipment.hidden, holder, named)
    intent = intent_of(
        ledger, by, request.method, scope["path"], body, wish,
        next(iter(matching.versions), None),
    )  # fmt: skip
    tells = bool(holder and holder.may(FOLLOW))
    operation = request.route_handler.handler_name
    of = RECORD.match(scope["path"])
    return Act(
        ledger, intent, matching, draft,
        tells=tells, sight=sight, operation=operation, record=of[0] if of else "",
    )  # fmt: skip


def key_in(request: Request[Any, Any, Any]) -> str:
    """What its Idempotency-Key says. Raises Malformed."""
    given = request.headers.getall("idempotency-key")
    key = key_of(given[0]) if len(given) == 1 else None
    if key is None:
        why = NO_KEY if len(given) == 1 else TWICE
        raise Malformed(faults=[Fault("header:Idempotency-Key", why)])
    return key


def key_of(given: str) -> str | None:
    """The same, in quotes (draft-ietf-httpapi-idempotency-key-header) or bare, as many send it;
    None if it is neither."""
    if BARE.fullmatch(given):
        return given
    found = QUOTED.fullmatch(given)
    key = re.sub(r"\\(.)", r"\1", found[1]) if found else ""
    return key if 0 < len(key) <= 255 else None


def as_header(key: str) -> str:
    """As ``key_of`` reads it, whatever is in it; in quotes if it has to be."""
    return key if BARE.fullmatch(key) else '"' + re.sub(r'(["\\])', r"\\\1", key) + '"'


def _matching(asked: Sequence[str]) -> Matching:
    """Raises Malformed."""
    if [each.strip() for each in asked] == ["*"]:
        return Matching(anything=True)
    found = versions(asked)
    if found is None:
        raise Malformed(faults=[Fault("header:If-Match", NO_TAG)])
    return Matching(versions=found[0] or (0,), weak=found[1])


def _beginning(request: Request[Any, Any, Any], matching: Matching) -> Matching:
    """Raises Malformed."""
    asked = [each.strip() for each in request.headers.getall("if-none-match")]
    why = ""
    if request.method != "PUT":
        why = "for reads, and for PUT; another write takes If-Match"
    elif asked != ["*"]:
        why = "a write takes * alone: there is none yet"
    elif matching != Matching():
        why = "it asks that there is none, and If-Match that there is one: send one of the two"
    if why:
        raise Malformed(faults=[Fault("header:If-None-Match", why)])
    return Matching(nothing=True)


def _before(subject: Aggregate) -> int:
    """Its version without what is decided now; 0: it begins with that."""
    return subject.seen - sum([len(one.pending_events) for one in subject.everyone])


def _of_what_begins(
    decision: Callable[[Work], Awaitable[Aggregate]],
) -> Callable[[Work], Awaitable[Aggregate]]:
    """Raises AlreadyBegun of what does not begin with it."""

    async def deciding(work: Work) -> Aggregate:
        subject = await decision(work)
        if found := _before(subject):
            raise AlreadyBegun(id=subject.id, found=found)
        return subject

    return deciding


def _of_what_is_there(
    decision: Callable[[Work], Awaitable[Aggregate]],
) -> Callable[[Work], Awaitable[Aggregate]]:
    """Raises StaleVersion of what begins with it."""

    async def deciding(work: Work) -> Aggregate:
        subject = await decision(work)
        if not _before(subject):
            raise StaleVersion(id=subject.id, found=0)
        return subject

    return deciding


def intent_of(
    ledger: Ledger,
    by: Actor,
    method: str,
    path: str,
    body: bytes,
    key: str,
    expected: int | None = None,
) -> Intent:
    asked = b"\0".join([method.encode(), path.encode(), body])
    fingerprint = ledger.fingerprint(hashlib.sha256(asked).hexdigest())
    return Intent(by=by, key=key, fingerprint=fingerprint, expected=expected)


def _made(event: Event) -> UUID:
    match event:
        case FeeAgreed(agreement_id=id) | InstalmentDue(agreement_id=id):  # due at the signing
            return id
        case InvoiceRaised(invoice_id=id):
            return id
        case JobOrderOpened(job_order_id=id) | DealFact(deal_id=id):
            return id
        case ShortlistDrawn(shortlist_id=id) | ShortlistShared(link_id=id):
            return id
        case CandidacyFact(candidacy_id=id):
            return id
        case FollowUpPromised(follow_up_id=id) | CompanyFollowUpPromised(follow_up_id=id):
            return id
        case InterviewArranged(interview_id=id) | InterviewFact(interview_id=id):
            return id
        case OfferMade(offer_id=id) | OfferFact(offer_id=id):
            return id
        case Filed(document_id=id):
            return id
        case Referral(referral_id=id):
            return id
    raise AssertionError(f"{type(event).__name__} makes nothing with an id of its own")


def alone(
    type_: type[A], decide: Callable[..., object], *, itself: bool = False
) -> Callable[..., Coroutine[Any, Any, A]]:
    """A command on one record that rests on no other: ``decide`` is a method of ``type_``. With
    ``itself`` refused on one that is merged into another: who decides has to look at that."""

    async def command(work: Work, id: UUID, *args: Any, **kwargs: Any) -> A:
        aggregate = await work.get(type_, id, itself=itself)
        decide(aggregate, *args, by=work.by, **kwargs)
        return aggregate

    return command


def fields(body: msgspec.Struct) -> dict[str, Any]:
    """Of a body whose fields are the arguments of a command."""
    return msgspec.structs.asdict(body)
