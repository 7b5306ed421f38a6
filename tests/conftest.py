"""The real servers, one of each per worker of pytest-xdist, and a fresh database per test."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from io import BytesIO, TextIOWrapper
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ledger_crm import cli
from ledger_crm.embedded import Nats, Postgres
from ledger_crm.ledger import Ledger, install
from ledger_crm.projections import every
from ledger_crm.workers import feed
from ledger_crm.workers.projector import Driver, connect
from scenario import KEYRING

Run = Callable[..., tuple[int, str, str]]

# Some hundred processes are started, and none of them should compile the whole program anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# An eighth of the time went into looking for cycles, among all that pytest has collected too.
gc.set_threshold(*cli.COLLECT)

ROOM_BYTES = 6 * 1024**3


def _memory() -> str:
    """Where a thousand databases, and what is exported of them, may come and go: in memory, if
    there is room. ext4 shuns inodes that were deleted a moment ago, and looks the longer for others
    the more there were; and whoever must be durable waits there for the disk ten thousand times."""
    shm = Path("/dev/shm")
    if (
        shm.is_dir()
        and os.access(shm, os.W_OK)
        and not os.statvfs(shm).f_flag & os.ST_NOEXEC  # tests write programs and run them
        and shutil.disk_usage(shm).free > ROOM_BYTES
    ):
        return str(shm)
    return "/tmp"


os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _memory())  # where each tmp_path is

hypothesis.settings.register_profile("house", print_blob=True, deadline=None)
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of those that are no group, files with a long test begin first, in whatever order the others
    come: who is a minute at it would, if it came last, be waited for by all other workers. The
    whole file: one that is left and come back to would make its templates again."""
    first = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in first)


def pytest_collection_finish() -> None:
    gc.freeze()  # what is there by now stays to the end


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """-q hides the header, and with it what repeats a failure."""
    if exitstatus and (seed := config.getoption("randomly_seed", None)):
        terminalreporter.write_line(f"the same order and data again: --randomly-seed={seed}")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as the API runs


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A throw-away cluster. Its database ``template_ledger`` has the schema; do not write to it."""
    # not tmp_path: a socket's path has 107 bytes, and three old runs of it stay on the disk
    with (
        TemporaryDirectory(prefix="ledger-tests-", dir=_memory()) as home,
        Postgres(Path(home) / "postgres", durable=False) as server,
    ):
        prepare(server)
        yield server


@pytest.fixture(scope="session")
def _broker() -> Iterator[str]:
    with (
        TemporaryDirectory(prefix="ledger-tests-", dir=_memory()) as home,
        Nats(Path(home) / "nats", durable=False) as server,
    ):
        yield server.url


@pytest.fixture
def nats(_broker: str) -> Iterator[str]:
    """A throw-away broker with JetStream. No stream of this test is left for the next."""

    async def clean() -> None:
        nc = await feed.connect(_broker, name="test")
        for stream in await nc.jetstream().streams_info():
            await nc.jetstream().delete_stream(str(stream.config.name))
        await nc.close()

    yield _broker
    asyncio.run(clean())


@pytest.fixture
def template() -> str:
    """What a fresh ledger is a copy of. Modules that read views of it take ``read_models``, or what
    they fill with ``templates``, so that no test makes or fills dozens of tables anew."""
    return "template_ledger"


@pytest.fixture(scope="session")
def templates(postgres: Postgres) -> Callable[..., str]:
    """Makes a template, a copy of another, and gives the url by which to fill it. It may be copied
    once nobody is connected to it."""

    def make(name: str, of: str = "template_ledger") -> str:
        copy(postgres, name, of)
        return url_of(postgres, name)

    return make


@pytest.fixture(scope="session")
def read_models(templates: Callable[..., str]) -> str:
    """A template that has the empty tables of every read model."""
    with connect(templates("read_models")) as conn:
        for projection in every():
            Driver(projection, lambda after, limit: (), conn)
    return "read_models"


@pytest.fixture
def databases(postgres: Postgres, template: str) -> Iterator[Callable[..., str]]:
    """Makes a fresh ledger whenever it is called, ``of`` another template if one is named, and
    gives its url as the application's role."""
    made: list[str] = []

    def make(of: str = template) -> str:
        made.append(f"ledger_{next(_number)}")
        copy(postgres, made[-1], of)
        return url_of(postgres, made[-1])

    yield make
    with psycopg.connect(postgres.url, autocommit=True) as conn:
        for name in made:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            conn.execute(drop)


@pytest.fixture
def database(databases: Callable[[], str]) -> str:
    """A fresh ledger, as the application's role. The shipped pipelines are not in it."""
    return databases()


@pytest.fixture
def owner_database(database: str, postgres: Postgres) -> str:
    """The same database, as its owner."""
    return url_of(postgres, str(conninfo_to_dict(database)["dbname"]), role="ledger_owner")


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    with Ledger(database, KEYRING) as ledger:
        yield ledger


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The program's exit code and what it wrote, in this process. Starting one costs a second."""
    monkeypatch.setenv("COLUMNS", "300")

    def run(*words: str, stdin: bytes = b"", **env: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ledger-crm", *words])
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin)))
        with monkeypatch.context() as here:
            for name, value in env.items():
                here.setenv(name, value)
            try:
                cli.main()
                code = 0
            except SystemExit as end:
                code = int(str(end.code))
        said = capfd.readouterr()
        return code, said.out, said.err

    logging = structlog.get_config()  # which the program sets, and others of this process need
    yield run
    structlog.configure(**logging)


@pytest.fixture
def told(database: str, program: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The program on this test's database."""
    monkeypatch.setenv("LEDGER_DATABASE_URL", database)
    monkeypatch.setenv("LEDGER_SEALING_KEY", urlsafe_b64encode(b"k" * 32).decode())
    return program


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real files beside the checkout; ``SOURCES.md`` there says what they are."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data is not there: {folder}")
    return folder


_number = count(1)


def prepare(server: Postgres) -> None:
    """The two roles, and a template to copy."""
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute("CREATE ROLE ledger_app LOGIN")
        conn.execute("CREATE DATABASE template_ledger")
    install(url_of(server, "template_ledger", role="ledger_owner"))


def copy(server: Postgres, name: str, template: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute("SET file_copy_method = clone")  # by the system, if it can
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        conn.execute(create.format(sql.Identifier(name), sql.Identifier(template)))


def url_of(server: Postgres, name: str, *, role: str = "ledger_app") -> str:
    host = conninfo_to_dict(server.url)["host"]
    return f"postgresql://{role}@/{name}?host={host}&port={server.port}"
