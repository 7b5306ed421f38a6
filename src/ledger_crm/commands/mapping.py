"""Mappings: a small TOML file that says which facts a row of a CSV file stands for.

    load_mapping(path)          -> Mapping    the file, checked
    mapping.bind(header, hash)  -> Sheet      compiled to the columns of one file
    sheet(values)               -> Planned    one row's facts: a key, a fingerprint and steps

A fact in a mapping is written like its event: ``kind`` and the fields of its Struct, so there is
no list of fields to maintain here; beside them the id of the stream that it is written to
(``person_id``, ``company_id``). Ids are keys of the file's own: the same key is the same id in
every run on the same ledger. A key may be an address, and ids go out on the feed, so they are made
by the ledger's keyed hash: nobody without its key can try out who it is.
``docs/importing.md`` is the manual.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import inspect

from ledger_crm.domain.agreement import FeeAgreed
from ledger_crm.domain.candidate import Move
from ledger_crm.domain.company import Company, CompanyAdded
from ledger_crm.domain.custom import CustomFieldDefined, Subject, custom_fields_id
from ledger_crm.domain.entry import Aggregate, Cents, Currency, Instant, Reason, Sealed, Slug, Title
from ledger_crm.domain.faults import in_words
from ledger_crm.domain.fee import DIGITS
from ledger_crm.domain.identity import Employed
from ledger_crm.domain.interaction import (
    CallHeld,
    Interaction,
    MessageReplied,
    MessageSent,
    NoteWritten,
)
from ledger_crm.domain.joborder import JobOrderOpened
from ledger_crm.domain.permission import (
    ConsentGiven,
    ConsentWithdrawn,
    DoNotContactLifted,
    DoNotContactSet,
    OffLimitsAgreed,
    OffLimitsFacts,
    OffLimitsLifted,
    Permissions,
)
from ledger_crm.domain.person import ContactPointAdded, Person, PersonSourced
from ledger_crm.domain.pipeline import PipelineDefined, pipeline_id
from ledger_crm.ledger import Work

from . import candidacies, catalogue, customising, intake, selling


class ImportFault(Exception):
    """The file or its mapping cannot be used at all. One line: what, where, what to do."""


Hash = Callable[[str, str], bytes]
"""Of a value in its scope: 32 bytes, keyed, as ``Keyring.hash_of``."""


class RowFault(Exception):
    """This row says nothing that can be written. Never repeats a value."""

    def __init__(self, columns: str, reason: str, type: str = "") -> None:
        """``type``: of the refusal, if a rule refused it."""
        super().__init__(reason)
        self.columns, self.reason, self.type = columns, reason, type


# --- the facts that can be imported ---------------------------------------------------------


class CandidacyOpening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """stage  "": the pipeline's first
    past   it happened elsewhere, and so did the introduction, if there was one
    """

    company_id: UUID
    job_order_id: UUID
    at: Instant
    stage: Slug | Literal[""] = ""
    text: Sealed = ""
    past: bool = False


class CandidacyMove(Move, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a candidacy goes, also out of its pipeline and back into it.

    past  it happened elsewhere, and so did the introduction, if there was one
    """

    job_order_id: UUID
    past: bool = False


class DealOpening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """stage  "": the pipeline's first"""

    deal_id: UUID
    title: Title
    at: Instant
    pipeline: Slug = "sales"
    stage: Slug | Literal[""] = ""
    value_cents: Cents = 0
    currency: Currency = "EUR"
    expected_close_on: date | None = None
    contact_id: UUID | None = None


class DealMove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    deal_id: UUID
    stage: Slug
    at: Instant
    reason: Reason = ""
    text: Sealed = ""


async def _source(
    work: Work, id: UUID, fact: PersonSourced, reachable: intake.Reachable
) -> Aggregate:
    return await intake.source_person(work, fact, reachable, id=id)


async def _add_point(work: Work, id: UUID, fact: ContactPointAdded) -> Aggregate:
    return await intake.add_contact_point(
        work,
        id,
        fact.point,
        fact.value,
        at=fact.added_at,
        valid_from_on=fact.valid_from_on,
        valid_until_on=fact.valid_until_on,
    )


async def _record(work: Work, id: UUID, fact: Interaction) -> Aggregate:
    return await intake.record(work, id, fact)


async def _permit(work: Work, id: UUID, fact: Permissions) -> Aggregate:
    return await intake.permit(work, id, fact)


async def _set_off_limits(work: Work, id: UUID, fact: OffLimitsFacts) -> Aggregate:
    company = await work.get(Company, id)
    company.set_off_limits(fact, by=work.by)
    return company


async def _employ(work: Work, id: UUID, fact: Employed) -> Aggregate:
    return await intake.employ(work, id, fact)


async def _open_candidacy(work: Work, id: UUID, to: CandidacyOpening) -> Aggregate:
    return await candidacies.open_candidacy(
        work,
        id,
        company_id=to.company_id,
        job_order_id=to.job_order_id,
        at=to.at,
        stage=to.stage,
        text=to.text,
        past=to.past,
    )


async def _move(work: Work, id: UUID, to: CandidacyMove) -> Aggregate:
    return await candidacies.move_on(work, id, to.job_order_id, to, past=to.past)


async def _add_company(work: Work, id: UUID, fact: CompanyAdded) -> Aggregate:
    return await intake.add_company(work, fact, id=id)


async def _open_job_order(work: Work, id: UUID, fact: JobOrderOpened) -> Aggregate:
    return await selling.open_job_order(work, id, fact)


async def _agree_fee(work: Work, id: UUID, fact: FeeAgreed) -> Aggregate:
    company = await work.get(Company, id)
    company.agree_fee(fact, by=work.by)
    return company


async def _open_deal(work: Work, id: UUID, deal: DealOpening) -> Aggregate:
    rest = msgspec.structs.asdict(deal)
    return await selling.open_deal(work, id, id=rest.pop("deal_id"), **rest)


async def _move_deal(work: Work, id: UUID, to: DealMove) -> Aggregate:
    return await selling.move_deal(
        work, id, to.deal_id, stage=to.stage, at=to.at, reason=to.reason, text=to.text
    )


class PersonField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """value         as text: 12.5, 1250.00 EUR, 2026-12-31, a choice, choices with commas between
    job_order_id  of the placement that it is about; None: it is about the person
    """

    field: Slug
    value: Sealed = ""
    value_person_id: UUID | None = None
    value_company_id: UUID | None = None
    job_order_id: UUID | None = None
    set_at: Instant | None = None


class CompanyField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """value                  as text, as of a person
    job_order_id, deal_id  that it is about; without both it is about the company
    """

    field: Slug
    value: Sealed = ""
    value_person_id: UUID | None = None
    value_company_id: UUID | None = None
    job_order_id: UUID | None = None
    deal_id: UUID | None = None
    set_at: Instant | None = None


async def _set_person_field(work: Work, id: UUID, said: PersonField) -> Aggregate:
    of = said.job_order_id
    values = await _field_value(work, "placement" if of else "person", said)
    if of:
        candidacy = (await work.get(Person, id)).candidacy_on(of)
        return await customising.of_placement(work, id, candidacy, values, at=said.set_at)
    return await customising.of_person(work, id, values, at=said.set_at)


async def _set_company_field(work: Work, id: UUID, said: CompanyField) -> Aggregate:
    subject: Subject = "job_order" if said.job_order_id else "deal" if said.deal_id else "company"
    values = await _field_value(work, subject, said)
    of = {"job_order_id": said.job_order_id, "deal_id": said.deal_id}
    return await customising.of_company(work, id, values, **of, at=said.set_at)


async def _field_value(
    work: Work, subject: Subject, said: PersonField | CompanyField
) -> customising.Values:
    """Nothing of an empty cell."""
    id = said.value_person_id or said.value_company_id
    if id:
        return {said.field: str(id)}
    if not said.value:
        return {}
    return await customising.from_text(work, subject, said.field, said.value)


async def _define_pipeline(work: Work, _: UUID, fact: PipelineDefined) -> Aggregate:
    return await catalogue.define_pipeline(work, fact)


async def _define_field(work: Work, _: UUID, fact: CustomFieldDefined) -> Aggregate:
    return await customising.define(work, fact)


class Kind(NamedTuple):
    """of     whose stream it is written to; its id is asked for as ``<of>_id``
    forms  Structs with the fields of the fact
    do     the command, given the work, the stream's id, and the forms
    """

    of: Literal["person", "company", "pipeline", "custom_field"]
    forms: tuple[type[msgspec.Struct], ...]
    do: Callable[..., Awaitable[Aggregate]]


KINDS: dict[str, Kind] = {
    "person.sourced": Kind("person", (PersonSourced, intake.Reachable), _source),
    "person.contact_point_added": Kind("person", (ContactPointAdded,), _add_point),
    "person.employed": Kind("person", (Employed,), _employ),
    "person.message_sent": Kind("person", (MessageSent,), _record),
    "person.message_replied": Kind("person", (MessageReplied,), _record),
    "person.call_held": Kind("person", (CallHeld,), _record),
    "person.note_written": Kind("person", (NoteWritten,), _record),
    "person.consent_given": Kind("person", (ConsentGiven,), _permit),
    "person.consent_withdrawn": Kind("person", (ConsentWithdrawn,), _permit),
    "person.do_not_contact_set": Kind("person", (DoNotContactSet,), _permit),
    "person.do_not_contact_lifted": Kind("person", (DoNotContactLifted,), _permit),
    "person.candidacy_opened": Kind("person", (CandidacyOpening,), _open_candidacy),
    "person.candidacy_moved": Kind("person", (CandidacyMove,), _move),
    "company.added": Kind("company", (CompanyAdded,), _add_company),
    "company.job_order_opened": Kind("company", (JobOrderOpened,), _open_job_order),
    "company.fee_agreed": Kind("company", (FeeAgreed,), _agree_fee),
    "company.off_limits_agreed": Kind("company", (OffLimitsAgreed,), _set_off_limits),
    "company.off_limits_lifted": Kind("company", (OffLimitsLifted,), _set_off_limits),
    "company.deal_opened": Kind("company", (DealOpening,), _open_deal),
    "company.deal_moved": Kind("company", (DealMove,), _move_deal),
    "person.custom_field_set": Kind("person", (PersonField,), _set_person_field),
    "company.custom_field_set": Kind("company", (CompanyField,), _set_company_field),
    "pipeline.defined": Kind("pipeline", (PipelineDefined,), _define_pipeline),
    "custom_field.defined": Kind("custom_field", (CustomFieldDefined,), _define_field),
}

DEFINITIONS: dict[str, Callable[[dict[str, Any]], UUID]] = {
    "pipeline": lambda content: pipeline_id(content["slug"]),
    "custom_field": lambda content: custom_fields_id(content["subject"]),
}
"""Streams whose id is in what is said of them. Said otherwise, it is another wish; all else that
is written once is refused then."""

PERSONS = ("person_id", "to_person_id", "contact_id", "hiring_manager_id", "value_person_id")
COMPANIES = ("company_id", "value_company_id")
"""Fields that hold the id of a person or of a company; every other ``<noun>_id`` holds that of a
<noun>."""


# --- the file -------------------------------------------------------------------------------


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On the value of a column; all that are given must hold."""

    is_: str | list[str] | None = msgspec.field(default=None, name="is")
    not_: str | list[str] | None = msgspec.field(default=None, name="not")
    starts: str | None = None
    ends: str | None = None
    empty: bool | None = None


Conditions = dict[str, str | list[str] | Condition]
"""By column; a plain value means ``is``. All must hold."""


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """name                  of this kind of file; rows that are in are known by it
    ids                   the name under which keys become ids, to share them between files;
                          "": ``name``
    key                   template: what makes a row the same row in the next run
    timezone              of instants without an offset; "": those are refused
    unfinished_last_line  a last line without a line end is whole, as some programs write it
    where                 which rows
    ignore                columns that are left out on purpose
    map                   tables of words, for ``{column|map:table}``
    setup                 facts written once, before the rows
    fact                  facts of each row, in this order
    """

    name: Slug
    ids: Slug | Literal[""] = ""
    key: str
    delimiter: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"
    timezone: str = ""
    unfinished_last_line: bool = False
    where: Conditions = {}
    ignore: list[str] = []
    map: dict[str, dict[str, str]] = {}
    setup: list[dict[str, Any]] = []
    fact: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]

    @property
    def codec(self) -> str:
        """``utf-8-sig`` is ``utf-8`` here: the reader takes the mark off by itself."""
        plain = self.encoding.lower().replace("_", "-")
        return "utf-8" if plain == "utf-8-sig" else self.encoding

    def bind(self, header: Sequence[str], hash: Hash) -> Sheet:
        """Raises ImportFault: a column that is missing, twice there, or left over."""
        return Sheet(self, header, hash)

    def before(self, hash: Hash) -> list[Planned]:
        """What ``[[setup]]`` writes."""
        compiler = Compiler(self, (), hash)
        planned = []
        for n, table in enumerate(self.setup, 1):
            where = f"setup {n}"
            _, make = compiler.fact(table, where)
            step = make(())
            fingerprint = fingerprint_of(hash, [step])
            revised = KINDS[step.kind].of in DEFINITIONS
            key = f"{n}:{fingerprint.hex()}" if revised else str(n)
            planned.append(Planned(f"setup:{key}", fingerprint, [step]))
        return planned


def load_mapping(path: Path) -> Mapping:
    """Raises ImportFault, naming the file, the key in it, and what is allowed there."""
    try:
        return read_mapping(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ImportFault(f"{path}: cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise ImportFault(f"{path}: is not UTF-8") from None
    except ImportFault as fault:
        raise ImportFault(f"{path}: {fault}") from None


def read_mapping(text: str) -> Mapping:
    """Raises ImportFault."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ImportFault(f"is not TOML: {fault}") from None
    allowed = [field.encode_name for field in msgspec.structs.fields(Mapping)]
    for key in document:
        if key not in allowed:
            raise ImportFault(f"{key}: no such key; allowed: {', '.join(allowed)}")
    try:
        mapping = msgspec.convert(document, Mapping)
    except msgspec.ValidationError as fault:
        raise ImportFault(_in_toml(fault)) from None
    try:
        if "\n,".encode(mapping.codec) != b"\n,":
            raise ImportFault(f"encoding: {mapping.encoding} is not supported: convert to UTF-8")
    except LookupError:
        raise ImportFault(f"encoding: {mapping.encoding} is not known") from None
    if mapping.delimiter in '\r\n" ':
        raise ImportFault("delimiter: must not be a blank, a quote or a line end")
    mapping.before(_unkeyed)
    compiler = Compiler(mapping, None, _unkeyed)
    compiler.template(mapping.key, "key")
    for n, table in enumerate(mapping.fact, 1):
        compiler.fact(table, f"fact {n}")
    return mapping


def _unkeyed(_: str, __: str) -> bytes:
    """For a mapping that is only checked: its ids are thrown away."""
    return bytes(32)


def _in_toml(fault: msgspec.ValidationError) -> str:
    """``Expected `str`, got `int` - at `$.fact[0].key` `` -> ``fact[0].key: expected ...``"""
    what, _, where = str(fault).partition(" - at `")
    where = where.strip("`").removeprefix("$").strip(".")
    if missing := re.search(r"missing required field `(.+)`", what):
        return f"{missing[1]}: is missing"
    if "unknown field" in what:
        allowed = ", ".join(field.encode_name for field in msgspec.structs.fields(Condition))
        what = f"{what}; allowed: {allowed}"
    return f"{where}: {what[0].lower()}{what[1:]}"


# --- compiled to closures, once per file ----------------------------------------------------

Values = Sequence[str]
"""A row's values, stripped, in the order of its columns."""

Text = Callable[[Values], str]
V = TypeVar("V")


class Step(NamedTuple):
    """One fact of one row, ready to be decided.

    content  its fields as mapped; as JSON, those of columns, of a row that another process read
    columns  which columns a field comes from
    fact     which of the mapping's, from 0
    """

    kind: str
    do: Callable[..., Awaitable[Aggregate]]
    id: UUID
    forms: tuple[msgspec.Struct, ...]
    content: dict[str, Any] | msgspec.Raw
    columns: dict[str, str]
    fact: int = 0

    def of_columns(self) -> dict[str, Any]:
        """Of ``content``, what comes from the row."""
        content, columns = self.content, self.columns
        if isinstance(content, msgspec.Raw):
            content = msgspec.json.decode(content, type=dict[str, Any])
        return {field: content[field] for field in content if columns.get(field)}


class Planned(NamedTuple):
    """What a row stands for. ``fingerprint``: of the facts as mapped, without their defaults, so
    that a new version of this software finds the same row the same; keyed, because it stays when
    a person is erased."""

    key: str
    fingerprint: bytes
    steps: list[Step]


def fingerprint_of(hash: Hash, steps: Iterable[Step]) -> bytes:
    content = _encode([(s.kind, s.id, s.content) for s in steps])
    return hash("import fingerprint", content.decode())


_encode = msgspec.json.Encoder().encode


class Fact(NamedTuple):
    """What every step of one of a mapping's facts has in common."""

    kind: str
    do: Callable[..., Awaitable[Aggregate]]
    columns: dict[str, str]
    forms: tuple[type[msgspec.Struct], ...]


class Sheet:
    """A mapping over the columns of one file."""

    def __init__(self, mapping: Mapping, header: Sequence[str], hash: Hash) -> None:
        for column in header:
            if header.count(column) > 1:
                raise ImportFault(f"the file has the column {column!r} twice")
        compiler = Compiler(mapping, header, hash)
        self.width, self._hash = len(header), hash
        self.wanted = compiler.conditions(mapping.where, "where")
        self._key, self._key_columns = compiler.template(mapping.key, "key")
        self._facts = [compiler.fact(t, f"fact {n}") for n, t in enumerate(mapping.fact, 1)]
        self.facts = compiler.facts
        if left := [c for c in header if c not in compiler.used and c not in mapping.ignore]:
            raise ImportFault(
                f"the mapping does not use the column {left[0]!r}: use it, or add it to `ignore`"
            )

    def __call__(self, values: Values) -> Planned | None:
        """None: not a row that was asked for. Raises RowFault."""
        if not self.wanted(values):
            return None
        key = self._key(values)
        if not key:
            raise RowFault(self._key_columns, "the row's key is empty")
        steps = [make(values) for applies, make in self._facts if applies(values)]
        if not steps:
            raise RowFault("", "no [[fact]] of the mapping applies to this row")
        return Planned(key, fingerprint_of(self._hash, steps), steps)


class Compiler:
    """``header`` None: only check; (): there are no columns."""

    def __init__(self, mapping: Mapping, header: Sequence[str] | None, hash: Hash) -> None:
        self.mapping, self.header = mapping, header
        self.used: set[str] = set()
        self.facts: list[Fact] = []
        try:
            self.timezone = ZoneInfo(mapping.timezone) if mapping.timezone else None
        except (ZoneInfoNotFoundError, ValueError):
            raise ImportFault(f"timezone: {mapping.timezone} is not known") from None
        self.id = lru_cache(8192)(partial(made_id, hash, mapping.ids or mapping.name))

    def column(self, name: str, where: str) -> int:
        self.used.add(name)
        if self.header is None:
            return 0
        if not self.header:
            raise ImportFault(f"{where}: {{{name}}}: there are no columns before the rows")
        if name not in self.header:
            found = ", ".join(self.header)
            raise ImportFault(
                f"the file has no column {name!r}, which {where} needs; it has: {found}"
            )
        return self.header.index(name)

    def conditions(self, conditions: Conditions, where: str) -> Callable[[Values], bool]:
        tests = [
            (self.column(column, where), _holds(condition))
            for column, condition in conditions.items()
        ]
        if not tests:
            return lambda _: True
        if len(tests) == 1:
            [(at, holds)] = tests
            return lambda values: holds(values[at])
        return lambda values: all(holds(values[at]) for at, holds in tests)

    def fact(
        self, table: dict[str, Any], where: str
    ) -> tuple[Callable[[Values], bool], Callable[[Values], Step]]:
        """Whether a row says it, and what it says."""
        fields = dict(table)
        name = fields.pop("kind", None)
        kind = KINDS.get(name) if isinstance(name, str) else None
        if kind is None:
            raise ImportFault(f"{where}: kind: no such fact; allowed: {', '.join(KINDS)}")
        where = f"{where} ({name})"
        try:
            conditions = msgspec.convert(fields.pop("when", {}), Conditions)
        except msgspec.ValidationError as fault:
            raise ImportFault(f"{where}: when: {_in_toml(fault)}") from None
        if conditions and self.header == ():
            raise ImportFault(f"{where}: when: there are no columns before the rows")
        applies = self.conditions(conditions, where)

        stream = f"{kind.of}_id"
        own = {f.encode_name: f for form in kind.forms for f in msgspec.structs.fields(form)}
        known = [*([] if kind.of in DEFINITIONS else [stream]), *own]
        for field in fields:
            if field not in known:
                raise ImportFault(
                    f"{where}: {field}: no such field; allowed: when, {', '.join(known)}"
                )
        for field in known:
            optional = field in own and (
                not own[field].required and own[field].default_factory is not _NEW_ID
            )
            if field not in fields and not optional:
                raise ImportFault(f"{where}: {field}: is missing")

        constants, made, columns = self._fields(fields, self._currency(fields, own, where), where)
        of = constants.pop(stream, None)
        make_of = made.pop(stream, None)
        forms = [
            (form, [f.encode_name for f in msgspec.structs.fields(form)]) for form in kind.forms
        ]
        do, made_items, number = kind.do, list(made.items()), len(self.facts)
        self.facts.append(Fact(name, do, columns, kind.forms))
        if self.header != () and not made and not make_of:
            raise ImportFault(f"{where}: uses no column: write it in [[setup]]")

        def build(values: Values) -> Step:
            id = make_of(values) if make_of else of
            if id is None and make_of:
                raise RowFault(columns[stream], f"{stream} is empty")
            content = constants.copy()
            for field, make in made_items:
                if value := make(values):  # a text or an id
                    content[field] = value
            if len(forms) == 1:
                parts: tuple[msgspec.Struct, ...] = (convert(content, forms[0][0]),)
            else:
                parts = tuple(
                    convert({f: content[f] for f in names if f in content}, form)
                    for form, names in forms
                )
            id = id or DEFINITIONS[kind.of](content)
            return Step(name, do, id, parts, content, columns, number)

        def convert(content: dict[str, Any], form: type[msgspec.Struct]) -> msgspec.Struct:
            try:
                return msgspec.convert(content, form, strict=False)
            except msgspec.ValidationError as fault:
                field, reason = _explained(fault, form)
                raise RowFault(columns.get(field, ""), f"{field}: {reason}") from None

        if self.header == ():
            try:
                build(())  # what has no columns is right or wrong now
            except RowFault as fault:
                raise ImportFault(f"{where}: {fault.reason}") from None
        return applies, build

    def _currency(self, fields: dict[str, Any], own: dict[str, Any], where: str) -> Money:
        """What the fact's amounts are in."""
        default = own["currency"].default if "currency" in own else ""
        default = default if isinstance(default, str) else ""
        match fields.get("currency"):
            case str() as written:
                text, columns = self.template(written, f"{where}: currency")
                if columns:
                    return Money(default, text)
                return Money(text(()))
            case _:
                return Money(default, said=False)

    def _fields(
        self, fields: dict[str, Any], money: Money, where: str
    ) -> tuple[dict[str, Any], dict[str, Callable[[Values], Any]], dict[str, str]]:
        """Those that are the same for every row, those that are not, and their columns."""
        constants: dict[str, Any] = {}
        made: dict[str, Callable[[Values], Any]] = {}
        columns: dict[str, str] = {}
        for field, value in sorted(fields.items()):
            at = f"{where}: {field}"
            amount = money if field.endswith("_cents") else None
            match value:
                case str():
                    text, columns[field] = self.template(value, at, amount)
                case [str(), *_] if all(isinstance(part, str) for part in value):
                    text, columns[field] = self._joined(value, at)
                case _:
                    constants[field] = value
                    continue
            make: Callable[[Values], Any] = text
            if field.endswith("_id") and field not in ("message_id", "thread_id"):
                noun = "person" if field in PERSONS else field.removesuffix("_id")
                noun = "company" if field in COMPANIES else noun
                make = self._memo(value, partial(_id_from, text, partial(self.id, noun)))
            if columns[field]:
                made[field] = make
            else:
                constants[field] = make(())
        return constants, made, columns

    def _joined(self, parts: list[str], where: str) -> tuple[Text, str]:
        """A list of templates: those that are not empty, with commas between."""
        made = [self.template(part, where) for part in parts]
        texts = [text for text, _ in made]
        columns = dict.fromkeys(c for _, names in made for c in names.split(", ") if c)

        def join(values: Values) -> str:
            return ", ".join(part for text in texts if (part := text(values)))

        return join, ", ".join(columns)

    def template(self, template: str, where: str, money: Money | None = None) -> tuple[Text, str]:
        """The text for a row, and the names of the columns it is made of. ``money``: of an
        amount."""
        try:
            parts = list(_parsed(template))
        except ValueError as fault:
            raise ImportFault(f"{where}: {template!r}: {fault}") from None
        columns = ", ".join(_columns(parts))
        made = [self._part(part, where, money) for part in parts]
        if not columns:
            constant = "".join(part.literal for part in parts)
            return lambda _: constant, ""
        if len(made) == 1:
            alone = parts[0].filters and not (money and money.of_row)
            return self._memo(template, made[0]) if alone else made[0], columns

        def joined(values: Values) -> str:
            # a part that is missing leaves no gap behind
            return " ".join("".join([part(values) for part in made]).split())

        return joined if money and money.of_row else self._memo(template, joined), columns

    def _memo(self, template: Any, make: Callable[[Values], V]) -> Callable[[Values], V]:
        """``make``, done once for each value where it comes from a single column."""
        names = _columns(_parsed(template)) if isinstance(template, str) else []
        if not self.header or len(names) != 1:
            return make
        at, blank = self.header.index(names[0]), [""] * len(self.header)

        @lru_cache(8192)
        def known(value: str) -> V:
            return make([*blank[:at], value, *blank[at + 1 :]])

        return lambda values: known(values[at])

    def _part(self, part: Part, where: str, money: Money | None) -> Text:
        if not part.column:
            literal = part.literal
            return lambda _: literal
        column, at = part.column, self.column(part.column, where)
        filters = [self._filter(*filter, where=where, money=money) for filter in part.filters]
        if not filters:
            return lambda values: values[at]

        def filtered(values: Values) -> str:
            text = values[at]
            if not text:
                return ""
            try:
                for filter in filters:
                    text = filter(text, values)
            except ValueError as fault:
                raise RowFault(column, str(fault)) from None
            return text

        return filtered

    def _filter(
        self, name: str, argument: str, *, where: str, money: Money | None
    ) -> Callable[[str, Values], str]:
        match name:
            case "map":
                if argument not in self.mapping.map:
                    raise ImportFault(f"{where}: map:{argument}: there is no [map.{argument}]")
                return _plain(partial(_mapped, self.mapping.map[argument], argument))
            case "date":
                return _plain(partial(_date, argument))
            case "instant":
                return _plain(partial(_instant, argument, self.timezone))
            case "cents":
                return _amount(_in(money, argument, f"{where}: |cents"))
            case _ if name in _FILTERS and not argument:
                return _plain(_FILTERS[name])
        allowed = "cents:CURRENCY, map:TABLE, date:FORMAT, instant:FORMAT"
        raise ImportFault(
            f"{where}: |{name}: no such format; allowed: {', '.join(_FILTERS)}, {allowed}"
        )


class Money(NamedTuple):
    """The currency of a fact's amounts.

    code    of all rows; of a row that leaves it empty, where ``of_row`` gives it
    of_row  where a column says it
    said    by the mapping, and not by the fact's own default
    """

    code: str
    of_row: Text | None = None
    said: bool = True


def _in(money: Money | None, argument: str, where: str) -> Money:
    """What an amount with this argument is in. Raises ImportFault where that is not known: how
    many digits a minor unit has goes by the currency."""
    if money is None:
        raise ImportFault(f"{where}: is for fields in _cents; for a rate, write |hundredths")
    if not argument:
        if money.said:
            return money
        raise ImportFault(f"{where}: in which currency? Write `currency`, or |cents:EUR")
    if not re.fullmatch("[A-Z]{3}", argument, re.ASCII):
        raise ImportFault(f"{where}:{argument}: is not a currency like EUR (ISO 4217)")
    if money.of_row or money.code not in ("", argument):
        of = "a column's" if money.of_row else money.code
        raise ImportFault(f"{where}:{argument}: the fact's own currency is {of}")
    return Money(argument)


_NEW_ID = next(
    f.default_factory for f in msgspec.structs.fields(JobOrderOpened) if f.name == "job_order_id"
)


def made_id(hash: Hash, space: str, noun: str, key: str) -> UUID:
    """A key that reads as an id is one: of a record that was not imported. Else RFC 9562's
    version 8, which is for ids made in a way of one's own."""
    if len(key) == 36:
        with suppress(ValueError):
            return UUID(key)
    made = int.from_bytes(hash("import id", f"{space}\x1f{noun}\x1f{key}")[:16], "big")
    return UUID(int=made & ~(0xF << 76 | 0b11 << 62) | 8 << 76 | 0b10 << 62)


def _id_from(text: Text, id: Callable[[str], UUID], values: Values) -> UUID | None:
    key = text(values)
    return id(key) if key else None


def _holds(condition: str | list[str] | Condition) -> Callable[[str], bool]:
    if not isinstance(condition, Condition):
        condition = Condition(is_=condition)
    tests: list[Callable[[str], bool]] = []
    if (is_ := condition.is_) is not None:
        wanted = frozenset([is_] if isinstance(is_, str) else is_)
        tests.append(wanted.__contains__)
    if (not_ := condition.not_) is not None:
        unwanted = frozenset([not_] if isinstance(not_, str) else not_)
        tests.append(lambda value: value not in unwanted)
    if (starts := condition.starts) is not None:
        tests.append(lambda value: value.startswith(starts))
    if (ends := condition.ends) is not None:
        tests.append(lambda value: value.endswith(ends))
    if (empty := condition.empty) is not None:
        tests.append(lambda value: (not value) is empty)
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _columns(parts: Iterable[Part]) -> list[str]:
    return list(dict.fromkeys(part.column for part in parts if part.column))


class Part(NamedTuple):
    literal: str = ""
    column: str = ""
    filters: tuple[tuple[str, str], ...] = ()


def _parsed(template: str) -> Iterator[Part]:
    """``{given_name|title} {surname}``; a brace is doubled. Raises ValueError."""
    at = 0
    for found in re.finditer(r"\{\{|\}\}|\{([^{}]*)\}|[{}]", template):
        if found.start() > at:
            yield Part(literal=template[at : found.start()])
        at = found.end()
        match found[0]:
            case "{{" | "}}" as brace:
                yield Part(literal=brace[0])
            case "{" | "}":
                raise ValueError("a brace is open; write a brace as {{ or }}")
            case _:
                column, *filters = found[1].split("|")
                if not column.strip():
                    raise ValueError("names no column")
                split = tuple(f.strip().partition(":") for f in filters)
                yield Part(column=column.strip(), filters=tuple((n, a) for n, _, a in split))
    if at < len(template):
        yield Part(literal=template[at:])


def _mapped(table: dict[str, str], name: str, text: str) -> str:
    try:
        return table[text]
    except KeyError:
        raise ValueError(f"the value is not in [map.{name}]") from None


def _date(format: str, text: str) -> str:
    try:
        day = datetime.strptime(text, format or "%Y-%m-%d")  # noqa: DTZ007  (a day has no zone)
    except ValueError:
        raise ValueError(f"is not a day like {format or '%Y-%m-%d'}") from None
    return day.date().isoformat()


def _instant(format: str, timezone: tzinfo | None, text: str) -> str:
    try:
        at = datetime.strptime(text, format) if format else datetime.fromisoformat(text)  # noqa: DTZ007
        if at.tzinfo is None and timezone is None:
            raise ValueError("has no offset from UTC: say `timezone` in the mapping")
        utc = (at if at.tzinfo else at.replace(tzinfo=timezone)).astimezone(UTC)
        if at.tzinfo is None and utc.astimezone(timezone).replace(tzinfo=None) != at:
            raise ValueError("lies in the hour that clocks leave out in spring: give an offset")
        return utc.isoformat()
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999") from None
    except ValueError as fault:
        if "offset" in str(fault):
            raise
        raise ValueError(f"is not an instant like {format or 'ISO 8601'}") from None


def _plain(filter: Callable[[str], str]) -> Callable[[str, Values], str]:
    return lambda text, _: filter(text)


def _amount(money: Money) -> Callable[[str, Values], str]:
    """Minor units."""

    def amount(text: str, values: Values) -> str:
        code = (money.of_row(values) if money.of_row else "") or money.code
        return _shifted(text, DIGITS.get(code, 2))

    return amount


def _shifted(text: str, digits: int) -> str:
    # a comma that might be a decimal one is refused: an amount that is wrong stays for ever
    decimals = rf"(\.\d{{1,{digits}}})?" if digits else ""
    if not re.fullmatch(rf"-?(\d{{1,3}}(,\d{{3}})+|\d+){decimals}", text.strip(), re.ASCII):
        like = f"1,234.{'50'.ljust(digits, '0')[:digits]}" if digits else "1,234"
        raise ValueError(f"is not an amount like {like}")
    return str(int(Decimal(text.strip().replace(",", "")).scaleb(digits)))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40]


_FILTERS: dict[str, Callable[[str], str]] = {
    "title": string.capwords,
    "lower": str.lower,
    "upper": str.upper,
    "slug": _slug,
    "hundredths": partial(_shifted, digits=2),
}


def _explained(fault: msgspec.ValidationError, form: type[msgspec.Struct]) -> tuple[str, str]:
    """Which field, and what is wrong with it. msgspec repeats a word it does not know, which may
    be somebody's name in the wrong column: we list those that are known instead."""
    what, _, where = str(fault).partition(" - at `$")
    field = re.split(r"[.\[`]", where.lstrip("."))[0]
    if missing := re.search(r"missing required field `(.+)`", what):
        return missing[1], "is missing"
    if what.startswith("Invalid enum value"):
        type_ = next(f.type for f in _fields(form) if f.encode_name == field)
        return field, f"is none of: {', '.join(_words(type_))}"
    if "timezone component" in what or "RFC3339" in what:
        return field, "is not an instant with an offset from UTC: write {column|instant} for others"
    return field, in_words(what)


def _fields(form: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    type_ = inspect.type_info(form)
    assert isinstance(type_, inspect.StructType)
    return type_.fields


def _words(type_: inspect.Type) -> Iterator[str]:
    match type_:
        case inspect.LiteralType(values=values):
            yield from map(str, values)
        case inspect.UnionType(types=types):
            for member in types:
                yield from _words(member)
        case inspect.Metadata(type=inner):
            yield from _words(inner)
