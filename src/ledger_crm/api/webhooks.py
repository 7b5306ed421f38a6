"""/webhooks: who is sent what is written, and how that goes."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.domain import EVENTS
from ledger_crm.domain.access import Holder
from ledger_crm.domain.entry import Sealed
from ledger_crm.domain.refusals import Invalid
from ledger_crm.domain.webhook import KindName, Webhook, WebhookChanges, must_be_public
from ledger_crm.ledger import Ledger, Receipt, Work
from ledger_crm.projections import webhooks

from . import confidential
from .acting import Act, alone
from .asking import Since, Until, moment_of
from .caller import Callers
from .problems import AfterTheHead
from .reading import NOTHING, Limit, Page, Position, Token, View

DAY_S = 24 * 3600
Taken = Annotated[
    bool | None, QueryParameter(description="Only attempts that were taken, or that were not.")
]
Status = Annotated[
    int | None,
    QueryParameter(ge=100, le=999, description="Only those answered with this status of HTTP."),
]


class NoSuchKind(Invalid):
    """No kind of fact is called so, or begins so."""

    field = "kinds"


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """url    https, of a public host
    kinds  only these, like `person.placed`, or all that begin alike, like `person.`; none: all
    after  begins with what was written after this position; null: with what is written from now on
    label  for whom it is; shown to nobody but by this API
    ordered  one message after the other, and one that fails holds up what comes after it; false:
             those that fail are tried again beside the others
    """

    url: Annotated[str, msgspec.Meta(max_length=2_000)]
    kinds: Annotated[tuple[KindName, ...], msgspec.Meta(max_length=50)] = ()
    after: Position | None = None
    label: Sealed = ""
    ordered: bool = True


class SecretRenewal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """overlap_s  for so long messages are signed with the secrets of before, too, at most a week;
    0: those end at once, for one that has become known
    """

    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=7 * DAY_S)] = DAY_S


class WebhookMade(Receipt, frozen=True):
    """secret  what its messages are signed with, as whsec_ and base64; shown this once, and null if
    the answer is given again: renew it
    """

    secret: str | None = None


class Webhooks(Controller):
    path = "/webhooks"
    tags = ("webhooks",)

    @post()
    async def add_webhook(
        self,
        request: Request[Any, Any, Any],
        begin: NamedDependency[Act],
        ledger: NamedDependency[Ledger],
        callers: NamedDependency[Callers],
        data: JSONBody[NewWebhook],
    ) -> Response[WebhookMade]:
        """Add a webhook

        It is sent each entry as a CloudEvent, without what is sealed, in order, one after the
        other (unless `ordered` is false), signed by the Standard Webhooks specification.
        `webhook-id` is the same whenever the same entry is sent. What is not answered 2xx within
        15 s is tried again, for about three days; then it is disabled, and says so. 410 disables it
        at once. Needs `confidential.read`, too: it is sent everything."""
        if callers.terms.webhook_targets == "public":
            must_be_public(data.url)
        for each in data.kinds:
            if not any(k == each or (each.endswith(".") and k.startswith(each)) for k in EVENTS):
                raise NoSuchKind(kind=each)
        head = await ledger.head()
        if (data.after or 0) > head:
            raise AfterTheHead(after=data.after, head=head)
        after = head if data.after is None else data.after
        made: list[str] = []

        async def adding(work: Work) -> Webhook:
            webhook = Webhook.add(
                url=data.url,
                kinds=data.kinds,
                after=after,
                label=data.label,
                ordered=data.ordered,
                by=work.by,
            )
            made[:] = [webhook.secret]
            return work.add(webhook)

        return _with_secret(await begin.new(adding), made)

    @get(now_alone=True)
    async def list_webhooks(
        self, request: Request[Any, Any, Any], view: NamedDependency[View]
    ) -> Response[list[webhooks.WebhookShown]]:
        """List the webhooks

        The newest first, with how far each has got, and why it is disabled if it is."""
        return await view.answer(webhooks.listing, NOTHING, positions=_sees_all(request))

    @get("/{webhook_id:uuid}", now_alone=True)
    async def read_webhook(
        self,
        request: Request[Any, Any, Any],
        view: NamedDependency[View],
        webhook_id: FromPath[UUID],
    ) -> Response[webhooks.WebhookShown]:
        """Read a webhook"""
        return await view.one(webhooks.one, webhook_id, positions=_sees_all(request))

    @get("/{webhook_id:uuid}/deliveries", now_alone=True)
    async def list_deliveries(
        self,
        view: NamedDependency[View],
        webhook_id: FromPath[UUID],
        taken: Taken = None,
        fault: FromQuery[webhooks.Fault | None] = None,
        status: Status = None,
        since: Since = None,
        until: Until = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[webhooks.Delivery]]:
        """List deliveries

        Each attempt, the newest first, for 30 days, also of a webhook that was removed; `since` and
        `until` are by when it was. Needs `confidential.read`, too: that one was sent says of which
        kinds an entry is."""
        return await view.page(
            webhooks.deliveries,
            webhook_id,
            taken=taken,
            fault=fault,
            status=status,
            since=moment_of(since, "since"),
            until=moment_of(until, "until"),
            cursor=cursor,
            limit=limit,
            at=webhooks.number,
            there=(webhooks.known, webhook_id),
        )

    @post("/{webhook_id:uuid}/secret")
    async def renew_webhook_secret(
        self,
        act: NamedDependency[Act],
        webhook_id: FromPath[UUID],
        data: JSONBody[SecretRenewal],
    ) -> Response[WebhookMade]:
        """Renew the secret of a webhook

        The answer has the new one, this once. For `overlap_s`, a day if you say nothing else,
        `webhook-signature` holds a signature by each secret that still counts, with spaces between,
        so that a receiver may change over when it likes. At most five count at once."""
        renewed: list[str] = []

        async def renewing(work: Work, id: UUID) -> Webhook:
            webhook = await work.get(Webhook, id)
            webhook.renew_secret(overlap_s=data.overlap_s, by=work.by)
            renewed[:] = [webhook.secret]
            return webhook

        return _with_secret(await act.on(webhook_id, renewing), renewed)

    @post("/{webhook_id:uuid}/changes")
    async def change_webhook(
        self,
        act: NamedDependency[Act],
        ledger: NamedDependency[Ledger],
        webhook_id: FromPath[UUID],
        data: JSONBody[WebhookChanges],
    ) -> Response[Receipt]:
        """Change a webhook

        By its `kind`: disabled, enabled again where it was, redriven from a position, with the ids
        that messages had, or removed."""
        after = getattr(data, "after", 0)
        if after > (head := await ledger.head()):
            raise AfterTheHead(after=after, head=head)
        return await act.on(webhook_id, alone(Webhook, Webhook.change), data)


def _with_secret(answer: Response[Any], made: list[str]) -> Response[Any]:
    """Unless it is given again, or of a dry run."""
    if not isinstance(answer.content, Receipt):
        return answer
    again = "Idempotency-Replayed" in answer.headers
    whole = WebhookMade(**msgspec.structs.asdict(answer.content), secret=None if again else made[0])
    return Response(whole, headers=answer.headers)


def _sees_all(request: Request[Any, Any, Any]) -> bool:
    """Else the place where a webhook stands would say of which kinds an entry there is."""
    holder: Holder = request.scope["state"]["holder"]
    return holder.may(confidential.ALL)


HANDLERS = [Webhooks]
