"""Values of custom fields beside the rows that they are about: a table of them for each read model
that shows or filters by them, one row a value. What a field is called and takes is in the
directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.custom import (
    Amount,
    CustomFieldCleared,
    CustomFieldDefined,
    CustomFieldSet,
    FirmFieldCleared,
    FirmFieldSet,
    NoSuchField,
    PersonalInAddress,
    Scalar,
    Written,
    WrongFieldValue,
    bound,
    is_erased,
    rank,
    read,
    shown,
    sought,
)
from ledger_crm.domain.entry import UNOPENED, Entry, Event
from ledger_crm.domain.segment import FieldIs, InAddress

from ._projection import Cursor, Row, Table, all_words, plain

Fact = CustomFieldSet | CustomFieldCleared | FirmFieldSet | FirmFieldCleared
Of = Callable[[Entry[Any]], UUID | None]


class ValueRow(Row, frozen=True, kw_only=True):
    of_id: UUID  # the record, job order, deal or candidacy that it is about
    field: str
    value: str = "null"  # JSON
    sought: str = ""  # text as it is looked for; choices, a line each
    rank: int | None = None
    currency: str = ""
    ref_id: UUID | None = None
    person_id: UUID | None = None  # with whose erasure it goes


def values(name: str, *facts: type[Event], of: Of) -> Table[ValueRow]:
    """``facts``: set and cleared. ``of``: what the entry's fact is about; None: nothing here."""
    table = Table(
        name,
        ValueRow,
        key="of_id, field",
        sql=f"""
        CREATE INDEX {name}_ranked ON {name} (field, rank);
        CREATE INDEX {name}_of ON {name} (person_id);""",
    )
    table.erases()

    def key(entry: Entry[Fact]) -> tuple[UUID, str]:
        # what is about nothing here gets a row of its own, which goes at once
        return of(entry) or entry.originator_id, f"{'' if of(entry) else '-'}{entry.event.field}"

    def start(entry: Entry[Fact]) -> ValueRow:
        of_id, field = key(entry)
        return ValueRow(of_id=of_id, field=field)

    @table.on(*facts, key=key, start=start)
    def said(row: ValueRow, entry: Entry[Fact]) -> ValueRow | None:
        fact = entry.event
        if not of(entry) or not isinstance(fact, CustomFieldSet | FirmFieldSet) or is_erased(fact):
            return None
        made = row_of(row.of_id, fact)
        own = isinstance(fact, CustomFieldSet) and (fact.text or fact.candidacy_id is None)
        return replace(made, person_id=entry.originator_id) if own else made

    return table


def row_of(of_id: UUID, fact: CustomFieldSet | FirmFieldSet) -> ValueRow:
    text = fact.value or fact.text
    if fact.text == UNOPENED:  # no number, no day: in an analyst's export
        return ValueRow(of_id=of_id, field=fact.field, value=msgspec.json.encode(text).decode())
    value = shown(fact.type, text, fact.ref_id)
    is_choice = fact.type in ("choice", "multi_choice")
    return ValueRow(
        of_id=of_id,
        field=fact.field,
        value=msgspec.json.encode(value).decode(),
        sought=text if is_choice else plain(text),
        rank=rank(fact.type, text),
        currency=value.currency if isinstance(value, Amount) else "",
        ref_id=fact.ref_id,
    )


def shown_of(table: str, id: str, *, first: str = "") -> str:
    """A column with all of them, as a JSON object by field. ``id``: the column that they are
    about; if these are several, a value for which ``first`` is true comes before others."""
    rows = f"SELECT v.field, v.value FROM {table} v WHERE v.of_id = {id}"
    if first:
        rows = rows.replace("SELECT", "SELECT DISTINCT ON (v.field)", 1)
        rows += f" ORDER BY v.field, {first} DESC, v.of_id"
    return (
        f"(SELECT coalesce(json_object_agg(v.field, v.value::json ORDER BY v.field), '{{}}')"
        f" FROM ({rows}) v)"
    )


async def fitting(
    cur: Cursor, table: str, subject: str, id: str, asked: Sequence[FieldIs]
) -> tuple[str, dict[str, object]]:
    """A condition of our own words, and the values in it. Joins the directory for the fields.
    Raises NoSuchField, WrongFieldValue, PersonalInAddress."""
    clauses, values = ["true"], dict[str, object]()
    for n, each in enumerate(asked):
        field = await defined(cur, subject, each.field)
        personal = field.is_personal and field.type == "text"
        if isinstance(each, InAddress) and each.any_of and personal:
            raise PersonalInAddress(custom_field=each.field)
        values[f"custom_{n}"] = each.field
        there = f"SELECT FROM {table} v WHERE v.of_id = {id} AND v.field = %(custom_{n})s"
        if each.known is False:
            clauses.append(f"NOT EXISTS ({there})")
            continue
        for m, (clause, value) in enumerate(_conditions(field, each)):
            there += f" AND {clause.format(f'%(custom_{n}_{m})s')}"
            values[f"custom_{n}_{m}"] = value
        clauses.append(f"EXISTS ({there})")
    return " AND ".join(clauses), values


async def defined(cur: Cursor, subject: str, slug: str) -> CustomFieldDefined:
    """Raises NoSuchField."""
    await cur.execute(
        "SELECT definition FROM directory_field WHERE subject = %s AND slug = %s", (subject, slug)
    )
    row = await cur.fetchone()
    if row is None:
        raise NoSuchField(custom_field=slug, of=subject)
    return msgspec.json.decode(row[0], type=CustomFieldDefined)


def _conditions(field: CustomFieldDefined, asked: FieldIs) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    if asked.any_of:
        found.append(_any_of(field, asked.any_of))
    for limit, sign in ((asked.at_least, ">="), (asked.at_most, "<=")):
        if limit is not None:
            value = _asked(bound, field, limit)
            found.append((f"v.rank {sign} {{}}", rank(field.type, value.text)))
            if field.type == "money":
                found.append(("v.currency = {}", value.text[-3:]))
    return found


def _any_of(field: CustomFieldDefined, asked: Sequence[Scalar]) -> tuple[str, object]:
    match field.type:
        case "text":
            # each word, in any of them: a pattern for each would be a query for each
            some = [all_words(_asked(sought, field, each).text) for each in asked]
            return (
                "EXISTS (SELECT FROM json_array_elements({}::json) alike WHERE NOT EXISTS (SELECT"
                " FROM json_array_elements_text(alike) word WHERE v.sought NOT LIKE word))",
                msgspec.json.encode(some).decode(),
            )
        case "choice" | "multi_choice":
            some_of = [_asked(sought, field, each).text for each in asked]
            return "string_to_array(v.sought, E'\\n') && {}::text[]", some_of
        case "person" | "company":
            return "v.ref_id = ANY({})", [_asked(sought, field, each).ref_id for each in asked]
    found = [_asked(sought, field, each).text for each in asked]
    return "v.sought = ANY({})", [plain(text) for text in found]


def _asked(
    check: Callable[[CustomFieldDefined, Scalar], Written], field: CustomFieldDefined, value: Scalar
) -> Written:
    """As it stands in JSON or in an address, where all is text. Raises WrongFieldValue."""
    if isinstance(value, str) and field.type != "multi_choice":
        value = read(field, value)  # type: ignore[assignment]  # several choices are one by one
    try:
        return check(field, value)
    except ValueError as wrong:
        raise WrongFieldValue(wrong=str(wrong)) from None
