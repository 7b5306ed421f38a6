"""/metrics: how much is asked and how long it takes, and who lags, for Prometheus.

Routes are templates, webhooks are ids, projections are names: nothing here says anything of a
person. What this process did is counted as it happens; who lags is asked when somebody looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from time import monotonic
from typing import Any, TypeVar

from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily

from ledger_crm import tracing
from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Unavailable
from ledger_crm.projections import (
    OUT_OF_REACH,
    Standing,
    age_of,
    every,
    standings,
    webhooks,
    written_each,
)
from ledger_crm.projections.webhooks import Backlog

from .snapshots import Pool, answered

T = TypeVar("T")
PLAIN = "text/plain"
ANSWER_S = 5.0
FEED_S = 1.0
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MOST = 5_000  # series of requests: routes are ours, methods are whatever clients make up
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"))

registry = CollectorRegistry()
requests = Histogram(
    "ledger_crm_request_seconds",
    "Requests by method, route and status.",
    ("method", "route", "status"),
    buckets=BUCKETS,
    registry=registry,
)
commands = Histogram(
    "ledger_crm_command_seconds",
    "Commands from the decision to the commit, by outcome.",
    ("outcome",),
    buckets=BUCKETS,
    registry=registry,
)
lost = Counter("ledger_crm_broken", "Requests that broke: our fault.", registry=registry)
_series: dict[tuple[str, str, int], Any] = {}
_outcomes = {each: commands.labels(each) for each in ("written", "replayed", "refused", "failed")}


def requested(method: str, route: str, status: int, took_s: float) -> None:
    """Called for each request, so looked up once."""
    key = (method if method in METHODS else "other", route, status)
    if (one := _series.get(key)) is None:
        if len(_series) >= MOST:
            return
        one = _series[key] = requests.labels(key[0], route, str(status))
    one.observe(took_s)
    if status == 500:
        lost.inc()


async def decided(deciding: Awaitable[tuple[T, bool]], operation: str) -> tuple[T, bool]:
    """What a command gives, timed."""
    begun_s, outcome = monotonic(), "failed"
    with tracing.span("command", expected=Refusal, operation=operation) as span:
        try:
            receipt, again = await deciding
            outcome = "replayed" if again else "written"
        except Refusal as refusal:
            outcome = "refused"
            span.tell(refusal=refusal.code)
            raise
        finally:
            _outcomes[outcome].observe(monotonic() - begun_s)
            span.tell(outcome=outcome)
    return receipt, again


@get("/metrics", tags=["metrics"], opt={"media_types": [PLAIN]})
async def read_metrics(
    pool: NamedDependency[Pool], feed_position: NamedDependency[Callable[[], Awaitable[int]]]
) -> Response[bytes]:
    """Metrics for Prometheus

    In its text format: requests by route and status, commands, and how far each read model, the
    feed and each webhook lag behind the ledger. Of this process, but what lags is everybody's."""
    now = CollectorRegistry()
    up = Gauge("ledger_crm_database_up", "1: the database answers.", registry=now)
    head, feed = 0, await _feed(feed_position)
    try:
        head, found, behind, sent, feed_lag_s = await answered(_standing(pool, feed), ANSWER_S)
    except (*OUT_OF_REACH, Unavailable):
        up.set(0)
    else:
        up.set(1)
        for gauge, labels, value in _gauges(now, head, found, behind, feed, feed_lag_s):
            (gauge.labels(*labels) if labels else gauge).set(value)
        now.register(Attempts(sent))
    body = generate_latest(registry) + generate_latest(now)
    headers = {"Ledger-Position": str(head)}
    return Response(body, media_type=f"{PLAIN}; version=0.0.4", headers=headers)


async def _standing(
    pool: Pool, feed: int | None
) -> tuple[int, list[Standing], list[Backlog], list[tuple[str, str, int]], float]:
    async with pool.connection() as conn, conn.cursor() as cur:
        head, found = await standings(cur, every())
        behind = await webhooks.backlogs(cur, head, written_each)
        sent = await webhooks.attempts(cur)
        return head, found, behind, sent, 0.0 if feed is None else await age_of(cur, feed + 1)


async def _feed(position: Callable[[], Awaitable[int]]) -> int | None:
    try:
        async with asyncio.timeout(FEED_S):
            return await position()
    except Exception:  # the broker may be away in many ways
        return None


def _gauges(
    now: CollectorRegistry,
    head: int,
    found: list[Standing],
    behind: list[Backlog],
    feed: int | None,
    feed_lag_s: float,
) -> Iterator[tuple[Gauge, tuple[str, ...], float]]:
    def gauge(name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"ledger_crm_{name}", about, labels, registry=now)

    yield gauge("head", "Position of the newest entry."), (), head
    events = gauge("projection_lag_events", "Entries that a read model has not seen.", "projection")
    seconds = gauge("projection_lag_seconds", "How long a read model lags.", "projection")
    halted = gauge("projection_halted", "1: a read model has halted.", "projection")
    for each in found:
        yield events, (each.name,), max(head - each.position, 0)
        yield seconds, (each.name,), each.lag_s
        yield halted, (each.name,), float(bool(each.fault))
    yield gauge("feed_up", "1: the broker answers."), (), float(feed is not None)
    if feed is not None:
        yield gauge("feed_lag_events", "Entries not on the feed."), (), max(head - feed, 0)
        yield gauge("feed_lag_seconds", "How long the feed lags."), (), feed_lag_s
    backlog = gauge("webhook_backlog_events", "Entries that a webhook has not passed.", "webhook")
    lag = gauge("webhook_lag_seconds", "How long a webhook lags.", "webhook")
    untried = gauge(
        "webhook_untried_seconds", "How long something is due, without an attempt.", "webhook"
    )
    failures = gauge("webhook_failures", "Attempts at the message that is next.", "webhook")
    disabled = gauge("webhook_disabled", "1: a webhook is disabled.", "webhook")
    for hook in behind:
        yield backlog, (hook.id,), hook.entries
        yield lag, (hook.id,), hook.lag_s
        yield untried, (hook.id,), hook.untried_s
        yield failures, (hook.id,), hook.failures
        yield disabled, (hook.id,), float(hook.disabled)


class Attempts:
    """Counted by who sends, in the database, where it goes on when they begin anew."""

    def __init__(self, sent: list[tuple[str, str, int]]) -> None:
        self._sent = sent

    def collect(self) -> Iterator[CounterMetricFamily]:
        found = CounterMetricFamily(
            "ledger_crm_webhook_attempts",
            "Attempts to send something, by outcome: taken, or what went wrong.",
            labels=("webhook", "outcome"),
        )
        for webhook, outcome, count in self._sent:
            found.add_metric((webhook, outcome), count)
        yield found


HANDLERS = [read_metrics]
