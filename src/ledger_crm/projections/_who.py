"""Who is who: rows lie under the id that they were written on, and are asked for and shown as one.

The id of a person or a company in a row is shown by way of the view ``who``, which knows each by
the name and the id (``is_id``) that they are known as. Both it and what is here join the directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from ._projection import Cursor


class Absorbed(msgspec.Struct, frozen=True):
    """id  of a record that is merged into this one; it leads here"""

    id: UUID
    since: datetime


WHO = """
CREATE VIEW who AS
SELECT d.id, d.kind, coalesce(s.name, d.name) AS name, d.pipeline,
       coalesce(m.survivor_id, d.id) AS is_id
FROM directory d
LEFT JOIN directory_merge m ON m.id = d.id
LEFT JOIN directory s ON s.id = m.survivor_id;"""


def survivor(id: str) -> str:
    """The id that they are known as. ``id``: SQL of one of theirs."""
    return (
        f"coalesce((SELECT same.survivor_id FROM directory_merge same WHERE same.id = {id}), {id})"
    )


def is_merged(id: str) -> str:
    """Whether there is another id of whom this is one of."""
    return f"EXISTS (SELECT FROM directory_merge same WHERE {id} IN (same.id, same.survivor_id))"


def everyone(id: str) -> str:
    """All ids of whom this is one of."""
    return f"""ARRAY(SELECT {survivor(id)} UNION ALL
      SELECT same.id FROM directory_merge same WHERE same.survivor_id = {survivor(id)})"""


def absorbed(id: str) -> str:
    """All ids of whom they have absorbed. ``id``: SQL of the one that they are known as."""
    return f"ARRAY(SELECT m.id FROM directory_merge m WHERE m.survivor_id = {id})"


TAGS = "unnest(array_remove(string_to_array({}.tags, E'\\n'), ''))"
OWN_TAGS = f"ARRAY(SELECT DISTINCT {TAGS.format('p')} ORDER BY 1)"
"""Of a row ``p``, in order."""


async def with_all_tags(cur: Cursor, table: str, *, at: int) -> list[tuple[Any, ...]]:
    """The rows of the list that was asked for, which have an id in front, their own tags ``at``
    there, and at the end the others that they have absorbed: with the tags of all, and without the
    others. Mostly there are none, and to plan how theirs are found took as long as the list."""
    rows = await cur.fetchall()
    asked = [(row[0], each) for row in rows if row[-1] for each in (row[0], *row[-1])]
    tags: dict[UUID, list[str]] = {}
    if asked:
        ids, members = zip(*asked, strict=True)
        await cur.execute(
            "SELECT a.id, array_agg(DISTINCT tag ORDER BY tag)"
            " FROM unnest(%s::uuid[], %s::uuid[]) AS a (id, member)"
            f" CROSS JOIN LATERAL (SELECT {TAGS.format('o')} AS tag FROM {table} o"
            f" WHERE o.{table}_id = a.member OFFSET 0) theirs GROUP BY 1".encode(),
            (list(ids), list(members)),
        )
        tags = dict(await cur.fetchall())
    return [(*row[:at], tags.get(row[0], row[at]), *row[at + 1 : -1]) for row in rows]


def reached_out(record: str, table: str) -> str:
    """Who of us it was last, to anybody whom this is one of; to none of them: the owner of this
    row. ``record``: an alias of a row of the table."""
    return f"""CASE WHEN {record}.person_id IN (
        SELECT unnest(ARRAY[id, survivor_id]) FROM directory_merge)
      THEN (SELECT o.owner FROM {table} o
        WHERE o.person_id = ANY({everyone(f"{record}.person_id")})
        ORDER BY o.reached_at DESC NULLS LAST, o.person_id <> {record}.person_id LIMIT 1)
      ELSE {record}.owner END"""


def said_since(record: str, said: str, table: str, id: str) -> str:
    """Whether something later was said on one that this record went on as, since it did: that
    counts for both. Through however many, each since its own moment.

    record     an alias of the row
    said       the column of when the last word was said
    table, id  of these rows, and their key
    """
    return f"""EXISTS (SELECT FROM directory_merge m,
      unnest(string_to_array(m.chain, E'\\n')) link (at)
      JOIN {table} later ON later.{id} = split_part(link.at, ' ', 1)::uuid
      WHERE m.id = {record}.{id} AND later.{said} >=
        greatest(split_part(link.at, ' ', 2)::timestamptz, {record}.{said}))"""


def of_any(clause: str, table: str = "person", id: str = "") -> str:
    """A condition on a row ``p`` of a person, or of another table of records, also if it holds of
    one that they have absorbed. In this form an index for the condition serves for all. ``id``:
    the table's key, if it is not called as the table is."""
    id = id or f"{table}_id"
    return f"({clause} OR p.{id} = ANY({_absorbing(clause, table, id)}))"


def of_all(clause: str, table: str = "person", id: str = "", *, unless: str = "false") -> str:
    """... and of all that they have absorbed; it is not asked of one for which ``unless`` holds, a
    condition on that one, ``o``."""
    id = id or f"{table}_id"
    return f"({clause} AND p.{id} <> ALL({_absorbing(clause, table, id, 'NOT', unless)}))"


def _absorbing(clause: str, table: str, id: str, sign: str = "", unless: str = "false") -> str:
    theirs = clause.replace("p.", "o.")
    return f"""ARRAY(SELECT m.survivor_id FROM directory_merge m
      JOIN {table} o ON o.{id} = m.id JOIN {table} p ON p.{id} = m.survivor_id
      WHERE {sign} ({theirs}) AND NOT {unless})"""


async def known_as(cur: Cursor, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """All ids of whoever has one of these, and for each the one that they are known as."""
    await cur.execute(
        f"SELECT DISTINCT o, {survivor('o')} FROM unnest(%s::uuid[]) asked (id),"
        f" unnest({everyone('asked.id')}) o",
        (list(ids),),
    )
    return dict(await cur.fetchall())
