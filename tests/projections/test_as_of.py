"""Every read model as it was known at any position: what a ledger that ends there would show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_crm.ledger import Ledger
from ledger_crm.projections import AS_OF, every
from ledger_crm.workers.projector import Connection, connect
from projections.driving import Dump, driven, of_list, reading
from projections.stories import Command, a_full_story, stories, tell
from scenario import KEYRING

ALL = every()


def shown_at(conn: Connection, position: int) -> Dump:
    """Every table, as ``dump`` shows it, through the views of the past."""
    conn.execute("SELECT set_config('ledger.as_of', %s, false)", (str(position),))
    found = {}
    for table in (table for projection in ALL for table in projection.tables if table.keeps_past):
        names, key = ", ".join(table.columns), ", ".join(table.key)
        query = f"COPY (SELECT {names} FROM {AS_OF}.{table.name} ORDER BY {key}) TO STDOUT"
        with conn.cursor() as cur, cur.copy(query.encode()) as copy:
            found[table.name] = b"".join(map(bytes, copy))
    return found


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories, part=st.integers(0, 100), batch=st.sampled_from([1, 7, 500]))
def test_what_was_known_is_what_a_ledger_that_ends_there_shows(
    databases: Callable[..., str], story: list[Command], part: int, batch: int
) -> None:
    url = databases()
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(tell(ledger, story, begin=a_full_story))
        entries = reading(ledger)(0, 10_000)
    ends = len(entries) * part // 100
    all_of_it, cut_off = databases(), databases()
    driven(all_of_it, ALL, of_list(entries), batch=batch)
    expected = driven(cut_off, ALL, of_list(entries[:ends]), batch=500, past=False)
    with connect(all_of_it) as conn:
        shown = shown_at(conn, ends)
    assert [name for name in shown if shown[name] != expected[name]] == []
