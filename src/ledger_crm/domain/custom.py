"""Custom fields: what an agency wants to know beside what we ask for, typed and defined by itself.

    define -> define*        on the catalogue, one stream for each subject
    set -> set* -> clear?    on the person or the company that it is about

A field keeps its type, whether it is personal, and its choices; its label may change, choices are
added, and what is no longer wanted is retired. A value is written down in one form of text, so that
a personal one can be sealed; ids of people and companies are clear, as everywhere. What is required
is asked for where it counts: see ``REQUIRED_BEFORE``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self
from uuid import UUID

import msgspec

from .entry import (
    ERASED,
    Actor,
    Aggregate,
    Cents,
    CompanyFact,
    Currency,
    Event,
    Instant,
    PersonFact,
    Sealed,
    Slug,
    id_of,
    words,
)
from .fee import DIGITS, amount
from .refusals import Conflict, Invalid, Unknown

Subject = Literal["person", "company", "job_order", "deal", "placement"]
FieldType = Literal[
    "text", "number", "money", "date", "choice", "multi_choice", "person", "company"
]

REQUIRED_BEFORE: dict[Subject, str] = {
    "person": "they are introduced",
    "company": "a job order is opened there",
    "job_order": "anybody is introduced on it",
    "deal": "it is won",
    "placement": "it starts",
}
"""Where a required field is asked for: we meet people and companies before we know all of them."""

MOST_FIELDS = 200  # of one subject
TEXT_LETTERS = 2_000
DECIMALS = 4
NUMBER_DIGITS = 12  # before the point

Label = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    amount_cents: Cents
    currency: Currency


Scalar = Annotated[str, msgspec.Meta(max_length=TEXT_LETTERS)] | int | float | Amount
Value = Scalar | Annotated[tuple[Slug, ...], msgspec.Meta(max_length=100)]
"""As it stands in JSON: a date is text like 2026-12-31, a person or a company an id, and several
choices are a list."""


class Choice(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """id       never changes
    retired  it is not chosen any more; where it was chosen it stays
    """

    id: Slug
    label: Label
    retired: bool = False


class CustomFieldDefined(Event, frozen=True, kw_only=True, tag="custom_field.defined"):
    """What the agency wants to know; each one replaces the one before of its subject and slug.

    subject   what it is asked of
    choices   in the order in which they are shown
    required  asked for where it counts: before a person is introduced, a job order opened at a
              company, anybody introduced on a job order, a deal won, a placement started
    personal  its values are sealed; null: those of people and placements are. Ids never are
    retired   it is not set any more; what is known stays
    """

    subject: Subject
    slug: Slug
    label: Label
    type: FieldType
    choices: Annotated[tuple[Choice, ...], msgspec.Meta(max_length=200)] = ()
    required: bool = False
    personal: bool | None = None
    retired: bool = False

    @property
    def is_personal(self) -> bool:
        if self.type in ("person", "company"):
            return False
        return self.subject in ("person", "placement") if self.personal is None else self.personal

    @property
    def line(self) -> str:
        done = "retired" if self.retired else "defined"
        return f"custom field {words(self.slug)} of a {words(self.subject)} {done}"


class CustomFieldSet(PersonFact, frozen=True, kw_only=True, tag="person.custom_field_set"):
    """We learned what a custom field asks of them, or of a placement of theirs.

    type          as it is defined
    value         in one form of text, if it is not personal
    text          the same, if it is
    ref_id        the person or the company that it names
    candidacy_id  of the placement that it is about; None: it is about them
    company_id    of the placement, as is the job order
    set_at        None: as the entry
    """

    field: Slug
    type: FieldType
    value: Annotated[str, msgspec.Meta(max_length=65_536)] = ""
    text: Sealed = ""
    ref_id: UUID | None = None
    candidacy_id: UUID | None = None
    company_id: UUID | None = None
    job_order_id: UUID | None = None
    set_at: Instant | None = None

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,) if self.company_id else ()

    @property
    def others(self) -> tuple[UUID, ...]:
        return (self.ref_id,) if self.ref_id else ()

    @property
    def line(self) -> str:
        return _line(self.field, self.value)


class CustomFieldCleared(PersonFact, frozen=True, kw_only=True, tag="person.custom_field_cleared"):
    """We no longer know it of them, or of a placement of theirs."""

    field: Slug
    candidacy_id: UUID | None = None
    company_id: UUID | None = None
    job_order_id: UUID | None = None
    cleared_at: Instant | None = None

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,) if self.company_id else ()

    @property
    def line(self) -> str:
        return f"{words(self.field)} no longer known"


class FirmFieldSet(CompanyFact, frozen=True, kw_only=True, tag="company.custom_field_set"):
    """We learned what a custom field asks of them, or of a job order or a deal of theirs.

    type          as it is defined
    value         in one form of text, if it is not personal
    text          the same, if it is
    ref_id        the person or the company that it names
    job_order_id  that it is about
    deal_id       that it is about; with neither it is about the company
    set_at        None: as the entry
    """

    field: Slug
    type: FieldType
    value: Annotated[str, msgspec.Meta(max_length=65_536)] = ""
    text: Sealed = ""
    ref_id: UUID | None = None
    job_order_id: UUID | None = None
    deal_id: UUID | None = None
    set_at: Instant | None = None

    @property
    def others(self) -> tuple[UUID, ...]:
        return (self.ref_id,) if self.ref_id else ()

    @property
    def line(self) -> str:
        return _line(self.field, self.value)


class FirmFieldCleared(CompanyFact, frozen=True, kw_only=True, tag="company.custom_field_cleared"):
    """We no longer know it of them, or of a job order or a deal of theirs."""

    field: Slug
    job_order_id: UUID | None = None
    deal_id: UUID | None = None
    cleared_at: Instant | None = None

    @property
    def line(self) -> str:
        return f"{words(self.field)} no longer known"


def _line(field: str, value: str) -> str:
    return f"{words(field)}: {' '.join(value.split())[:200]}" if value else f"{words(field)} set"


PersonFields = CustomFieldSet | CustomFieldCleared
CompanyFields = FirmFieldSet | FirmFieldCleared
CustomFieldEvents = CustomFieldDefined


class NoSuchField(Unknown):
    """There is no custom field of this name for this; GET /custom-fields lists those that there
    are."""


class FieldIsRetired(Conflict):
    """This custom field is retired: it is not set any more."""


class FieldIsRequired(Conflict):
    """This custom field is required: give it another value rather than none."""


class RequiredFieldsMissing(Conflict):
    """Something that has to be known by now is not: set the custom fields that are missing
    first."""


class WrongFieldValue(Invalid):
    """A custom field takes values of its own type only; nothing was written."""

    field = "value"


class PersonalInAddress(Invalid):
    """Personal text is not asked for in the address of a request, which proxies log: POST the
    criteria to /segments/lookups or the words to /search/lookups."""

    field = "custom"


class FieldIsFixed(Invalid):
    """A custom field keeps its type, whether it is personal, and its choices: retire it, or the
    choice, and define another."""


class ChoicesUnclear(Invalid):
    """A field of choices needs one in use, each with an id of its own; other fields have none."""

    field = "choices"


class TooManyFields(Conflict):
    """There are as many custom fields for this as we keep: retired ones count too."""


class Written(msgspec.Struct, frozen=True):
    """A value in its one form of text, or the id that it is."""

    text: str = ""
    ref_id: UUID | None = None


def custom_fields_id(subject: str) -> UUID:
    return id_of("custom_field", subject)


class CustomFields(Aggregate):
    """All fields of one subject."""

    TOPIC = "custom_field"

    def __init__(self) -> None:
        self.fields: dict[str, CustomFieldDefined] = {}

    @classmethod
    def begin(cls, definition: CustomFieldDefined, *, by: Actor) -> Self:
        """Raises ChoicesUnclear."""
        _must_make_sense(definition)
        return cls.open(definition, by=by, id=custom_fields_id(definition.subject))

    def define(self, definition: CustomFieldDefined, *, by: Actor) -> None:
        """The same again is a no-op. Raises ChoicesUnclear, FieldIsFixed, TooManyFields."""
        _must_make_sense(definition)
        before = self.fields.get(definition.slug)
        if before == definition:
            return
        if before is None and len(self.fields) >= MOST_FIELDS:
            raise TooManyFields(subject=definition.subject, most=MOST_FIELDS)
        if before:
            kept = {choice.id for choice in definition.choices}
            gone = [choice.id for choice in before.choices if choice.id not in kept]
            same = (before.type, before.is_personal) == (definition.type, definition.is_personal)
            if gone or not same:
                raise FieldIsFixed(slug=definition.slug, type=before.type, choices_missing=gone)
        self.enter(definition, by=by)

    def field(self, slug: str) -> CustomFieldDefined:
        """Raises NoSuchField."""
        if slug not in self.fields:
            raise NoSuchField(custom_field=slug, known=sorted(self.fields))
        return self.fields[slug]

    def must_not_miss(self, known: Iterable[str], **of: object) -> None:
        """Raises RequiredFieldsMissing."""
        wanted = {f.slug for f in self.fields.values() if f.required and not f.retired}
        if missing := sorted(wanted - {*known}):
            raise RequiredFieldsMissing(missing=missing, **of)

    def apply(self, event: Event) -> None:
        match event:
            case CustomFieldDefined():
                self.fields[event.slug] = event


def _must_make_sense(definition: CustomFieldDefined) -> None:
    ids = [choice.id for choice in definition.choices]
    of_choices = definition.type in ("choice", "multi_choice")
    usable = any(not choice.retired for choice in definition.choices)
    if len(ids) != len({*ids}) or usable != of_choices or bool(ids) != of_choices:
        raise ChoicesUnclear(slug=definition.slug)


def written(field: CustomFieldDefined, value: Value) -> Written:
    """Raises ValueError, in words that say what it takes and do not repeat the value."""
    match field.type, value:
        case "text", str() if value.strip():
            return Written(value.strip())
        case "number", int() | float():
            if text := _number(value):
                return Written(text)
        case "money", Amount(cents, currency):
            return Written(amount(cents, currency))
        case "date", str() if _is_day(value):
            return Written(value)
        case "choice", str() if value in _usable(field):
            return Written(value)
        case "multi_choice", tuple() if value and {*value} <= {*_usable(field)}:
            return Written("\n".join(sorted({*value})))  # the order of the choices may change
        case (("person" | "company"), str()):
            try:
                return Written(ref_id=UUID(value))
            except ValueError:
                pass
    raise ValueError(takes(field))


def sought(field: CustomFieldDefined, value: Scalar) -> Written:
    """A value by which records are looked for: a choice may be retired by now, and several choices
    are asked for one by one. Raises ValueError as ``written``."""
    if field.type not in ("choice", "multi_choice"):
        return written(field, value)
    if isinstance(value, str) and value in {choice.id for choice in field.choices}:
        return Written(value)
    raise ValueError(takes(field))


def bound(field: CustomFieldDefined, value: Scalar) -> Written:
    """The least or the most that is looked for. Raises ValueError as ``written``."""
    if field.type not in ("number", "money", "date"):
        raise ValueError(f"{field.slug} has no least and no most: ask any_of")
    return written(field, value)


def takes(field: CustomFieldDefined) -> str:
    """``notice_weeks takes a number like 12.5``."""
    match field.type:
        case "text":
            what = f"text of 1 to {TEXT_LETTERS} characters"
        case "number":
            what = f"a number like 12.5, with at most {DECIMALS} decimals"
        case "money":
            what = 'money like {"amount_cents": 1250, "currency": "EUR"}'
        case "date":
            what = "a day like 2026-12-31"
        case "choice":
            what = f"one of: {', '.join(_usable(field))}"
        case "multi_choice":
            what = f"a list of: {', '.join(_usable(field))}"
        case _:
            what = f"the id of a {field.type}"
    return f"{field.slug} takes {what}"


def read(field: CustomFieldDefined, text: str) -> Value:
    """Of text as it stands in a file or an address; what it is not is given back as it is, and
    ``written`` refuses it. Several choices have commas between them; money is 12.50 EUR."""
    text = text.strip()
    match field.type:
        case "number" if re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", text, re.ASCII):
            return float(text) if "." in text else int(text)
        case "money" if money := _money(text):
            return money
        case "multi_choice":
            return tuple(part for each in text.split(",") if (part := each.strip()))
    return text


def shown(type_: FieldType, text: str, ref_id: UUID | None = None) -> Value:
    """A value as it stands in JSON, of its written form."""
    match type_:
        case "number":
            return float(text) if "." in text else int(text)
        case "money":
            return _money(text) or text
        case "multi_choice":
            return tuple(text.split("\n"))
        case "person" | "company":
            return str(ref_id)
    return text


def rank(type_: FieldType, text: str) -> int | None:
    """By which values of this type are compared; None: they are not."""
    match type_:
        case "number":
            return int(Decimal(text).scaleb(DECIMALS))
        case "money":
            money = _money(text)
            return money.amount_cents if money else None
        case "date":
            return date.fromisoformat(text).toordinal()
    return None


def is_erased(fact: CustomFieldSet | FirmFieldSet) -> bool:
    return fact.text == ERASED


def known_as(fact: CustomFieldSet | FirmFieldSet) -> str:
    """What of it tells one value from another."""
    return str(fact.ref_id) if fact.ref_id else fact.value or fact.text


def _usable(field: CustomFieldDefined) -> Sequence[str]:
    return [choice.id for choice in field.choices if not choice.retired]


def _number(value: float) -> str:
    """ "" for one that is too large or too exact."""
    number = Decimal(repr(value)) + 0  # no negative zero
    if not number.is_finite() or abs(number) >= 10**NUMBER_DIGITS:
        return ""
    if number != round(number, DECIMALS):
        return ""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text  # it also takes 20261231
    except ValueError:
        return False


def _money(text: str) -> Amount | None:
    found = re.fullmatch(r"(\d{1,16})(?:\.(\d{1,3}))? ([A-Z]{3})", text, re.ASCII)
    if not found:
        return None
    whole, rest, currency = found[1], found[2] or "", found[3]
    digits = DIGITS.get(currency, 2)
    cents = int(whole + rest.ljust(digits, "0")) if len(rest) <= digits else None
    return None if cents is None or cents > 10**15 else Amount(cents, currency)
