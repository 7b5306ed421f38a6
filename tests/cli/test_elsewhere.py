"""Servers that are somebody else's, and a disk that is full."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from running import ledger_crm, running
from waiting import until

pytestmark = pytest.mark.xdist_group("elsewhere")


def test_with_servers_of_ones_own_nothing_embedded_starts(
    tmp_path: Path, database: str, owner_database: str, nats: str
) -> None:
    servers = {
        "LEDGER_DATABASE_URL": database,
        "LEDGER_DATABASE_OWNER_URL": owner_database,
        "LEDGER_NATS_URL": nats,
    }
    with running(tmp_path, **servers) as up, up.api() as api:
        added = api.post("/companies", json={"name": "Acme"})
        position = added.json()["position"]
        path = f"/companies/{added.json()['id']}"
        assert api.get(path, params={"after": position}).status_code == 200
        until(lambda: api.get("/health/ready").json()["feed"]["position"] == position)

        assert sorted(p.name for p in tmp_path.iterdir()) == [
            "api.key", "log", "owner", "sealing.key",
        ]  # fmt: skip
        assert [pid for word in ("pginstall", "nats.conf") for pid in up.pids(word)] == []
        audit = ledger_crm(tmp_path, "feed", "audit", **servers)
        assert b"exactly the ledger" in audit.stdout


def test_a_role_that_may_not_make_the_schema_hears_what_to_do(
    tmp_path: Path, empty_database: str
) -> None:
    done = ledger_crm(tmp_path, "up", LEDGER_DATABASE_URL=empty_database)
    assert done.returncode == 2
    assert b"LEDGER_DATABASE_OWNER_URL" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.fixture
def empty_database(owner_database: str) -> str:
    """As the application's role, which owns nothing in it."""
    parts = psycopg.conninfo.conninfo_to_dict(owner_database)
    admin = psycopg.conninfo.make_conninfo(owner_database, dbname="postgres")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute("CREATE DATABASE nobody_was_here")
    return f"postgresql://ledger_app@/nobody_was_here?host={parts['host']}&port={parts['port']}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 300 MB. Needs root, and a kernel that lets it mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        said = f"a full disk is NOT tested here: {done.stderr.strip()}"
        print(said, file=sys.stderr)
        pytest.skip(said)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    filling = disk / "filling"
    with filling.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65_536)
        except OSError:
            return filling


def add(api: httpx.Client, n: int) -> httpx.Response:
    body = {"name": f"Company {n}", "location": "x" * 200, "source": "y" * 200}
    return api.post("/companies", json=body, headers={"Idempotency-Key": f"company-{n}"})


def test_on_a_full_disk_commands_are_refused_whole_and_go_on_when_there_is_space(
    small_disk: Path,
) -> None:
    with running(small_disk / "home") as up, up.api() as api:
        written = [add(api, 0).json()]
        filling = fill(small_disk)
        n, refused = 0, None
        while refused is None:
            n += 1
            assert n < 20_000, "it does not fill"
            answer = add(api, n)
            if answer.status_code == 201:
                written.append(answer.json())
            else:
                refused = answer
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert refused.headers["content-type"] == "application/problem+json"
        assert add(api, n + 1).status_code == 503, "and again: it is not half dead"

        filling.unlink()

        def answers() -> bool:
            answer = add(api, n)
            written.append(answer.json())
            return answer.status_code == 201

        until(answers)
        written = [receipt for receipt in written if "position" in receipt]
        last = written[-1]["position"]
        for receipt in written:
            path = f"/companies/{receipt['id']}"
            assert api.get(path, params={"after": last}).status_code == 200
        positions = [receipt["position"] for receipt in written]
        assert positions == list(range(positions[0], positions[0] + len(written))), "nothing half"
        until(lambda: level(api, last))
        assert b"exactly the ledger" in ledger_crm(up.home, "feed", "audit").stdout


def level(api: httpx.Client, position: int) -> bool:
    ready = api.get("/health/ready").json()
    return bool(ready["status"] == "ready" and ready["feed"]["position"] >= position)
