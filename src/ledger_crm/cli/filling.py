"""``import`` and ``demo``: many facts at once, through the same commands as everybody's."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, BinaryIO, Literal
from uuid import UUID

import cyclopts
import msgspec

from ledger_crm.commands import demo as agency
from ledger_crm.commands import greenhouse, greenhouse_shapes, importing, mapping
from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.entry import id_of
from ledger_crm.domain.person import PersonSourced
from ledger_crm.ledger import Ledger

from .house import Fault, Interrupted, bar, console, load, opened, plain, run

Flag = Annotated[bool, cyclopts.Parameter(negative="")]


def import_(
    source: Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True)],
    /,
    *,
    mapping: Annotated[Path | None, cyclopts.Parameter(name=["--mapping", "-m"])] = None,
    from_: Annotated[Literal["greenhouse"] | None, cyclopts.Parameter(name="--from")] = None,
    company: str = "",
    code: list[str] | None = None,
    dry_run: Flag = False,
    report: Path | None = None,
    json: Flag = False,
) -> None:
    """Import a CSV file by a mapping from its columns to facts, or a folder of JSON files from
    another system; see docs/importing.md.

    Refused and changed rows are listed with line, column and reason, and the rest go in: exit
    code 1 then.
    The same file again changes nothing.

    Parameters
    ----------
    source:
        A .csv or .csv.gz file; - for standard input. With --from, a folder.
    mapping:
        A TOML file: which column becomes which fact.
    from_:
        The system whose files these are.
    company:
        Whose jobs they are: the name of a company to be added, or the id of one that is there.
    code:
        A tag, source or reason of rejection that is a word of the agency's own, and becomes a code
        in clear; repeatable. Other tags and sources are sealed as text.
    dry_run:
        Decide everything, write nothing.
    report:
        Write what became of each row to this file, a JSON line each.
    json:
        Print the summary as JSON.
    """
    if from_:
        if mapping:
            raise Fault("--from and --mapping are two ways to read a file: say one of them")
        return _import_folder(
            source, company, codes=code or (), dry_run=dry_run, report=report, json=json
        )
    if mapping is None or company or code:
        raise Fault("say how to read it: --mapping FILE, or --from greenhouse --company NAME")
    chosen, plan = load(), _mapping(mapping)
    with ExitStack() as stack:
        file = _source(stack, source)
        ledger, _ = stack.enter_context(opened(chosen))
        rows = stack.enter_context(_writable(report)) if report else None
        drawn = stack.enter_context(bar())
        size = Path(source).stat().st_size if source != "-" else None
        task = drawn.add_task("importing", total=size)

        def on_row(row: importing.RowReport) -> None:
            if rows:
                rows.write(msgspec.json.encode(row) + b"\n")

        stack.enter_context(_interrupted())
        found = run(
            lambda: importing.import_csv(
                ledger,
                file,
                plan,
                dry_run=dry_run,
                on_progress=lambda p: drawn.update(task, completed=p.bytes),
                on_row=on_row,
            )
        )
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        _print(found)
    if found.refused or found.changed:
        sys.exit(1)


def _import_folder(
    source: str,
    company: str,
    *,
    codes: Sequence[str],
    dry_run: bool,
    report: Path | None,
    json: bool,
) -> None:
    chosen, folder = load(), greenhouse_shapes.read_folder(Path(source))
    with ExitStack() as stack:
        ledger, _ = stack.enter_context(opened(chosen))
        lines = stack.enter_context(_writable(report)) if report else None

        def write(line: importing.RowReport | greenhouse_shapes.Homeless) -> None:
            if lines:
                lines.write(msgspec.json.encode(line) + b"\n")

        stack.enter_context(_interrupted())
        found = run(
            lambda: greenhouse.import_folder(
                ledger,
                folder,
                company=company,
                codes=codes,
                dry_run=dry_run,
                on_row=write,
                on_homeless=write,
            )
        )
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        _print(found)
        out = console()
        for missing in found.homeless:
            times = f" ({missing.times} times)" if missing.times > 1 else ""
            out.print(plain(f"  {missing.path}{times}: {missing.reason}"), markup=False)
        if found.unnamed:
            out.print(f"  and {found.unnamed} more; --report FILE lists all")
    if found.refused or found.changed:
        sys.exit(1)


def demo(
    *,
    seed: int = 1,
    until: date | None = None,
    size: float = 1.0,
    anyway: Flag = False,
    json: Flag = False,
) -> None:
    """Play two years of an invented agency into the ledger. The same again changes nothing.

    A ledger that holds people or companies of no demo agency is left alone: what is written stays
    for ever. Another seed is another agency, and may stand beside the first; it is then written
    down as of now, and the history of what was known when is the first one's alone.

    Parameters
    ----------
    seed:
        The same seed gives the same facts.
    until:
        Its last day (YYYY-MM-DD); otherwise today.
    size:
        Of the agency: 1 is about 30,000 facts, 2 about 53,000; 0.13 and less is the smallest,
        with about 5,000.
    anyway:
        Also among other people and companies, for ever.
    json:
        Print the summary as JSON.
    """
    if not 0.01 <= size <= 100:
        raise Fault(f"--size is {size}; write a number from 0.01 to 100")
    with opened(load()) as (ledger, _), _interrupted():
        if not anyway and run(lambda: held(ledger, seed=seed)) == "others":
            raise Fault(
                "this ledger holds people or companies that are not the demo agency's, and it would"
                " stay among them for ever: set LEDGER_HOME to another folder, or say --anyway"
            )
        played = run(lambda: play(ledger, seed=seed, until=until, size=size))
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(played)).decode() + "\n")
        return
    console().print(
        f"{played.companies} companies, {played.people} people, {played.facts} facts up to"
        f" {played.until}; {played.written} of them were new"
    )
    if not played.written_then:
        console().print(
            "others were here first, so they are written down as of today; as known on a day of its"
            " own an agency is looked at in a LEDGER_HOME of its own"
        )


@contextmanager
def _interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            "stopped; what is in stays in, and the same command again goes on from there"
        ) from None


class Agencies:
    """Which records are a demo agency's. Ids are derived from its seed and cannot be taken apart,
    so it is told by trying: of the seeds up to a thousand, and of ``seed``."""

    def __init__(self, seed: int) -> None:
        self._seeds = {self._id(s, "company", 1): s for s in (*range(SEEDS), seed)}
        self._there: dict[int, dict[str, int]] = {}  # how many of each kind were made of a seed
        self._known: set[UUID] = set()

    def have(self, noun: str, id: UUID) -> bool:
        if id in self._known:
            return True
        if noun == "company" and (seed := self._seeds.get(id)) is not None:
            self._there[seed] = {"company": 0, "person": 0}
        while any(counts[noun] < MOST[noun] for counts in self._there.values()):
            for seed, counts in self._there.items():
                made = counts[noun]
                counts[noun] = min(max(2 * made, 64), MOST[noun])
                self._known.update(
                    self._id(seed, noun, n) for n in range(made + 1, counts[noun] + 1)
                )
            if id in self._known:
                return True
        return False

    @staticmethod
    def _id(seed: int, noun: str, n: int) -> UUID:
        return id_of("demo", str(seed), noun, str(n))


SEEDS = 1000
MOST = {"company": 4_800, "person": 240_000}  # of an agency of the largest size
RECORDS = {
    CompanyAdded.__struct_config__.tag: "company",
    PersonSourced.__struct_config__.tag: "person",
}


async def held(ledger: Ledger, *, seed: int) -> Literal["nothing", "demo", "others"]:
    """``others``: a person or a company that no demo agency made. Reads until it meets one."""
    agencies, at, found = Agencies(seed), 0, False
    while rows := await ledger.rows(after=at, limit=5_000):
        for row in rows:
            noun = RECORDS.get(row.topic)
            if noun and not agencies.have(noun, UUID(str(row.originator_id))):
                return "others"
            found = found or noun is not None
        at = rows[-1].id
    return "demo" if found else "nothing"


async def play(
    ledger: Ledger, *, seed: int, until: date | None, size: float = 1.0
) -> agency.Played:
    """With a progress bar on a terminal."""
    with bar() as drawn:
        task = drawn.add_task("playing two years", total=None)
        return await agency.play(
            ledger,
            seed=seed,
            until=until,
            size=size,
            progress=lambda done, total: drawn.update(task, completed=done, total=total),
        )


def _mapping(path: Path) -> mapping.Mapping:
    return mapping.load_mapping(path)


def _source(stack: ExitStack, source: str) -> BinaryIO:
    if source == "-":
        return sys.stdin.buffer
    return stack.enter_context(_readable(Path(source)))


def _readable(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as fault:
        raise Fault(f"{path}: {fault.strerror}") from None


def _writable(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as fault:
        raise Fault(f"{path}: {fault.strerror}") from None


def _print(found: importing.Report) -> None:
    out = console()
    would = "would be " if found.dry_run else ""
    out.print(
        f"{found.read} rows: {found.imported} {would}imported ({found.facts} facts),"
        f" {found.already} in already, {found.skipped} filtered out,"
        f" {found.changed} changed since they were imported, {found.refused} refused"
    )
    for row in found.listed:
        column = f", column {row.column}" if row.column else ""
        where = row.path or f"line {row.line}{column}"
        if row.path and row.column:
            where = row.column
        out.print(plain(f"  {where}: {row.reason}"), markup=False)
    if found.unlisted:
        out.print(f"  and {found.unlisted} more; --report FILE lists all")
