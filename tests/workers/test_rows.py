"""Rows and their past, of a table made for it: whatever is told in whatever order, and wherever a
driver dies, they are what the folds say, and what they are when they are built anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger_crm.projections import AS_IT_WAS, AS_KNOWN, Projection, Row, Table, _projection
from ledger_crm.workers.projector import Driver, connect
from projections.driving import driven, dump, folded, of_list, stored

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


class MadeUp(Row, frozen=True, kw_only=True):
    id: int
    of: int
    position: int
    text: str = ""


class Fact:
    """All that a projection sees of an entry, and its fact."""

    position = 0

    def __init__(self, id: int, of: int, hour: int) -> None:
        self.event, self.id, self.of, self.hour = self, id, of, hour
        self.at = MIDNIGHT + timedelta(hours=hour)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id}, {self.of}, {self.hour})"


class Made(Fact): ...


class Told(Fact): ...


class ToldToAll(Told): ...  # of the first, and of all: two handlers


class Moved(Fact): ...


class Gone(Fact): ...


class AllGone(Fact): ...


class Forgotten(Fact): ...


class NeverBeen(Fact): ...  # fmt: skip


INDEXES = """
CREATE INDEX made_up_of ON made_up (of);
CREATE INDEX made_up_newest ON made_up (position DESC);"""
table: Any = Table("made_up", MadeUp, key="id", sql=INDEXES)
projection = Projection("made_up", table, version=1)


def begun(fact: Fact) -> MadeUp:
    return MadeUp(id=fact.id, of=fact.of, position=fact.position)


def told(row: MadeUp, fact: Fact) -> MadeUp:
    return replace(row, text=f"{row.text} {fact.position}")


def id_of(fact: Fact) -> int:
    return fact.id


def group(fact: Fact) -> int:
    return fact.of


table.starts(Made)(begun)
table.on(Told, key=id_of, start=begun)(told)
table.each(ToldToAll, of=group)(told)
table.on(Moved, key=id_of, start=begun)(lambda row, fact: replace(row, of=fact.of))
table.on(Gone, key=id_of, start=begun)(lambda row, fact: None)
table.each(AllGone, of=group)(lambda row, fact: None)
table.each(Forgotten, of=group, forgets=True)(lambda row, fact: replace(row, text="-"))
table.each(NeverBeen, of=group, forgets=True)(lambda row, fact: None)

KINDS = [Made, Told, ToldToAll, Moved, Gone, AllGone, Forgotten, NeverBeen]
facts = st.lists(
    st.builds(
        lambda kind, *told: kind(*told),
        st.sampled_from(KINDS), st.integers(0, 2), st.integers(0, 1), st.integers(0, 9),
    ),
    min_size=2,
    max_size=25,
)  # fmt: skip
DIED = [Made(0, 0, 1), Gone(0, 0, 5), Gone(0, 0, 3), Made(0, 0, 4), Told(0, 0, 6)]
FORGOTTEN_ELSEWHERE = [Made(0, 0, 1), Moved(0, 1, 2), Forgotten(0, 0, 3), Told(0, 1, 4)]
FORGOTTEN_AND_GONE = [Made(0, 0, 1), Gone(0, 0, 5), Forgotten(0, 0, 6), Made(0, 0, 3)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=facts, ends=st.sets(st.integers(1, 24)), batch=st.sampled_from([1, 3, 100]))
@example(DIED, {1, 2, 3, 4}, 100)
@example(FORGOTTEN_ELSEWHERE, set(), 100)
@example(FORGOTTEN_AND_GONE, {2}, 100)
def test_what_was_is_what_the_folds_say_wherever_a_driver_dies(
    database: str, facts: Sequence[Any], ends: set[int], batch: int
) -> None:
    """``ends``: after how many facts a driver dies, and another begins. Few rows of the
    past are left, or many: each is seen once."""
    for position, fact in enumerate(facts, start=1):
        fact.position = position
    forgets = {f.position for f in facts if isinstance(f, Forgotten | NeverBeen)}

    def so_it_is(home: str, as_of: object, those: set[int]) -> None:
        conn.execute("SELECT set_config('ledger.as_of', %s, false)", (str(as_of),))
        expected = folded(projection, [f for f in facts if f.position in those | forgets])
        found = stored(conn, table, home)
        assert found == expected["made_up"], as_of
        assert conn.execute(f"SELECT count(*) FROM {home}.made_up").fetchone() == (len(found),)

    with pytest.MonkeyPatch.context() as few, connect(database) as conn:
        few.setattr(_projection, "FEW", 3)
        Driver(projection, of_list([]), conn).rebuild()  # what another example left
        for end in (*sorted(ends), len(facts)):
            Driver(projection, of_list(facts[:end]), conn).catch_up(batch=batch)
        for position in range(len(facts) + 1):
            so_it_is(AS_KNOWN, position, set(range(position + 1)))
        for at in {fact.at for fact in facts}:
            so_it_is(AS_IT_WAS, at, {f.position for f in facts if f.at <= at})
        left = dump(conn, [projection])
        Driver(projection, of_list([]), conn).rebuild()
        assert driven(database, [projection], of_list(facts), batch=100) == left
