"""Cells of CSV files: nothing is computed by who opens them, and each text can be had back."""

from __future__ import annotations

import csv
import io
import re
from math import inf, nan
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger_crm.cells import cell, row

COMPUTED = re.compile(
    r"[=@\uff1d\uff0b\uff0d\uff20]|[+-](?![0-9]+(,|\Z))"
)  # a number, and the cell after it
texts = st.text("=+-@'\"\uff1d ;,\t\r\n1a\\", max_size=8)


def read(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def taken_away(text: str) -> str:
    """As docs/reading.md says."""
    return re.sub(r"(\A|(?<=[;\t\r\n]))'", "", text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1", "'=1"),
        ("'=1", "''=1"),
        ("'tis", "''tis"),
        ("it's", "it's"),
        ("\uff1d1", "'\uff1d1"),
        ("\uff0b1", "'\uff0b1"),
        ("\uff0d1", "'\uff0d1"),
        ("\uff20a", "'\uff20a"),
        ("\t=1", "'\t'=1"),
        ("\n\nAda", "'\n\nAda"),
        ("+4930901820", "+4930901820"),
        ("-5", "-5"),
        ("+49-30-901820", "'+49-30-901820"),
        ("+49 30 901820", "'+49 30 901820"),
        ("-1+1", "'-1+1"),
        ("-1\n", "'-1\n"),
        ("a;=1", "a;'=1"),
        ("a; b", "a; b"),
        ('a;"=1', "a;'\"=1"),
        (["a;=1", "b; c"], '["a\\u003b=1","b; c"]'),
        (-5, "-5"),
        (None, ""),
        (0.5, "0.5"),
        (nan, "NaN"),
        (inf, "inf"),
        (-inf, "-inf"),
    ],
)
def test_what_would_be_computed_is_text(text: Any, shown: str) -> None:
    assert cell(text) == shown


@given(st.lists(texts, min_size=1, max_size=4))
@example(["x", ";=1"])
@example(["a\n=1", "-1"])
@example([""])
def test_whatever_separates_cells_nothing_is_computed_and_ours_are_had_back(
    told: list[str],
) -> None:
    line = row(map(cell, told))
    [ours] = read(line)
    assert [taken_away(each) for each in ours] == told
    for delimiter in ",;\t":
        for each in read(line, delimiter):
            for first in each:
                assert not COMPUTED.match(first.lstrip("\t\r\n")), (delimiter, first)


@given(st.lists(texts, min_size=1, max_size=4))
def test_what_is_json_in_a_cell_stays_that(told: list[str]) -> None:
    line = row(["x", cell(told)])
    [[_, ours]] = read(line)
    assert msgspec.json.decode(ours) == told
    for each in read(line, ";"):
        assert not any(map(COMPUTED.match, each))


def test_what_separates_cells_elsewhere_is_in_quotes() -> None:
    assert row(["a", "b;c", "d\te", 'f"g', "h"]) == 'a,"b;c","d\te","f""g",h\r\n'
    assert row([""]) == '""\r\n'
