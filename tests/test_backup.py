"""The other drill: a base backup and archived WAL, by the embedded server's own tools, back to a
point in time, set up and gone back with what deploy/README.md says."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from analysis.test_replay import three_people
from conftest import _memory
from ledger_crm.analysis.checksums import Checksums, checksums_of, difference
from ledger_crm.cli.checking import Archiver, archiver_of, wrong_with_archiving
from ledger_crm.cli.house import app_url, prepare
from ledger_crm.commands import demo
from ledger_crm.embedded import Postgres
from ledger_crm.ledger import Ledger
from projections.test_queries import project
from scenario import KEYRING
from waiting import until

pytestmark = pytest.mark.xdist_group("backup")

DOCUMENT = (Path(__file__).parents[1] / "deploy" / "README.md").read_text()


@pytest.fixture
def home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="ledger-backup-", dir=_memory()) as folder:
        yield Path(folder)


def tool(server: Postgres, name: str, *words: str | Path) -> None:
    done = subprocess.run([server.where() / name, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def given_to(server: Postgres, folder: Path) -> None:
    """As root, the server runs as another."""
    if server._account:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *server._account)


def played(url: str) -> None:
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(demo.play(ledger, seed=1, until=date(2026, 11, 1), size=0.01))
        project(url, ledger)


def grown(url: str) -> Checksums:
    """By a few entries."""
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(three_people(ledger))
        project(url, ledger)
    return checksums_of(url)


def said(begin: str) -> dict[str, str]:
    """The settings of the block that begins with this line."""
    [block] = re.findall(rf"```\n({begin}\n.*?)```", DOCUMENT, re.DOTALL)
    return dict(re.findall(r"^(\w+) = (.+)$", block, re.MULTILINE))


def test_embedded_or_not_the_same_is_set() -> None:
    in_sql = dict(
        re.findall(r"ALTER SYSTEM SET (archive_\w+) = (.+)\" ?\\?$", DOCUMENT, re.MULTILINE)
    )
    assert in_sql == said("archive_mode = on")
    assert int(in_sql["archive_timeout"]) <= 60


AT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("archived_at", "failed_at", "timeout_s", "state", "says"),
    [
        (AT, AT - timedelta(1), 60, "ok", "the last file went at 2026-11-01"),
        (AT - timedelta(1), AT, 60, "FAIL", "0001 cannot be archived, and the last file that was"),
        (None, AT, 60, "FAIL", "none ever was: the server's log says why"),
        (None, None, 60, "warn", "nothing has been archived"),
        (AT, None, 0, "warn", "set archive_timeout = 60"),
    ],
)
def test_doctor_says_how_archiving_stands(
    archived_at: datetime | None, failed_at: datetime | None, timeout_s: int, state: str, says: str
) -> None:
    found = wrong_with_archiving(Archiver(True, timeout_s, archived_at, failed_at, "0001"))
    assert (found.state, says in found.says) == (state, True)


def test_back_to_a_point_in_time(home: Path) -> None:
    wal, base = home / "wal", home / "base"
    wal.mkdir(mode=0o700)
    archiving = said("archive_mode = on") | {"archive_timeout": "1"}  # in place of a minute
    with Postgres(home / "postgres") as server:
        given_to(server, wal)
        prepare(server.url, embedded_server=True)
        with psycopg.connect(server.url, autocommit=True) as conn:
            for name, value in archiving.items():
                here = value.replace("/backup/wal", str(wal))
                conn.execute(f"ALTER SYSTEM SET {name} = {here}".encode())
        server.stop()
        server.start()
        url = app_url(server.url)
        played(url)
        tool(server, "pg_basebackup", "-D", base, "-d", server.url, "-X", "fetch", "-c", "fast")
        tool(server, "pg_verifybackup", base)
        wanted = grown(url)  # after the backup: it is in the WAL alone
        with psycopg.connect(server.url, autocommit=True) as conn:
            [(before,)] = conn.execute("SELECT clock_timestamp()").fetchall()
        mishap = grown(url)
        assert mishap.head > wanted.head
        with psycopg.connect(server.url, autocommit=True) as conn:
            asked = "SELECT pg_walfile_name(pg_create_restore_point('all of it'))"
            [(last,)] = conn.execute(asked).fetchall()
            until((wal / last).exists)  # while it runs, and nobody switches to another
        with psycopg.connect(url, autocommit=True) as conn:  # as doctor does
            assert until(lambda: archiver_of(conn).archived_at)
            assert wrong_with_archiving(archiver_of(conn)).state == "ok"

    back = said("archive_mode = off") | {"recovery_target_time": f"'{before}'"}
    with open(base / "postgresql.auto.conf", "a") as settings:
        for name, value in back.items():
            settings.write(f"{name} = {value}\n".replace("/backup/wal", str(wal)))
    (base / "recovery.signal").touch()
    (home / "restored").mkdir(mode=0o700)
    shutil.move(base, home / "restored" / "data")
    restored = Postgres(home / "restored")
    given_to(restored, home / "restored")
    with restored as server:
        with psycopg.connect(server.url, autocommit=True) as conn:
            until(lambda: conn.execute("SELECT pg_is_in_recovery()").fetchone() == (False,))
        url = app_url(server.url)
        found = checksums_of(url)
        assert difference(found, wanted) == ""
        assert len(found.tables) > 80
        assert difference(found, mishap).startswith("the heads differ")
        again = grown(url)  # and it goes on
        assert again.head == mishap.head
