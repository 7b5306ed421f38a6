"""What comes out of an analysis: rows with names, as CSV, JSON or Parquet."""

from __future__ import annotations

import dataclasses
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args
from uuid import UUID

import msgspec

from ledger_crm.cells import cell, row
from ledger_crm.storage import private_opener

from . import AnalysisFault

SAID = (str, int, float, bytes, type(None))
ADDRESS = re.compile(" at 0x[0-9a-f]+>")
Format = Literal["table", "csv", "json", "parquet"]


class Found(NamedTuple):
    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def documents(self) -> list[dict[str, Any]]:
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


def format_of(out: Path | None, wanted: Format | None) -> Format:
    """As it was asked for, else by how the file is called. Raises AnalysisFault, also if nothing
    could be written there in the end."""
    if wanted is None:
        end = out.suffix.lstrip(".").lower() if out else "table"
        if end not in get_args(Format):
            raise AnalysisFault(f"{out}: call it .csv, .json or .parquet, or say --format")
        wanted = end  # type: ignore[assignment]
    assert wanted
    if out and wanted == "table":
        raise AnalysisFault("a table is for the terminal: say --format csv, json or parquet")
    if out and not out.parent.is_dir():
        raise AnalysisFault(f"{out}: its folder is not there")
    if wanted == "parquet":
        if out is None:
            raise AnalysisFault("Parquet is for a file: say --out FILE.parquet")
        arrow()
    return wanted


def found_in(given: Any) -> Found:
    """Rows of anything that can be read as such: dicts, Structs, named tuples, data classes. What
    is no list is one of ``key`` and ``value``, or a single row. Raises AnalysisFault."""
    if isinstance(given, Found):
        return given
    if isinstance(given, Mapping):
        documents = [_keyed(key, value) for key, value in given.items()]
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes) and not _fields(given):
        documents = [_document(each) for each in given]
    else:
        documents = [_document(given)]
    for document in documents:
        for name, value in document.items():
            _must_say_something(name, value)
    names = tuple(dict.fromkeys(name for document in documents for name in document))
    return Found(names, [tuple(document.get(name) for name in names) for document in documents])


def written(found: Found, shape: Format) -> bytes:
    """Raises AnalysisFault for what cannot be said so."""
    try:
        return SHAPES[shape](found)
    except (ValueError, TypeError, OverflowError, RecursionError, NotImplementedError) as fault:
        raise AnalysisFault(
            f"the result holds what {shape} cannot say ({type(fault).__name__}): give text,"
            " numbers, days, or lists and dicts of them"
        ) from None


def as_csv(found: Found) -> bytes:
    return "".join(row(map(cell, each)) for each in (found.names, *found.rows)).encode()


def as_json(found: Found) -> bytes:
    return msgspec.json.format(msgspec.json.encode(found.documents(), enc_hook=str)) + b"\n"


def as_parquet(found: Found) -> bytes:
    """Raises AnalysisFault for a column of several kinds of value."""
    pa, pq = arrow()
    columns = {}
    for number, name in enumerate(found.names):
        values = [_plain(row[number]) for row in found.rows]
        try:
            columns[name] = pa.array(values)
        except (ValueError, TypeError, OverflowError, pa.ArrowNotImplementedError):
            raise AnalysisFault(f"column {name} holds what no Parquet column can hold") from None
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    return content.getvalue()


SHAPES = {"csv": as_csv, "json": as_json, "parquet": as_parquet}


def put(content: bytes, out: Path, *, private: bool = False) -> None:
    """A file is there whole or not at all. What is there and no file, as a pipe, a device or a
    link, is written to: a new file in its place would take it away from everybody else.
    ``private``: its owner alone reads it, unless one is there that others may read. Raises
    AnalysisFault."""
    try:
        if out.is_symlink() or (out.exists() and not out.is_file()):
            out.write_bytes(content)
            return
        new = out.with_name(f".{out.name}.new")
        try:
            with open(new, "wb", opener=private_opener if private else None) as file:
                if private and out.exists():
                    os.fchmod(file.fileno(), out.stat().st_mode & 0o777)
                file.write(content)
            new.replace(out)
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)
    except OSError as fault:
        raise AnalysisFault(f"{out}: {fault.strerror}") from None


def arrow() -> tuple[Any, Any]:
    """Raises AnalysisFault if it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise AnalysisFault(missing("Parquet", "pyarrow")) from None
    return pyarrow, pyarrow.parquet


def missing(what: str, library: str) -> str:
    return f"{what} needs {library}: pip install 'ledger-crm[analysis]'"


def _must_say_something(name: str, value: Any) -> None:
    """Raises AnalysisFault for what could be shown only by where it lies in memory, and for what
    has no end: pyarrow would end the process on a list that holds itself."""
    if isinstance(value, SAID):
        return
    if ADDRESS.search(repr(value)):
        fault = f"is no value, but {type(value).__name__}"
    else:
        try:
            msgspec.json.encode(value, enc_hook=str)
            return
        except RecursionError:
            fault = "holds itself, or lists in lists without end"
        except (ValueError, TypeError, OverflowError):
            return  # another shape may say it
    raise AnalysisFault(
        f"{name} of the result {fault}: give text, numbers, days, or lists and dicts of them"
    )


def _keyed(key: Any, value: Any) -> dict[str, Any]:
    keys = (
        {f"key_{n}": part for n, part in enumerate(key, 1)}
        if isinstance(key, tuple)
        else {"key": key}
    )
    is_row = isinstance(value, Mapping) or _fields(value)
    return keys | (_document(value) if is_row else {"value": value})


def _document(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return {str(name): value for name, value in given.items()}
    if names := _fields(given):
        return {name: getattr(given, name) for name in names}
    if isinstance(given, tuple):
        return {f"column_{n}": value for n, value in enumerate(given, 1)}
    return {"value": given}


def _fields(given: Any) -> Sequence[str]:
    """Of what has names for its values."""
    if isinstance(given, type):
        return ()
    if isinstance(given, msgspec.Struct):
        return given.__struct_fields__
    if dataclasses.is_dataclass(given):
        return [field.name for field in dataclasses.fields(given)]
    return getattr(given, "_fields", ()) if isinstance(given, tuple) else ()


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, msgspec.Struct | set | frozenset):
        return msgspec.to_builtins(value)
    return value
