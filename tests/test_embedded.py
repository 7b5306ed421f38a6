"""The embedded servers: they come up from whatever was left, and go when their owner goes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nats
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from ledger_crm import embedded
from ledger_crm.embedded import Claim, EmbeddedError, Nats, Postgres, holder
from ledger_crm.leash import leashed
from waiting import until

OWNER = """
import json, signal, sys
from ledger_crm.embedded import EmbeddedError, Nats, Postgres
try:
    postgres, nats = Postgres(sys.argv[1] + "/pg", durable=False), Nats(sys.argv[1] + "/nats")
    postgres.start()
    nats.start()
    print(json.dumps([postgres.pid, nats.pid, postgres.url, nats.url]), flush=True)
    signal.pause()
except EmbeddedError as error:
    sys.exit(str(error))
"""


def gone(pid: int) -> bool:
    """Or a zombie that nobody has asked about: whoever adopts orphans here may be slow."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def ask(url: str, question: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(question)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


@contextmanager
def owner(home: Path) -> Iterator[tuple[subprocess.Popen[str], list[Any]]]:
    """Another process that owns both servers; what it started is over when the block is."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(home)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        try:
            yield process, said
        finally:
            process.kill()
            process.wait()
            until(lambda: gone(said[0]) and gone(said[1]))


def told(*argv: str) -> str:
    """The one line in which an owner that must not start says why."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


def test_postgresql_starts_cold_and_warm_and_keeps_what_it_was_told(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg") as postgres:
        ask(postgres.url, "CREATE TABLE kept AS SELECT 7 AS value")
        assert ask(postgres.url, "SHOW server_version").startswith("18.")
        assert ask(postgres.url, "SHOW fsync") == "on"
        assert ask(postgres.url, "SELECT current_user") == "ledger_owner"
        locale = (
            "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'ledger'"
        )
        assert ask(postgres.url, locale) == "bC.UTF-8"
        pid, url = postgres.pid, postgres.url
    assert gone(pid)

    with Postgres(tmp_path / "pg") as postgres:
        assert postgres.url == url
        assert ask(postgres.url, "SELECT value FROM kept") == 7


def test_the_url_is_one_that_libpq_takes_apart() -> None:
    with (  # not tmp_path, which may be longer than a socket's path
        TemporaryDirectory(prefix="ledger-tests-", dir="/tmp") as short,
        Postgres(Path(short) / "@ 100%", durable=False) as postgres,
    ):
        parts = conninfo_to_dict(postgres.url)
        assert ask(postgres.url, "SHOW fsync") == "off"
    assert parts == {
        "user": "ledger_owner",
        "dbname": "ledger",
        "host": str(Path(short) / "@ 100%" / "run"),
        "port": "5432",
    }


def test_it_takes_no_more_memory_than_a_container_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eighth of what there is; one that took more would be killed, with all that it serves."""
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(embedded, "MEMORY_MAX", limit)
    of_all = embedded.buffers_mb()
    limit.write_text("max\n")
    assert embedded.buffers_mb() == of_all
    limit.write_text(f"{2 * 1024**3}\n")
    assert embedded.buffers_mb() == min(256, of_all)


def test_nobody_else_gets_at_the_data_or_the_socket(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg", durable=False) as postgres, Nats(tmp_path / "nats") as broker:
        for folder in (postgres.data, postgres.run, broker.data, broker.run):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "nats" / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "nats" / "owner").stat().st_mode) == 0o600
        uid = Path(f"/proc/{postgres.pid}").stat().st_uid
        assert uid != 0
        assert ask(postgres.url, "SHOW listen_addresses") == ""
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700, "a folder above was opened"


def test_a_refused_statement_leaves_no_word_in_the_log(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg", durable=False) as postgres:
        for statement in (
            "SELECT 'Zaphod'::int",
            "SELECT Zaphod",
            "DO $$ BEGIN RAISE 'Zaphod'; END $$",
        ):
            with pytest.raises(psycopg.Error, match=r"(?i)zaphod"):
                ask(postgres.url, statement)
        with pytest.raises(psycopg.Error), psycopg.connect(postgres.url) as connection:
            connection.execute("SELECT %s::text::int", ("Zaphod",))
    assert "zaphod" not in postgres.log.read_text().lower()


def test_after_kill_9_of_the_postmaster_it_comes_back_at_the_same_address(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg") as postgres:
        ask(postgres.url, "CREATE TABLE kept AS SELECT 7 AS value")
        busy = psycopg.connect(postgres.url)  # a backend that holds on to the shared memory
        url = postgres.url
        postgres.kill()
        assert not postgres.alive
        postgres.start()
        busy.close()
        assert postgres.url == url
        assert ask(postgres.url, "SELECT value FROM kept") == 7


def test_when_the_owner_is_killed_its_servers_go_and_the_next_owner_has_the_data(
    tmp_path: Path,
) -> None:
    with owner(tmp_path) as (process, (postgres_pid, nats_pid, url, nats_url)):
        ask(url, "CREATE TABLE kept AS SELECT 7 AS value")
        asyncio.run(publish(nats_url))
        process.kill()
        process.wait()
        # At once, while the servers of the dead one are still ending.
        with (
            Postgres(tmp_path / "pg", durable=False) as postgres,
            Nats(tmp_path / "nats") as broker,
        ):
            assert gone(postgres_pid)
            assert gone(nats_pid)
            assert ask(postgres.url, "SELECT value FROM kept") == 7
            assert broker.url == nats_url  # its port and its password, too
            assert asyncio.run(stored(broker.url)) == 1


def test_when_everything_is_killed_at_once_the_next_owner_has_the_data(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, (postgres_pid, nats_pid, url, nats_url)):
        ask(url, "CREATE TABLE kept AS SELECT 7 AS value")
        asyncio.run(publish(nats_url))
        for pid in (process.pid, postgres_pid, nats_pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        with (
            Postgres(tmp_path / "pg", durable=False) as postgres,
            Nats(tmp_path / "nats") as broker,
        ):
            assert ask(postgres.url, "SELECT value FROM kept") == 7
            assert asyncio.run(stored(broker.url)) == 1


def test_a_pid_file_whose_number_somebody_else_has_by_now_stops_nothing(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg", durable=False) as postgres:
        uid = Path(f"/proc/{postgres.pid}").stat().st_uid
        note = (postgres.data / "postmaster.pid").read_text().partition("\n")[2]
        os.kill(postgres.pid, signal.SIGKILL)
        until(lambda: not postgres.alive)
        with subprocess.Popen(["sleep", "60"], user=uid) as somebody:
            (postgres.data / "postmaster.pid").write_text(f"{somebody.pid}\n{note}")
            postgres.start()
            assert ask(postgres.url, "SELECT 1") == 1
            assert somebody.poll() is None
            somebody.kill()


@pytest.mark.parametrize("left", ["", "\n", "4194303\n"], ids=["nothing", "a line end", "the dead"])
def test_a_pid_file_that_was_cut_short_by_a_kill_stops_nothing(tmp_path: Path, left: str) -> None:
    with Postgres(tmp_path / "postgres") as postgres:
        data = postgres.data
    (data / "postmaster.pid").write_text(left)
    with Postgres(tmp_path / "postgres") as postgres:
        assert postgres.alive


def test_a_second_owner_is_told_who_is_the_first_and_where(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, (_, _, url, nats_url)):
        with pytest.raises(EmbeddedError) as caught:
            Postgres(tmp_path / "pg").start()
        where = url.replace("ledger_owner@", "")
        assert str(caught.value) == (
            f"{tmp_path}/pg is in use by process {process.pid} at {where}: "
            "let it end, as an import does by itself, or stop it if it is an up; or set"
            " LEDGER_HOME to another folder"
        )
        with pytest.raises(EmbeddedError) as caught:
            Nats(tmp_path / "nats").start()
        assert nats_url.split("@")[0] not in str(caught.value), "the password was shown"
        assert str(process.pid) in str(caught.value)

        found = holder(tmp_path / "pg")  # how a second process attaches
        assert found == (process.pid, url)
        assert ask(found.address, "SELECT 1") == 1
    assert holder(tmp_path / "pg") is None


def test_a_claim_is_dropped_with_its_holder_and_can_be_announced(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with Claim(tmp_path) as claim:
        assert holder(tmp_path) == (os.getpid(), "")
        claim.announce("http://127.0.0.1:8000")
        assert holder(tmp_path) == (os.getpid(), "http://127.0.0.1:8000")
        with pytest.raises(
            EmbeddedError, match=r"in use by process \d+ at http://127\.0\.0\.1:8000"
        ):
            Claim(tmp_path).take()
    assert holder(tmp_path) is None
    with Claim(tmp_path):
        pass


def test_a_half_made_cluster_does_not_count(tmp_path: Path) -> None:
    half = tmp_path / "pg" / "new-half"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    with Postgres(tmp_path / "pg", durable=False) as postgres:
        assert ask(postgres.url, "SELECT 1") == 1
    assert not half.exists()


def test_a_path_that_no_socket_can_have_gets_a_short_one_and_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    with Postgres(folder, durable=False) as postgres:
        url = postgres.url
        sockets = Path(str(conninfo_to_dict(url)["host"]))
        assert ask(url, "SELECT 1") == 1
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert not sockets.exists()
    with Postgres(folder, durable=False) as postgres:
        assert postgres.url == url

    with Postgres(tmp_path / "a,b", durable=False) as postgres:  # libpq parts hosts at commas
        assert ask(postgres.url, "SELECT 1") == 1

    sockets.mkdir()  # as somebody else's might be by now
    with Postgres(folder, durable=False) as postgres:
        assert postgres.url != url
    sockets.rmdir()


def test_a_folder_without_permission_is_said_in_one_line(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    argv = [sys.executable, "-c", OWNER, str(closed)]
    if os.geteuid() == 0:  # whom no mode stops; reach: nobody may read our interpreter, not write
        argv = leashed(argv, last=signal.SIGKILL, account=(65534, 65534), reach=True)
    assert told(*argv) == (
        f"no permission for {closed}/pg: give yourself the folder, or set LEDGER_HOME to another"
    )


@pytest.mark.parametrize("size_kb", [4, 512, 20_000])
def test_a_full_disk_is_said_in_one_line(tmp_path: Path, size_kb: int) -> None:
    mount = f"mount -t tmpfs -o size={size_kb}k none {tmp_path}"
    alone = ["unshare", "--mount", "sh", "-ec"]
    if shutil.which("unshare") is None or subprocess.run([*alone, mount], check=False).returncode:
        pytest.skip("may not mount a small disk here")
    line = told(*alone, f'{mount}; exec "$@"', "sh", sys.executable, "-c", OWNER, str(tmp_path))
    assert line.startswith(f"the disk of {tmp_path}/pg is full: free some space")


def test_binaries_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"has no program postgres: set LEDGER_POSTGRES_BIN"):
        Postgres(tmp_path / "pg", tmp_path).start()
    with pytest.raises(EmbeddedError, match=r"is no file: set LEDGER_NATS_BIN"):
        Nats(tmp_path / "nats", tmp_path / "nats-server").start()
    assert holder(tmp_path / "pg") is None


def test_what_a_server_says_when_it_cannot_start_is_passed_on(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg", durable=False) as postgres:
        pass
    (postgres.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match=r"did not start: .*FATAL:.*postgresql\.conf") as caught:
        postgres.start()
    assert "\n" not in str(caught.value)
    assert holder(tmp_path / "pg") is None


def test_the_broker_keeps_port_and_messages_and_asks_for_its_password(tmp_path: Path) -> None:
    with Nats(tmp_path / "nats") as broker:
        asyncio.run(publish(broker.url))
        url = broker.url
        broker.kill()
        broker.start()
        assert broker.url == url
        assert asyncio.run(stored(url)) == 1
        with socket.create_connection(("127.0.0.1", broker.port), timeout=5) as stranger:
            stranger.sendall(b"CONNECT {}\r\nPING\r\n")
            with stranger.makefile("rb") as answers:
                assert b"Authorization Violation" in answers.read()
    settings = json.loads((broker.run / "nats.conf").read_text())
    assert settings["jetstream"]["sync_interval"] == "always"


def test_a_port_taken_since_is_given_up_unless_it_is_pinned(tmp_path: Path) -> None:
    with Nats(tmp_path / "nats") as broker:
        before = broker.port
    with socket.create_server(("127.0.0.1", before)):
        with Nats(tmp_path / "nats") as broker:
            assert broker.port != before
        with pytest.raises(EmbeddedError, match=f"port {before} is in use"):
            Nats(tmp_path / "nats", port=before).start()
    with Nats(tmp_path / "nats", port=before) as broker:
        assert broker.url.endswith(f"@127.0.0.1:{before}")


async def publish(url: str) -> None:
    connection = await nats.connect(url)
    stream = connection.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"])
    await stream.publish("kept", b"7")
    await connection.close()


async def stored(url: str) -> int:
    connection = await nats.connect(url)
    info = await connection.jetstream().stream_info("KEPT")
    await connection.close()
    return int(info.state.messages)
