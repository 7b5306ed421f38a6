"""``archive``, ``restore``, ``checksums``: the ledger on files, and back, and whether it is the
same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec

from ledger_crm import archive as archives
from ledger_crm.analysis.checksums import Checksums, begins_as, checksums_of, difference
from ledger_crm.projections import every
from ledger_crm.sealing import Keyring
from ledger_crm.storage import storage_at
from ledger_crm.workers import projector

from .analysing import sealing_key
from .house import Empty, Fault, bar, console, database, ledger_at, load, looked_at

Flag = Annotated[bool, cyclopts.Parameter(negative="")]


def archive(place: str, /, *, verify: Flag = False, json: Flag = False) -> None:
    """Write the ledger, its keys and documents to files or to S3, sealed as they are; again, it
    adds what is new. See deploy/README.md.

    Parameters
    ----------
    place:
        Where it goes: a folder, or s3://bucket/prefix with AWS_ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL. Segments in it never change; its
        manifest has the hash of each.
    verify:
        Write nothing: check every file, and that the ledger here begins as the archived one. Exit
        code 2 if anything is missing or another.
    json:
        Print the manifest as JSON.
    """
    chosen, there = load(), storage_at(place)
    if verify:
        with bar() as drawn:
            task = drawn.add_task("verifying", total=None)
            manifest = archives.verify(
                there, progress=lambda at, of: drawn.update(task, completed=at, total=of)
            )
        says = _compared(place, manifest)
    else:
        with looked_at(chosen) as url, bar() as drawn:
            task = drawn.add_task("archiving", total=None)
            manifest, new = archives.archive(
                url, there, storage_at(chosen.vault, private=True),
                progress=lambda at, of: drawn.update(task, completed=at, total=of),
            )  # fmt: skip
        says = f"{there} is at {manifest.head}, {new} of them new"
    if json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        return
    console().print(f"{says}; its hash is {manifest.ledger}", markup=False)


def restore(place: str, /) -> None:
    """Fill an empty database from an archive: it ends at the same head, or stays empty. The read
    models are then built, by a projector if one runs, so that ledger-crm checksums can compare
    them. Stopped meanwhile, the same command goes on.

    The deployment's key must be there: LEDGER_SEALING_KEY, or sealing.key in the new LEDGER_HOME.

    Parameters
    ----------
    place:
        Of the archive: a folder, or s3://bucket/prefix.
    """
    chosen, there = load(), storage_at(place)
    keyring = Keyring(sealing_key(chosen))
    archives.manifest_of(there)  # before anything is made for it
    with database(chosen) as url, bar() as drawn:
        task = drawn.add_task("restoring", total=None)
        manifest, restored = archives.restore(
            url, there, storage_at(chosen.vault, private=True), keyring,
            progress=lambda at, of: drawn.update(task, completed=at, total=of),
        )  # fmt: skip
        how = "restored" if restored else "it is there already,"
        console().print(f"{how} up to {manifest.head}, with {manifest.documents} documents")
        task = drawn.add_task("building the read models", total=manifest.head)
        with ledger_at(url, chosen) as ledger, projector.connect(url) as conn:
            crew = projector.Crew(
                conn, lambda after, limit: ledger.store.entries(after=after, limit=limit), every()
            )
            left = crew.catch_up(progress=lambda at: drawn.update(task, completed=at))
    if halted := {name: why for name, why in left.items() if why}:
        name, why = next(iter(halted.items()))
        raise Fault(
            f"it is restored, but {len(halted)} of its read models halted: {name}: {why}; see:"
            " ledger-crm projections status"
        )
    if left:
        console().print(
            f"read models left to a projector that runs or comes: {', '.join(left)};"
            " ledger-crm projections status says how far they are"
        )
        return
    console().print(
        "its read models are built. ledger-crm checksums --against FILE compares it: before"
        " ledger-crm up, which writes an API key of its own into it"
    )


def checksums(*, against: Path | None = None, json: Flag = False) -> None:
    """A hash of the ledger and of every table of the read models: equal in two places, they are
    equal.

    Parameters
    ----------
    against:
        What it printed as JSON elsewhere: exit code 1, and what differs, if anything does.
    json:
        Print it as JSON.
    """
    before = _read(against) if against else None
    with looked_at(load()) as url:
        found = checksums_of(url)
        differs = difference(before, found) if before else ""
        if before and found.head > before.head and begins_as(url, before):
            differs += (
                f"; the ledger's first {before.head} entries are the same. The read models are of"
                f" the newest entry alone: compare them before anybody writes, ledger-crm up too"
            )
    if json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    elif against is None:
        console().print(f"{found.ledger}  the ledger, at {found.head}")
        for name, digest in found.tables.items():
            at = found.positions[name]
            console().print(f"{digest}  {name}, at {at}", markup=False)
    if before:
        if differs:
            print(f"ledger-crm: {differs}", file=sys.stderr)
            sys.exit(1)
        if not json:
            console().print(f"the same, at {found.head}: {len(found.tables)} tables")


def _compared(place: str, manifest: archives.Manifest) -> str:
    """With the ledger that is here, if one is."""
    whole = f"{place} is whole, up to {manifest.head}"
    try:
        with looked_at(load()) as url, bar() as drawn:
            task = drawn.add_task("comparing", total=None)
            head = archives.against(
                url, manifest,
                progress=lambda at, of: drawn.update(task, completed=at, total=of),
            )  # fmt: skip
    except Empty:
        return f"{whole}; there is no ledger here to compare it with"
    more = f", and has {head - manifest.head} more" if head > manifest.head else ""
    return f"{whole}; the ledger here is the same{more}"


def _read(path: Path) -> Checksums:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Checksums)
    except OSError as fault:
        raise Fault(f"{path}: {fault.strerror}") from None
    except msgspec.MsgspecError:
        raise Fault(f"{path} is nothing that ledger-crm checksums --json printed") from None
