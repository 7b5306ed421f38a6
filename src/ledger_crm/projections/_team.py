"""A team as a filter of lists and reports. Who of us is in which team, and when, is in the
directory."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

import msgspec

from ledger_crm.domain.consultant import Presence
from ledger_crm.domain.team import team_id

from ._projection import Cursor


class Team(msgspec.Struct, frozen=True):
    """on  the day on which somebody has to be in it"""

    slug: str
    on: date


async def whose(cur: Cursor, owner: str | None, team: Team | None) -> list[str] | None:
    """Of whom of us it has to be, where one of us is asked for, or a team, or both; None: of
    anybody. Joins the directory."""
    if team is None:
        return None if owner is None else [owner]
    await cur.execute(
        "SELECT consultant FROM (SELECT DISTINCT ON (consultant) consultant, is_in"
        "   FROM directory_member WHERE team_id = %s AND from_on <= %s"
        "   ORDER BY consultant, from_on DESC) m WHERE is_in",
        (team_id(team.slug), team.on),
    )
    return [each for (each,) in await cur.fetchall() if owner in (None, each)]


async def presence(cur: Cursor, slug: str) -> dict[str, Presence]:
    """When each was in the team, of who ever was. Joins the directory."""
    await cur.execute(
        "SELECT consultant, from_on, is_in FROM directory_member WHERE team_id = %s",
        (team_id(slug),),
    )
    found: defaultdict[str, Presence] = defaultdict(Presence)
    for consultant, from_on, is_in in await cur.fetchall():
        found[consultant].turns[from_on] = is_in
    return found


def was_in(who: str, day: str) -> str:
    """A condition: that one was in the team with the id ``%(team)s`` on that day. Without a team
    everybody was. Joins the directory."""
    return (
        "(%(team)s::uuid IS NULL OR (SELECT m.is_in FROM directory_member m"
        f" WHERE m.team_id = %(team)s AND m.consultant = {who} AND m.from_on <= {day}"
        " ORDER BY m.from_on DESC LIMIT 1))"
    )
