"""Pipelines: how each was defined, version by version. One row a version.

The newest one is in the directory; here is what its stages were when something happened in them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.pipeline import PipelineDefined, Stage

from ._projection import Cursor, Projection, Row, Table


class VersionRow(Row, frozen=True, kw_only=True):
    pipeline: str
    version: int
    since: datetime
    by: str
    definition: str  # JSON


versions = Table("pipeline_version", VersionRow, key="pipeline, version", defines=True)
projection = Projection("pipelines", versions, version=3)


@versions.starts(PipelineDefined)
def defined(entry: Entry[PipelineDefined]) -> VersionRow:
    return VersionRow(
        pipeline=entry.event.slug,
        version=entry.originator_version,
        since=entry.timestamp,
        by=entry.by,
        definition=msgspec.json.encode(entry.event).decode(),
    )


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """To the version before.

    what         titled: the pipeline is called otherwise. Of a stage: added, renamed, weighed
                 (its probability of winning), retired, in_use (again). reordered: stages that
                 were there; their ids are in ``before`` and ``now``, with blanks between
    stage        its id; null: it is about the pipeline
    before, now  the title, the label or the probability; null: there was none
    """

    what: Literal["titled", "added", "renamed", "weighed", "retired", "in_use", "reordered"]
    stage: str | None = None
    before: str | int | None = None
    now: str | int | None = None


class VersionListed(msgspec.Struct, frozen=True, kw_only=True):
    """since, until  when it was in force; ``until`` null: it still is
    changes       to the version before; none of the first
    """

    version: int
    title: str
    since: datetime
    until: datetime | None
    by: str
    changes: list[Difference]


class VersionShown(VersionListed, frozen=True, kw_only=True):
    """``stages`` in the order in which they were shown."""

    slug: str
    subject: str
    stages: tuple[Stage, ...]


DEFINITION = msgspec.json.Decoder(PipelineDefined)
VERSIONS = """
SELECT * FROM (
  SELECT version, since, lead(since) OVER history, by, definition, lag(definition) OVER history
  FROM pipeline_version WHERE pipeline = %(pipeline)s WINDOW history AS (ORDER BY version)) v"""


async def listing(
    cur: Cursor, slug: str, *, before: int | None = None, limit: int = 50
) -> list[VersionListed]:
    """The newest first; page by passing the last one's version as ``before``."""
    await cur.execute(
        f"{VERSIONS} WHERE %(before)s::bigint IS NULL OR version < %(before)s"
        " ORDER BY version DESC LIMIT %(limit)s",
        {"pipeline": slug, "before": before, "limit": limit},
    )
    return [VersionListed(**_told(*row)[1]) for row in await cur.fetchall()]


async def one(cur: Cursor, slug: str, version: int) -> VersionShown | None:
    await cur.execute(
        f"{VERSIONS} WHERE version = %(version)s", {"pipeline": slug, "version": version}
    )
    row = await cur.fetchone()
    if row is None:
        return None
    fact, told = _told(*row)
    return VersionShown(slug=fact.slug, subject=fact.subject, stages=fact.stages, **told)


def _told(
    version: int,
    since: datetime,
    until: datetime | None,
    by: str,
    definition: str,
    before: str | None,
) -> tuple[PipelineDefined, dict[str, Any]]:
    fact = DEFINITION.decode(definition)
    changes = _changes(DEFINITION.decode(before), fact) if before else []
    told = {"version": version, "title": fact.title, "since": since, "until": until, "by": by}
    return fact, told | {"changes": changes}


def _changes(before: PipelineDefined, now: PipelineDefined) -> list[Difference]:
    """Stages in their order of now. None is ever removed."""
    found = []
    if before.title != now.title:
        found.append(Difference(what="titled", before=before.title, now=now.title))
    then = {stage.id: stage for stage in before.stages}
    for stage in now.stages:
        old = then.get(stage.id)
        if old is None:
            found.append(Difference(what="added", stage=stage.id, now=stage.label))
            continue
        if old.label != stage.label:
            labels = {"before": old.label, "now": stage.label}
            found.append(Difference(what="renamed", stage=stage.id, **labels))
        if old.probability_bp != stage.probability_bp:
            weights = {"before": old.probability_bp, "now": stage.probability_bp}
            found.append(Difference(what="weighed", stage=stage.id, **weights))
        if old.retired != stage.retired:
            what: Literal["retired", "in_use"] = "retired" if stage.retired else "in_use"
            found.append(Difference(what=what, stage=stage.id))
    kept = [stage.id for stage in now.stages if stage.id in then]
    if kept != list(then):
        orders = {"before": " ".join(then), "now": " ".join(kept)}
        found.append(Difference(what="reordered", **orders))
    return found
