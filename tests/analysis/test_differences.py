"""What is different in a read model between two positions is all that is."""

from __future__ import annotations

import asyncio
import json
import random
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from analysis.test_replay import three_people
from conftest import Run
from ledger_crm.domain import clock
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from projections.test_queries import project
from scenario import KEYRING, NOON

pytestmark = pytest.mark.xdist_group("analysis")

TABLES = ("candidacy", "deal", "history", "engagement", "account")


def known_at(url: str, name: str, key: str, position: int) -> dict[str, str]:
    """Rows by key, as JSON."""
    with psycopg.connect(
        url, options=f"-c search_path=as_known,read -c ledger.as_of={position} -c timezone=UTC"
    ) as conn:
        asked = f"SELECT jsonb_build_array({key})::text, to_jsonb(t) FROM {name} t"
        return dict(conn.execute(asked.encode()).fetchall())


def test_what_is_different_turns_the_one_into_the_other(told: Run, database: str) -> None:
    keys = {t.name: ", ".join(t.key) for p in every() for t in p.tables if t.keeps_past}
    names = [name for name in TABLES if name in keys]
    assert len(names) > 3
    with psycopg.connect(database) as conn:
        [head] = conn.execute("SELECT position FROM ledger.head").fetchone() or [0]
    first, last = sorted(random.Random(7).sample(range(head), 2))
    kinds = set()
    for name in names:
        was = known_at(database, name, keys[name], first)
        expected = known_at(database, name, keys[name], last)
        code, out, err = told(
            "changes", name, "--from", str(first), "--to", str(last), "--format", "json"
        )
        assert code == 0, err
        lines = json.loads(out)
        for line in lines:
            kinds.add(line["change"])
            key = json.dumps([line[part] for part in keys[name].split(", ")])
            if line["change"] == "went":
                del was[key]
            else:
                was[key] = {**was.get(key, {}), **line["is"]}
        stamps = ("known_from", "held_from")
        for rows in (was, expected):
            for row in rows.values():
                for stamp in stamps:
                    row.pop(stamp, None)
        assert was == expected, name
    assert {"came", "changed"} <= kinds


def test_from_0_is_since_before_everything_whenever_the_first_was_written(
    program: Run, databases: Callable[..., str], read_models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given what was written first by a clock that is ahead, as where two years are played."""
    monkeypatch.setenv("LEDGER_DATABASE_URL", url := databases(of=read_models))
    monkeypatch.setenv("LEDGER_SEALING_KEY", urlsafe_b64encode(b"k" * 32).decode())
    with Ledger(url, KEYRING) as ledger:
        ledger.store.check_key()
        for at in (NOON + timedelta(days=300), NOON):
            with clock.stopped_at(at):
                asyncio.run(three_people(ledger))
        project(url, ledger)
        head = asyncio.run(ledger.head())
    code, out, err = program(
        "changes", "person", "--from", "0", "--to", str(head), "--format", "json"
    )
    assert (code, [line["change"] for line in json.loads(out)]) == (0, ["came"] * 4), err


def test_what_cannot_be_asked_is_said_in_a_line(told: Run, tmp_path: Path) -> None:
    for wrong, said in (
        (("nothing", "--from", "1"), "no read model keeps the past of nothing"),
        (("deal", "--from", "yesterday"), "--from: neither a position"),
        (("deal", "--from", "9", "--to", "2"), "--from: it lies after"),
        (("deal", "--from", "99999999"), "beyond the newest entry"),
    ):
        code, out, err = told("changes", *wrong)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert said in err
