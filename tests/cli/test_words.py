"""What a user or a script reads: help, JSON, and one line where the system forbids something."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from conftest import Run
from running import environment, ledger_crm
from waiting import PATIENCE_S

pytestmark = pytest.mark.xdist_group("words")

MAPPING = str(Path(__file__).parents[2] / "docs" / "mappings" / "sp500.toml")
NOBODY = 65534

COMMANDS = {
    "up": ["--demo", "--port"],
    "worker": ["api", "projector", "relay", "webhooks"],
    "migrate": ["LEDGER_DATABASE_OWNER_URL"],
    "import": [
        "--mapping",
        "--from",
        "--company",
        "--dry-run",
        "--report",
        "--json",
        "docs/importing.md",
    ],
    "demo": ["--seed", "--until", "--size"],
    "read": ["--limit", "--json", "people --tag vip"],
    "events tail": ["--after", "--limit", "--json"],
    "events show": ["--json", "personal"],
    "projections status": ["--json"],
    "projections rebuild": ["NAME"],
    "feed status": ["--json"],
    "feed audit": ["exit code 1"],
    "feed rebuild": [],
    "key create": ["--label", "consultant:ana"],
    "key list": ["--json"],
    "key revoke": ["--reason"],
    "consultant password": ["standard input", "--role"],
    "consultant invite": ["seven days"],
    "consultant close": [],
    "consultant list": [],
    "settings": ["masked"],
    "doctor": ["exit code 1"],
}


def test_help_reads_well_and_names_every_command(tmp_path: Path) -> None:
    overview = ledger_crm(tmp_path, "--help")
    assert overview.returncode == 0
    assert not overview.stderr
    for word in {command.split()[0] for command in COMMANDS}:
        assert f" {word} ".encode() in overview.stdout


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """Of all commands, from one process: each start costs half a second."""
    script = (
        "import contextlib, io, json, sys\nfrom ledger_crm.cli import built\n"
        "app, found = built([]), {}\n"
        "for command in json.load(sys.stdin):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as said:\n"
        "        app([*command.split(), '--help'], exit_on_error=False)\n"
        "    found[command] = said.getvalue()\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(list(COMMANDS)).encode(),
        env=environment("/nowhere", COLUMNS="200"),
        capture_output=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does_and_what_it_takes(
    helps: dict[str, str], command: str
) -> None:
    said = " ".join(helps[command].split())
    assert f"Usage: ledger-crm {command}" in said
    for word in COMMANDS[command]:
        assert word in said
    lines = [line for line in helps[command].splitlines() if line.strip(" │╭╮╰╯─")]
    assert len(lines) >= 2


def test_what_a_script_reads_is_json(told: Run) -> None:
    def read(*words: str) -> Any:
        code, out, fault = told(*words, "--json")
        assert (code, fault) == (0, "")
        return json.loads(out)

    made = read("key", "create", "integration:website", "--scope", "events.read")
    assert set(made) == {"id", "actor", "key"}
    code, _, fault = told("key", "create", "integration:website", "--until", "2024-01-31")
    assert (code, "--until 2024-01-31 is over" in fault) == (2, True)
    [key] = read("key", "list")
    assert (key["until_on"], key["last_used_on"]) == (None, None)
    assert (key["actor"], key["revoked_at"]) == ("integration:website", None)
    assert (key["role"], key["scopes"]) == ("integration", ["events.read"])
    titles, line = told("key", "list")[1].splitlines()
    assert line.index("integration, events.read") == titles.index("may")
    assert titles.split()[-1] == "label"
    assert line.index("integration:website") == titles.index("writes as")
    shown = read("events", "show", "1")
    assert (shown["position"], shown["kind"]) == (1, "key.created")
    status = read("projections", "status")
    assert status["head"] == 1
    assert {one["lag_events"] for one in status["projections"]} == {1}, "no projector runs"
    lines = read("settings")
    assert {"LEDGER_HOME", "LEDGER_PORT"} <= {line["variable"] for line in lines}

    code, out, fault = told("events", "show", "1000", "--json")
    assert (code, out) == (2, "")
    assert "the newest is 1" in fault

    words = ("consultant", "password", "ben", "--role", "manager")
    code, _, fault = told(*words, stdin=b"secret\n")
    assert (code, fault.count("\n")) == (2, 1)
    code, out, fault = told(*words, stdin=b"correct horse battery\n")
    assert (code, "horse" in out + fault) == (0, False)
    assert "consultant:ben  manager" in told("consultant", "list")[1]


def test_doctor_of_a_wrong_setting_says_which_and_fails(tmp_path: Path) -> None:
    done = ledger_crm(tmp_path, "doctor", "--json", LEDGER_PORT="http")
    assert done.returncode == 1
    [wrong] = [check for check in json.loads(done.stdout) if not check["ok"]]
    assert "LEDGER_PORT" in wrong["says"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = nope", "line 1"),
        ('name = "x"\nkey = "{a}"\n[[fact]]\nkind = "person.dreamed"', "no such fact"),
    ],
    ids=["no TOML", "a kind that is none"],
)
def test_a_bad_mapping_is_one_line_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    mapping = tmp_path / "bad.toml"
    mapping.write_text(text)
    done = ledger_crm(tmp_path / "home", "import", "-", "-m", str(mapping), stdin=b"a\n1\n")
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n"), done.stdout) == (2, 1, b"")
    assert "bad.toml" in said
    assert says in said


# what the system forbids, also to tests that run as root


def as_somebody_else(home: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """As ``nobody``, who may not enter the folder that this Python lives in: so it drops its rights
    when everything is loaded."""
    drop = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})" if root() else "pass"
    script = f"import os; from ledger_crm import cli; cli.built([]); {drop}; cli.main()"
    return subprocess.run(
        [sys.executable, "-c", script, *words],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
    )


def root() -> bool:
    return os.geteuid() == 0


def forbidden(done: subprocess.CompletedProcess[bytes], place: Path) -> None:
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n"), done.stdout) == (2, 1, b""), said
    assert str(place) in said
    assert "permission" in said.lower()


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Which everybody may enter, and nobody else write: not tmp_path, whose parents may be shut."""
    with TemporaryDirectory(prefix="ledger-tests-", dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o555)
        yield path
        path.chmod(0o755)


@pytest.mark.parametrize("words", [("key", "list"), ("up", "--port", "0")], ids=" ".join)
def test_a_folder_without_permission(open_path: Path, words: tuple[str, ...]) -> None:
    forbidden(as_somebody_else(open_path / "home", *words), open_path / "home")


def test_a_file_without_permission(open_path: Path) -> None:
    open_path.chmod(0o755)
    secret = open_path / "people.csv"
    secret.write_text("no\n1\n")
    secret.chmod(0)
    mapping = shutil.copy(MAPPING, open_path)
    forbidden(as_somebody_else(open_path / "home", "import", str(secret), "-m", mapping), secret)
    forbidden(as_somebody_else(open_path / "home", "import", "-", "-m", str(secret)), secret)
