"""Wrong input of every kind: exit code 2 and one line that says what to do, never a traceback."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conftest import Run
from running import ledger_crm, printed

pytestmark = pytest.mark.xdist_group("wrong input")

MAPPING = str(Path(__file__).parents[2] / "docs" / "mappings" / "sp500.toml")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wrong")


@pytest.fixture
def taken_port() -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield str(server.getsockname()[1])


@pytest.fixture
def refused(program: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is said instead of doing it."""
    for name in [name for name in os.environ if name.startswith("LEDGER_")]:
        monkeypatch.delenv(name)

    def line(home: Path | str, *words: str, stdin: bytes = b"", **env: str) -> str:
        return one_line(*program(*words, stdin=stdin, LEDGER_HOME=str(home), **env))

    return line


def one_line(code: int, out: str, line: str) -> str:
    assert code == 2, (code, line)
    assert line.startswith("ledger-crm: ")
    assert line.count("\n") == 1
    assert not out
    return line


def test_a_process_of_its_own_says_the_same_and_leaves_with_2(home: Path) -> None:
    done = ledger_crm(home, "events", "show", "abc")
    assert "abc" in one_line(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nosuch",), "nosuch"),
        (("events", "show", "abc"), "abc"),
        (("events", "show", "0"), "the first is 1"),
        (("events", "tail"), "ledger-crm up"),
        (("feed", "status"), "ledger-crm up"),
        (("import", "/no/such.csv", "-m", MAPPING), "/no/such.csv"),
        (("import", "-", "-m", "/no/such.toml"), "/no/such.toml"),
        (("import", "-"), "mapping"),
        (("import", "/no/such", "--from", "greenhouse", "--company", "Acme"), "/no/such"),
        (("import", "/no/such", "--from", "greenhous"), "greenhouse"),
        (("import", "/no/such", "--from", "greenhouse", "-m", MAPPING), "--mapping"),
        (("import", "-", "-m", MAPPING, "--company", "Acme"), "--from"),
        (("key", "create", "Ana"), "consultant:ana"),
        (("key", "revoke", "abc"), "abc"),
        (("key", "revoke", "00000000-0000-0000-0000-000000000001"), "nothing in the ledger"),
        (("projections", "rebuild", "nosuch"), "history"),
        (("projections", "rebuild", "people", "--parallel", "65"), "parallel"),
        (("projections", "rebuild", "people", "--in-place", "--blue-green"), "two ways"),
        (("demo", "--until", "2020-13-01"), "2020-13-01"),
        (("demo", "--size", "0"), "0.01"),
        (("up", "--port", "70000"), "65535"),
        (("worker", "nosuch"), "nosuch"),
        (("worker", "api"), "LEDGER_DATABASE_URL"),
        (("migrate",), "up looks after"),
    ],
    ids=" ".join,
)
def test_a_wrong_word(
    refused: Callable[..., str], home: Path, words: tuple[str, ...], says: str
) -> None:
    assert says in refused(home, *words)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LEDGER_PROT", "1", "LEDGER_PORT"),
        ("LEDGER_PORT", "http", "LEDGER_PORT"),
        ("LEDGER_DATABASE_URL", "mysql://x", "postgresql://"),
        ("LEDGER_SEALING_KEY", "abc", "LEDGER_SEALING_KEY"),
        ("LEDGER_DATABASE_URL", "postgresql://u:hush@127.0.0.1:1/x", "does not answer"),
    ],
)
def test_a_wrong_setting(
    refused: Callable[..., str], home: Path, name: str, value: str, says: str
) -> None:
    line = refused(home, "projections", "status", **{name: value})
    assert says in line
    assert "hush" not in line


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "nosuch.invalid", "192.0.2.1"])
def test_a_host_that_is_none_of_ours(refused: Callable[..., str], home: Path, host: str) -> None:
    line = refused(home, "up", "--port", "0", LEDGER_HOST=host)
    assert host in line
    assert "LEDGER_HOST" in line


def test_traces_that_cannot_be_had(refused: Callable[..., str], home: Path) -> None:
    assert "write otlp" in refused(home, "up", OTEL_TRACES_EXPORTER="zipkin")


def test_a_port_in_use(refused: Callable[..., str], home: Path, taken_port: str) -> None:
    assert taken_port in refused(home, "up", "--port", taken_port)


def test_a_file_with_a_missing_column(refused: Callable[..., str], home: Path) -> None:
    line = refused(home, "import", "-", "-m", MAPPING, stdin=b"Symbol,Security\nA,B\n")
    assert "no column" in line


def test_another_sealing_key_than_the_ledger_was_sealed_with(
    refused: Callable[..., str], home: Path
) -> None:
    assert printed(ledger_crm(home, "key", "list", "--json")) == []
    other = "x" * 43 + "="
    assert "sealing key" in refused(home, "key", "list", LEDGER_SEALING_KEY=other)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root: see test_embedded.py")
def test_a_folder_without_permission(refused: Callable[..., str], tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert str(tmp_path) in refused(tmp_path / "home", "key", "list")


@pytest.mark.parametrize(
    "words",
    [
        ("projections", "rebuild", "people"),
        ("projections", "prepare"),
        ("projections", "rollback", "people"),
        ("feed", "rebuild"),
        ("archive", "a"),
    ],
    ids=" ".join,
)
def test_where_no_ledger_is_none_is_made(
    program: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """With a database and a key of its own a mistyped folder looked like an empty ledger."""
    monkeypatch.chdir(tmp_path)
    nats = {"LEDGER_NATS_URL": "nats://127.0.0.1:9"}
    code, _, line = program(*words, LEDGER_HOME=str(tmp_path / "mistyped"), **nats)
    assert (code, "empty: there is no ledger in" in line) == (1, True), line
    assert list(tmp_path.iterdir()) == []


def test_refused_rows_are_listed_and_the_rest_go_in(home: Path) -> None:
    rows = (
        b"Symbol,Security,GICS Sector,GICS Sub-Industry,Headquarters Location,Date added"
        b",CIK,Founded"
        b"\nA,Alpha,x,y,z,2001-02-03,1,1900\nB,Beta,x,y,z,soon,2,1900\nC,Gam"
    )
    done = ledger_crm(home, "import", "-", "-m", MAPPING, stdin=rows)
    said = done.stdout.decode()
    assert done.returncode == 1
    assert "1 imported" in said
    assert "line 3, column Date added" in said
    assert "line 4" in said
