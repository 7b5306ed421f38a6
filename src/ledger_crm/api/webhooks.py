"""/webhooks: who is sent what is written, and how that goes."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.domain import EVENTS
from ledger_crm.domain.entry import Sealed
from ledger_crm.domain.refusals import Invalid
from ledger_crm.domain.webhook import KindName, Webhook, WebhookChanges, must_be_public
from ledger_crm.ledger import Ledger, Receipt, Work
from ledger_crm.projections import webhooks

from .acting import Act, alone
from .asking import Since, Until, moment_of
from .caller import Callers
from .problems import AfterTheHead
from .reading import NOTHING, Limit, Page, Position, Token, View

Taken = Annotated[
    bool | None, QueryParameter(description="Only attempts that were taken, or that were not.")
]
Status = Annotated[
    int | None,
    QueryParameter(ge=100, le=599, description="Only those answered with this status of HTTP."),
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


class WebhookMade(Receipt, frozen=True):
    """secret  what its messages are signed with, as whsec_ and base64; shown this once"""

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
        at once."""
        if callers.terms.webhook_targets == "public":
            must_be_public(data.url)
        for each in data.kinds:
            if not any(k == each or (each.endswith(".") and k.startswith(each)) for k in EVENTS):
                raise NoSuchKind(kind=each)
        head = await ledger.head()
        if (data.after or 0) > head:
            raise AfterTheHead(after=data.after, head=head)
        after = head if data.after is None else data.after
        made: list[Webhook] = []

        async def adding(work: Work) -> Webhook:
            webhook = Webhook.add(
                url=data.url,
                kinds=data.kinds,
                after=after,
                label=data.label,
                ordered=data.ordered,
                by=work.by,
            )
            made[:] = [work.add(webhook)]
            return webhook

        answer = await begin.new(adding)
        if not isinstance(answer.content, Receipt):
            return answer  # of a dry run
        again = "Idempotency-Replayed" in answer.headers
        whole = WebhookMade(
            **msgspec.structs.asdict(answer.content), secret=None if again else made[0].secret
        )
        return Response(whole, headers=answer.headers)

    @get(now_alone=True)
    async def list_webhooks(
        self, view: NamedDependency[View]
    ) -> Response[list[webhooks.WebhookShown]]:
        """List the webhooks

        The newest 200, with how far each has got, and why it is disabled if it is."""
        return await view.answer(webhooks.listing, NOTHING)

    @get("/{webhook_id:uuid}", now_alone=True)
    async def read_webhook(
        self, view: NamedDependency[View], webhook_id: FromPath[UUID]
    ) -> Response[webhooks.WebhookShown]:
        """Read a webhook"""
        return await view.one(webhooks.one, webhook_id)

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

        Each attempt, the newest first, for 30 days. `since` and `until` are by when it was."""
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
            there=(webhooks.one, str(webhook_id)),
        )

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


HANDLERS = [Webhooks]
