"""Webhooks: who is sent what is written, whether still, and how that goes. One row a webhook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain import clock
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.webhook import (
    WebhookAdded,
    WebhookDisabled,
    WebhookEnabled,
    WebhookRedriven,
    WebhookRemoved,
    WebhookSecretRenewed,
)

from ._projection import Cursor, Projection, Row, Table, stream


class WebhookRow(Row, frozen=True, kw_only=True):
    """One that was removed stays, for its deliveries are still read.

    kinds  with commas between; none: all
    since  version of the webhook when it was last told where, or to go on
    after  where it begins, if that was said at ``begun``
    keyed  version of the webhook when it got its secret
    """

    webhook_id: UUID
    position: int
    version: int
    host: str
    kinds: str
    after: int
    begun: int
    since: int
    added_at: datetime
    by: str
    ordered: bool
    label: str
    keyed: int
    secret_at: datetime
    old_secret_until_at: datetime | None = None
    disabled_at: datetime | None = None
    reason: str = ""
    removed_at: datetime | None = None


webhooks = Table("webhook", WebhookRow, key="webhook_id", keeps_past=False)
projection = Projection("webhooks", webhooks, version=3)


@webhooks.starts(WebhookAdded)
def added(entry: Entry[WebhookAdded]) -> WebhookRow:
    fact, version = entry.event, entry.originator_version
    return WebhookRow(
        webhook_id=entry.originator_id,
        position=entry.position,
        version=version,
        host=fact.host,
        kinds=",".join(fact.kinds),
        after=fact.after,
        begun=version,
        since=version,
        added_at=entry.at,
        by=entry.by,
        ordered=fact.ordered,
        label=fact.label,
        keyed=version,
        secret_at=entry.at,
    )


@webhooks.on(WebhookSecretRenewed, key=stream)
def secret_renewed(row: WebhookRow, entry: Entry[WebhookSecretRenewed]) -> WebhookRow:
    version, until_at = entry.originator_version, entry.event.old_until_at
    return replace(
        row, version=version, keyed=version, secret_at=entry.at, old_secret_until_at=until_at
    )


@webhooks.on(WebhookDisabled, key=stream)
def disabled(row: WebhookRow, entry: Entry[WebhookDisabled]) -> WebhookRow:
    version = entry.originator_version
    return replace(row, version=version, disabled_at=entry.at, reason=entry.event.reason)


@webhooks.on(WebhookEnabled, key=stream)
def enabled(row: WebhookRow, entry: Entry[WebhookEnabled]) -> WebhookRow:
    version = entry.originator_version
    return replace(row, version=version, since=version, disabled_at=None, reason="")


@webhooks.on(WebhookRedriven, key=stream)
def redriven(row: WebhookRow, entry: Entry[WebhookRedriven]) -> WebhookRow:
    version = entry.originator_version
    return replace(row, version=version, since=version, begun=version, after=entry.event.after)


@webhooks.on(WebhookRemoved, key=stream)
def removed(row: WebhookRow, entry: Entry[WebhookRemoved]) -> WebhookRow:
    return replace(row, version=entry.originator_version, removed_at=entry.at)


class WebhookShown(msgspec.Struct, frozen=True):
    """host         of the address, which is not shown
    kinds        none: all
    disabled_at  null: it is sent what is written
    reason       why it is disabled: `failing` for days, `gone` (it answered 410), `not_allowed`
                 (its address is none that we send to), or a code of yours
    position     everything up to there was delivered, or is not wanted; null: nobody looked yet,
                 or you do not see every confidential job order, and it would tell of those
    failures     of the message that is next, which is tried again at `next_at`; unless it is
                 ordered, of the oldest of those that wait
    ordered      one message after the other; else those that fail are tried again beside the others
    waiting      messages that failed and are tried again, while others go on; 0 if it is ordered
    label        for whom it is, as it was added
    after        where it began, or was redriven from last: what was written after this position
    secret_at    when it got the secret that it has
    old_secret_until_at  until then messages are signed with the secrets of before, too; null: it
                 has its first
    """

    id: UUID
    version: int
    host: str
    kinds: list[str]
    added_at: datetime
    by: str
    disabled_at: datetime | None
    reason: str
    position: int | None
    failures: int
    next_at: datetime | None
    ordered: bool
    waiting: int
    label: str
    after: int
    secret_at: datetime
    old_secret_until_at: datetime | None


WAITING = "(SELECT count(*) FROM ledger.webhook_waiting w WHERE w.webhook_id = webhook.webhook_id)"


Fault = Literal["timeout", "unreachable", "not_allowed", "status"]


class Delivery(msgspec.Struct, frozen=True):
    """position  of the entry
    attempt   1 for the first
    status    of HTTP; null: there was no answer
    fault     a code: `timeout`, `unreachable`, `not_allowed`, `status`; "": it was taken
    """

    id: int
    position: int
    attempt: int
    at: datetime
    status: int | None
    fault: str
    duration_ms: int


SHOWN = f"""
SELECT webhook_id, version, host, string_to_array(kinds, ','), added_at, by, disabled_at, reason,
    CASE WHEN %(positions)s THEN standing.position END,
    coalesce(oldest.failures, standing.failures, 0), coalesce(oldest.next_at, standing.next_at),
    ordered, {WAITING}, label, after, secret_at, old_secret_until_at
FROM webhook LEFT JOIN ledger.webhook_standing standing USING (webhook_id)
LEFT JOIN LATERAL (
    SELECT w.failures, w.next_at FROM ledger.webhook_waiting w
    WHERE w.webhook_id = webhook.webhook_id ORDER BY w.position LIMIT 1
) oldest ON true
WHERE removed_at IS NULL"""


async def listing(cur: Cursor, *, positions: bool) -> list[WebhookShown]:
    """The newest first. ``positions``: they may be told."""
    asked = {"positions": positions}
    await cur.execute(f"{SHOWN} ORDER BY webhook.position DESC", asked)
    return [WebhookShown(*row) for row in await cur.fetchall()]


async def one(cur: Cursor, id: UUID, *, positions: bool) -> WebhookShown | None:
    """As ``listing``. None: there is none, or it was removed."""
    asked = {"positions": positions, "id": id}
    await cur.execute(f"{SHOWN} AND webhook_id = %(id)s", asked)
    row = await cur.fetchone()
    return row and WebhookShown(*row)


async def known(cur: Cursor, id: UUID) -> bool | None:
    """Whether there is one, or was; else None."""
    await cur.execute("SELECT true FROM webhook WHERE webhook_id = %s", (id,))
    row = await cur.fetchone()
    return row and bool(row[0])


async def deliveries(
    cur: Cursor,
    id: UUID,
    *,
    taken: bool | None = None,
    fault: Fault | None = None,
    status: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None,
    limit: int,
) -> list[Delivery]:
    """The newest first. ``taken``: only those that were, or only the others."""
    await cur.execute(
        "SELECT id, position, attempt, at, status, fault, duration_ms"
        " FROM ledger.webhook_deliveries"
        " WHERE webhook_id = %(id)s AND id < coalesce(%(before)s, 9223372036854775807)"
        " AND (%(taken)s::boolean IS NULL OR (fault = '') = %(taken)s)"
        " AND (%(fault)s::text IS NULL OR fault = %(fault)s)"
        " AND (%(status)s::int IS NULL OR status = %(status)s)"
        " AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)"
        " AND (%(until)s::timestamptz IS NULL OR at < %(until)s)"
        " ORDER BY id DESC LIMIT %(limit)s",
        {"id": id, "taken": taken, "fault": fault, "status": status}
        | {"since": since, "until": until, "before": before, "limit": limit},
    )
    return [Delivery(*row) for row in await cur.fetchall()]


class Backlog(NamedTuple):
    """entries     that it has not passed, or that wait
    lag_s      how long ago the oldest of them was written
    untried_s  how long something has been due without an attempt: nobody sends, or the sender does
               not go on. Until it has passed what it does not want also how old that is
    failures   of the message that is next, or the oldest of those that wait
    """

    id: str
    entries: int
    lag_s: float
    untried_s: float
    failures: int
    disabled: bool


BACKLOGS = """
SELECT webhook_id::text, passed, coalesce(oldest.position, passed + 1), waiting.count,
    CASE WHEN standing.next_at IS NULL AND passed < %(head)s THEN passed + 1 END,
    least(waiting.next_at, standing.next_at), greatest(added_at, tried.at),
    coalesce(oldest.failures, standing.failures, 0), disabled_at IS NOT NULL
FROM webhook LEFT JOIN ledger.webhook_standing standing USING (webhook_id)
CROSS JOIN LATERAL (SELECT coalesce(standing.position, after)) stands (passed)
CROSS JOIN LATERAL (
    SELECT count(*), min(next_at) FROM ledger.webhook_waiting w
    WHERE w.webhook_id = webhook.webhook_id
) waiting (count, next_at)
LEFT JOIN LATERAL (
    SELECT w.position, w.failures FROM ledger.webhook_waiting w
    WHERE w.webhook_id = webhook.webhook_id ORDER BY w.position LIMIT 1
) oldest ON true
LEFT JOIN LATERAL (
    SELECT d.at FROM ledger.webhook_deliveries d
    WHERE d.webhook_id = webhook.webhook_id ORDER BY d.id DESC LIMIT 1
) tried ON true
WHERE removed_at IS NULL ORDER BY 1"""

Written = Callable[[Cursor, Iterable[int]], Awaitable[dict[int, datetime]]]
"""When the entries at these positions were written."""


async def backlogs(cur: Cursor, head: int, written: Written) -> list[Backlog]:
    """Of each that was not removed. Nothing while the read model is built."""
    await cur.execute("SELECT to_regclass('webhook')")
    if await cur.fetchone() == (None,):
        return []
    await cur.execute(BACKLOGS, {"head": head})
    rows = await cur.fetchall()
    asked = {at for _, _, oldest, _, due, *_ in rows for at in (oldest, due) if at}
    at, now = await written(cur, asked), clock.now()

    def since(moment: datetime | None) -> float:
        return round(max((now - moment).total_seconds(), 0.0), 3) if moment else 0.0

    found = []
    for id, passed, oldest, waiting, next, next_at, tried_at, failures, disabled in rows:
        due_at = min((each for each in (at.get(next), next_at) if each), default=None)
        untried_s = since(due_at and max(due_at, tried_at)) if not disabled else 0.0
        behind = max(head - passed, 0) + waiting
        found.append(Backlog(id, behind, since(at.get(oldest)), untried_s, failures, disabled))
    return found


async def attempts(cur: Cursor) -> list[tuple[str, str, int]]:
    """Of each that was not removed, how often it was sent something, by how that went."""
    await cur.execute("SELECT to_regclass('webhook')")
    if await cur.fetchone() == (None,):
        return []
    await cur.execute(
        "SELECT webhook_id::text, coalesce(outcome, 'taken'), coalesce(count, 0)"
        " FROM webhook LEFT JOIN ledger.webhook_attempts USING (webhook_id)"
        " WHERE removed_at IS NULL ORDER BY 1, 2"
    )
    return await cur.fetchall()


def number(delivery: Delivery) -> Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]:
    """Its place among the deliveries."""
    return delivery.id
