"""The other drill: a base backup and archived WAL, by the embedded server's own tools, back to a
point in time."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from analysis.test_replay import three_people
from conftest import _memory
from ledger_crm.analysis.checksums import Checksums, checksums_of, difference
from ledger_crm.cli.house import app_url, prepare
from ledger_crm.commands import demo
from ledger_crm.embedded import Postgres
from ledger_crm.ledger import Ledger
from projections.test_queries import project
from scenario import KEYRING
from waiting import until

pytestmark = pytest.mark.xdist_group("backup")


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


def test_back_to_a_point_in_time(home: Path) -> None:
    wal, base = home / "wal", home / "base"
    wal.mkdir(mode=0o700)
    with Postgres(home / "postgres") as server:
        given_to(server, wal)
        prepare(server.url, embedded_server=True)
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute("ALTER SYSTEM SET archive_mode = on")
            copy = f"test ! -f {wal}/%f && cp %p {wal}/%f"
            conn.execute(f"ALTER SYSTEM SET archive_command = '{copy}'".encode())
        server.stop()
        server.start()
        url = app_url(server.url)
        played(url)
        tool(server, "pg_basebackup", "-D", base, "-d", server.url, "-X", "fetch", "-c", "fast")
        tool(server, "pg_verifybackup", base)
        wanted = grown(url)  # after the backup: it is in the WAL alone
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute("SELECT pg_create_restore_point('before the mishap')")
        mishap = grown(url)
        assert mishap.head > wanted.head
        with psycopg.connect(server.url, autocommit=True) as conn:
            [(last,)] = conn.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchall()
            until(lambda: (wal / last).exists())

    with open(base / "postgresql.auto.conf", "a") as settings:
        settings.write(
            f"archive_mode = off\nrestore_command = 'cp {wal}/%f %p'\n"
            "recovery_target_name = 'before the mishap'\nrecovery_target_action = 'promote'\n"
        )
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
