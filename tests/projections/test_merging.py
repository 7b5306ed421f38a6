"""Merged and un-merged, every read model is as it was, whatever was known of the two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import absorbed
from ledger_crm.commands import merging
from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Intent, Ledger
from ledger_crm.projections import every
from ledger_crm.workers.projector import connect
from projections.driving import Dump, driven, drivers_of, dump, reading
from projections.stories import PEOPLE, Command, a_full_story, stories, tell
from scenario import ANA, KEYRING, NOON

ALL = every()
TOLD = (b"person.absorbed", b"person.merged", b"person.unmerged")
chains = st.permutations(PEOPLE).map(lambda order: [*zip(order[1:], order, strict=False)])


def but_for_the_merge(dump: Dump) -> dict[str, object]:
    """Without what says that they were merged, and without versions, which only ever grow."""
    kept: dict[str, object] = dict(dump)
    del kept["alike_apart"]  # that they are two, is known since
    kept["history"] = [
        line for line in dump["history"].splitlines() if not any(word in line for word in TOLD)
    ]
    kept["person"] = [
        line.split(b"\t")[:2] + line.split(b"\t")[3:] for line in dump["person"].splitlines()
    ]
    return kept


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=stories, merges=chains)
def test_un_merged_every_read_model_is_as_it_was(
    databases: Callable[..., str], before: list[Command], merges: list[tuple[object, object]]
) -> None:
    """Through chains, too: what was merged last is un-merged first."""
    url = databases()
    with (
        Ledger(url, KEYRING) as ledger,
        connect(url) as conn,
        drivers_of(ALL, reading(ledger), conn) as drivers,
    ):

        def now() -> Dump:
            for driver in drivers:
                driver.catch_up()
            return dump(conn, ALL, past=False)

        async def live() -> None:
            await tell(ledger, before, begin=a_full_story)
            levels = [now()]
            done: list[Command] = []
            for survivor, other in merges:
                fact = absorbed(duplicate_id=other, absorbed_at=NOON)
                receipt = None
                with suppress(Refusal):
                    receipt = await ledger.decide(
                        lambda w, s=survivor, f=fact: merging.merge(w, s, f),  # type: ignore[misc]
                        intent=Intent(by=ANA),
                    )
                if receipt and receipt.position:
                    done.append(
                        lambda w, s=survivor, o=other: merging.unmerge(w, s, o, at=NOON)  # type: ignore[misc]
                    )
                    levels.append(now())
            assert len({str(but_for_the_merge(level)["directory_merge"]) for level in levels}) == (
                len(levels)
            )
            for undo in reversed(done):
                levels.pop()
                await ledger.decide(undo, intent=Intent(by=ANA))
                assert but_for_the_merge(now()) == but_for_the_merge(levels[-1])

        asyncio.run(live())
        assert driven(databases(), ALL, reading(ledger), batch=500, past=False) == now()
