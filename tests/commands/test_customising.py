"""Custom fields out of CSV files: typed as everywhere, and refused with line and column."""

from __future__ import annotations

import io
from typing import Any

import pytest

from builders import field_defined
from ledger_crm.commands import customising
from ledger_crm.commands.importing import Report, import_csv
from ledger_crm.commands.mapping import read_mapping
from ledger_crm.domain.custom import CustomFieldDefined, CustomFieldSet, FirmFieldSet
from ledger_crm.ledger import Intent, Ledger
from scenario import ANA

pytestmark = pytest.mark.anyio

PEOPLE = """
name = "people"
key = "{id}"
[[fact]]
kind = "person.sourced"
person_id = "{id}"
name = "{name}"
[[fact]]
kind = "person.custom_field_set"
person_id = "{id}"
field = "licence"
value = "{licence}"
[[fact]]
kind = "person.custom_field_set"
person_id = "{id}"
field = "wish"
value = "{wish}"
[[fact]]
kind = "person.custom_field_set"
person_id = "{id}"
field = "mentor"
value_person_id = "{mentor}"
"""

FIRMS = """
name = "firms"
key = "{id}"
[[fact]]
kind = "company.added"
company_id = "{id}"
name = "{name}"
[[fact]]
kind = "company.custom_field_set"
company_id = "{id}"
field = "size"
value = "{size}"
[[fact]]
kind = "company.custom_field_set"
company_id = "{id}"
field = "owner"
value_company_id = "{owner}"
"""


async def fields(ledger: Ledger, *definitions: Any) -> None:
    for each in definitions:
        await ledger.decide(
            lambda work, d=each: customising.define(work, d),  # type: ignore[misc]
            intent=Intent(by=ANA),
        )


async def imported(ledger: Ledger, mapping: str, csv: str) -> Report:
    return await import_csv(ledger, io.BytesIO(csv.encode()), read_mapping(mapping))


async def test_values_come_in_by_their_type(ledger: Ledger) -> None:
    await fields(
        ledger,
        field_defined("licence", type="multi_choice"),
        field_defined("wish", type="money"),
        field_defined("mentor", type="person"),
        field_defined("size", subject="company", type="number"),
        field_defined("owner", subject="company", type="company"),
    )
    csv = (
        "id,name,licence,wish,mentor\n"
        '1,Ada,"b, c1",65000.50 EUR,\n'
        "2,Ben,,,1\n"
        "3,Zyxw,b,Zyxw,\n"
        "4,Cyd,Zyxw,,\n"
        "5,Dee,,,7\n"
    )
    report = await imported(ledger, PEOPLE, csv)
    assert (report.imported, report.refused, report.facts) == (2, 3, 5)
    told = [(row.line, row.column, row.reason) for row in report.listed]
    assert [(line, column) for line, column, _ in told] == [
        (4, "wish"), (5, "licence"), (6, "mentor")
    ]  # fmt: skip
    assert 'wish takes money like {"amount_cents": 1250, "currency": "EUR"}' in told[0][2]
    assert "licence takes a list of: b, c1" in told[1][2]
    assert "Zyxw" not in str(told)
    assert (await imported(ledger, PEOPLE, csv)).already == 2

    report = await imported(ledger, FIRMS, "id,name,size,owner\n1,Acme,12.5,\n2,Bolt,,1\n")
    assert (report.imported, report.facts) == (2, 4)
    entries = await ledger.entries(after=0, limit=100)
    found = [e.event for e in entries if isinstance(e.event, CustomFieldSet | FirmFieldSet)]
    ada, acme = (
        next(e.originator_id for e in entries if getattr(e.event, "name", "") == name)
        for name in ("Ada", "Acme")
    )
    assert [(f.field, f.value or f.text, f.ref_id) for f in found] == [
        ("licence", "b\nc1", None), ("wish", "65000.50 EUR", None), ("mentor", "", ada),
        ("size", "12.5", None), ("owner", "", acme),
    ]  # fmt: skip


async def test_a_field_that_is_not_defined_refuses_its_row(ledger: Ledger) -> None:
    report = await imported(ledger, PEOPLE, "id,name,licence,wish,mentor\n1,Ada,b,,\n2,Ben,,,\n")
    assert (report.imported, report.refused) == (1, 1)
    assert "no custom field of this name" in report.listed[0].reason


async def test_a_mapping_may_define_the_fields_that_its_rows_set(ledger: Ledger) -> None:
    """Once, and anew when it is written otherwise."""
    setup = """
[[setup]]
kind = "custom_field.defined"
subject = "person"
slug = "shift"
label = "Shift"
type = "choice"
choices = [{ id = "day", label = "Day" }, { id = "night", label = "Night" }]
"""
    people = PEOPLE.partition('[[fact]]\nkind = "person.custom_field_set"')[0]
    rows = """
[[fact]]
kind = "person.custom_field_set"
person_id = "{id}"
field = "shift"
value = "{shift}"
"""
    mapping, csv = people.replace("[[fact]]", setup + "[[fact]]", 1) + rows, "id,name,shift\n"
    report = await imported(ledger, mapping, csv + "1,Ada,night\n2,Ben,late\n")
    assert (report.imported, report.refused) == (1, 1)
    assert (await imported(ledger, mapping, csv + "1,Ada,night\n")).facts == 0

    wider = mapping.replace(" }]", ' }, { id = "late", label = "Late" }]')
    report = await imported(ledger, wider, csv + "1,Ada,night\n2,Ben,late\n")
    assert (report.imported, report.already, report.refused) == (1, 1, 0)
    entries = await ledger.entries(after=0, limit=100)
    defined = [e.event for e in entries if isinstance(e.event, CustomFieldDefined)]
    assert [[choice.id for choice in each.choices] for each in defined] == [
        ["day", "night"], ["day", "night", "late"]
    ]  # fmt: skip
