"""What Greenhouse's Harvest API answers, as it is read: JSON files, the records in them, and each
value with its path.

    for candidate in records_in(read_folder(path)).records["candidates"]: candidate.line("title")

What is asked of a record is taken; the paths of all its other values stay, to be told of
(``Homeless``). What becomes of them is ``greenhouse``'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ledger_crm.domain.entry import Instant, Slug, id_of, words
from ledger_crm.domain.fee import DIGITS
from ledger_crm.domain.pipeline import Stage

from .mapping import ImportFault, RowFault

FILE_BYTES = 256 * 2**20

RECORDS: dict[str, tuple[set[str], ...]] = {
    "job_stages": ({"id", "name", "job_id"},),
    "rejection_reasons": ({"id", "name", "type"},),
    "jobs": ({"id", "name", "openings"}, {"id", "name", "opened_at"}),
    "candidates": ({"id", "first_name", "last_name"},),
    "applications": ({"id", "candidate_id", "jobs"},),
    "offers": ({"id", "application_id", "candidate_id"},),
    "scorecards": ({"id", "candidate_id", "overall_recommendation"},),
    "activity_feed": ({"notes"}, {"emails"}, {"activities"}),
}
"""By which of their fields records of each file are known."""

NO_HOME = "has no home here"
BEGINS = Stage("applied", "Applied", "sourced")
ENDS = (
    Stage("submitted", "Submitted to client", "submitted"),
    Stage("hired", "Hired", "placed"),
    Stage("rejected_by_us", "Rejected by us", "rejected_by_us"),
    Stage("withdrawn", "Withdrawn", "withdrawn"),
)


class Homeless(msgspec.Struct, frozen=True):
    """A value that no fact was made of. ``reason`` never repeats it."""

    path: str
    reason: str


class Folder(msgspec.Struct, frozen=True):
    """The documents in it, by what they are of."""

    documents: dict[str, Any]


def read_folder(path: Path) -> Folder:
    """Raises ImportFault."""
    try:
        files = sorted(file for file in path.iterdir() if file.suffix == ".json")
    except OSError as fault:
        raise ImportFault(f"{path}: cannot be read: {fault.strerror}") from None
    found: dict[str, Any] = {}
    for file in files:
        noun = file.stem.removeprefix("harvest-")
        if noun not in RECORDS:
            raise ImportFault(f"{file}: is none of {', '.join(RECORDS)}")
        if noun in found:
            raise ImportFault(f"{file}: there are two files of {noun}")
        found[noun] = _document(file)
    if not found:
        raise ImportFault(f"{path}: holds no JSON file, such as candidates.json")
    return Folder(found)


def _document(file: Path) -> Any:
    """Raises ImportFault."""
    try:
        if file.stat().st_size > FILE_BYTES:
            raise ImportFault(f"{file}: is larger than {FILE_BYTES // 2**20} MiB: split it")
        document = msgspec.json.decode(file.read_bytes())
    except OSError as fault:
        raise ImportFault(f"{file}: cannot be read: {fault.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        where = re.search(r"byte \d+", str(fault))
        raise ImportFault(f"{file}: is not JSON{f', at {where[0]}' if where else ''}") from None
    if not isinstance(document, dict | list):
        raise ImportFault(f"{file}: holds neither a record nor a list of them")
    return document


# --- a record -------------------------------------------------------------------------------


class Node:
    """An object, and where it is. What is asked of it is taken; the paths of all other values stay
    in ``left``, which the nodes of one record share."""

    def __init__(self, raw: dict[str, Any], path: str, left: dict[str, str] | None = None) -> None:
        self.raw, self.path = raw, path
        self.left = dict.fromkeys(leaves(raw, path), NO_HOME) if left is None else left

    def take(self, *keys: str) -> None:
        """All that is below these."""
        for key in keys:
            for path in list(leaves(self.raw.get(key), f"{self.path}.{key}")):
                self.left.pop(path, None)

    def text(self, key: str, most: int = 60_000) -> str:
        """In one or more lines; "" for what is not there. Numbers are read as text. Raises
        RowFault."""
        value = self.raw.get(key)
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise self.fault(key, "is not text")
        text = "" if value is None else str(value).strip()
        if "\0" in text:
            raise self.fault(key, "holds a NUL")
        if len(text) > most:
            raise self.fault(key, f"is longer than {most:,} letters")
        self.take(key)
        return text

    def id(self, key: str) -> str:
        """By which it is known: never empty. Raises RowFault."""
        if not (text := self.text(key)):
            raise self.fault(key, "is missing")
        return text

    def line(self, key: str, most: int = 200) -> str:
        """As text in one line."""
        return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", self.text(key, most)).split())

    def flag(self, key: str) -> bool | None:
        value = self.raw.get(key)
        if not isinstance(value, bool | None):
            raise self.fault(key, "is neither true nor false")
        return value

    def at(self, key: str) -> datetime | None:
        """Raises RowFault."""
        if not (text := self.text(key)):
            return None
        with suppress(msgspec.ValidationError):
            return msgspec.convert(text, Instant)
        raise self.fault(key, "is not an instant with an offset, like 2024-05-01T09:00:00Z")

    def node(self, key: str) -> Node:
        """Empty if it is not there. Raises RowFault."""
        value = self.raw.get(key)
        if not isinstance(value, dict | None):
            raise self.fault(key, "is not an object")
        return Node(value or {}, f"{self.path}.{key}", self.left)

    def nodes(self, key: str) -> list[Node]:
        """Raises RowFault."""
        value = self.raw.get(key)
        if not isinstance(value, list | None):
            raise self.fault(key, "is not a list")
        found = []
        for n, each in enumerate(value or ()):
            if not isinstance(each, dict):
                raise self.fault(f"{key}[{n}]", "is not an object")
            found.append(Node(each, f"{self.path}.{key}[{n}]", self.left))
        return found

    def fault(self, key: str, reason: str) -> RowFault:
        return RowFault(f"{self.path}.{key}", reason)

    def stays(self, key: str, reason: str) -> None:
        """It is left, and this is why."""
        for path in leaves(self.raw.get(key), f"{self.path}.{key}"):
            self.left[path] = reason


def leaves(value: Any, path: str) -> Iterator[str]:
    """Paths of all values but those that say nothing."""
    match value:
        case dict():
            for key, each in value.items():
                yield from leaves(each, f"{path}.{key}")
        case list():
            for n, each in enumerate(value):
                yield from leaves(each, f"{path}[{n}]")
        case None | "":
            return
        case _:
            yield path


class Found(NamedTuple):
    records: dict[str, list[Node]]
    homeless: list[Homeless]  # what is no record


def records_in(folder: Folder) -> Found:
    """A file holds a record, a list of them, or a list of examples as in the API's documentation:
    each with its ``section``, and one or several records as ``json``."""
    found = Found({noun: [] for noun in RECORDS}, [])
    for noun, document in folder.documents.items():
        for path, value in _each(document, noun):
            known = isinstance(value, dict) and any(
                fields <= value.keys() for fields in RECORDS[noun]
            )
            if known:
                found.records[noun].append(Node(value, path))
            elif value not in (None, "", [], {}):
                found.homeless.append(Homeless(path, f"is no record of {words(noun)}"))
    return found


def _each(document: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(document, list):
        yield path, document
        return
    for n, each in enumerate(document):
        match each:
            case {"section": str(), "json": inner}:
                yield from _each(inner, f"{path}[{n}].json")
            case _:
                yield f"{path}[{n}]", each


# --- what its words say ---------------------------------------------------------------------


def applied_at(application: Node) -> datetime:
    """For the order in which they are written: who applied again was rejected before."""
    with suppress(RowFault):  # the application is refused for it
        if not is_prospect(application) and (at := application.at("applied_at")):
            return at
    return datetime.max.replace(tzinfo=UTC)


def is_prospect(application: Node) -> bool:
    """Somebody whom they might ask, for several jobs or none: no application."""
    jobs = application.raw.get("jobs")
    return application.raw.get("prospect") is True or not jobs


def applications_in(candidate: Node) -> list[Node]:
    with suppress(RowFault):  # the candidate is refused for it
        return candidate.nodes("applications")
    return []


def matching(table: Sequence[tuple[str, Any]], name: str) -> Any:
    return next((value for like, value in table if re.search(like, name, re.IGNORECASE)), None)


def code_of(text: str, otherwise: str) -> str:
    """As a slug; where there is no letter that it could begin with, of ``otherwise`` and a hash of
    the text, or "" without."""
    code = re.sub(r"[^a-z0-9]+", "_", text.casefold()).strip("_")[:40].rstrip("_")
    with suppress(msgspec.ValidationError):
        return msgspec.convert(code, Slug)
    return f"{otherwise}_{id_of(otherwise, text).hex[:12]}" if otherwise else ""


def stage_id(name: str) -> str:
    """By its name in Greenhouse alone: the agency may give it another label here. No name is that
    of a stage in which a candidacy is over or the client's."""
    id = _known_by(name, "stage")
    return id if all(id != end.id for end in ENDS) else _hashed(name, "stage")


def question_id(asked: str) -> str:
    """By the words of it alone, with or without the mark at its end."""
    return _known_by(asked.rstrip(" ?:.*") or asked, "question")


def _known_by(text: str, noun: str) -> str:
    """A code that no other text has, but for capitals: the words, or with a hash where there is
    more in the text than these."""
    code = code_of(text, noun)
    return code if code.replace("_", " ") == text.casefold() else _hashed(text, noun)


def _hashed(text: str, noun: str) -> str:
    return code_of(f"{text[:20].casefold()} {id_of(noun, text.casefold()).hex[:12]}", noun)


def folded(text: str) -> str:
    return " ".join(text.casefold().split())


def salary_of(job: Node) -> tuple[int, int, str]:
    """The salary, in minor units; nothing if it is no range of whole amounts in one currency."""
    salary = job.node("custom_fields")
    if not isinstance(salary.raw.get("salary_range"), dict):
        return 0, 0, "EUR"
    salary = salary.node("salary_range")
    low, high, unit = (salary.raw.get(key) for key in ("min_value", "max_value", "unit"))
    if not isinstance(unit, str) or not re.fullmatch("[A-Z]{3}", unit):
        return 0, 0, "EUR"
    if not isinstance(low, int) or not isinstance(high, int) or not 0 <= low <= high < 10**12:
        return 0, 0, "EUR"
    salary.take("min_value", "max_value", "unit")
    into = 10 ** DIGITS.get(unit, 2)
    return low * into, high * into, unit
