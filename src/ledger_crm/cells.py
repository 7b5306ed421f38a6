"""Values as cells of a CSV file that people open in a spreadsheet, and rows of them.

Which sign separates cells is settled by whoever opens the file: ours is the comma, but spreadsheets
of half of Europe take a semicolon, or a tab, alone or besides; and who takes these alone does not
know our quotes, so that a line break ends a row. So a text is looked at wherever any of them would
begin a cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite, isnan
from typing import Any

import msgspec

NUMBER = re.compile(r"[+-][0-9]+")  # is itself; but a spreadsheet makes 19 of +49-30
COMPUTED = r"['=@+\-\uff1d\uff0b\uff0d\uff20]"  # full width, too; and what we put before them
FORMULA = re.compile(rf"\A(?=\"*[\t\r\n])|(?:\A|(?<=[;\t\r\n]))(?=\"*{COMPUTED})")
"""Where a ``'`` is put. Each that stands there is ours, and can be taken away again."""
WITHIN = re.compile(rf";(?=[\"\\]*{COMPUTED})")
QUOTED = re.compile(r"[,;\"\t\r\n]")


def cell(value: Any) -> str:
    """What is no single value is JSON, null is empty, and what JSON does not know is its name: what
    is no number, too, by which whoever reads numbers knows it, ``NaN``, ``inf``, ``-inf``."""
    match value:
        case None:
            return ""
        case float() if not isfinite(value):
            return "NaN" if isnan(value) else "inf" if value > 0 else "-inf"
        case str():
            return value if NUMBER.fullmatch(value) else FORMULA.sub("'", value)
        case dict() | list() | tuple() | bool() | int() | float():
            text = msgspec.json.encode(value, enc_hook=str).decode()
            return WITHIN.sub(r"\\u003b", text)  # which JSON reads as it was
    return str(msgspec.to_builtins(value, enc_hook=str))


def row(cells: Iterable[str]) -> str:
    """As RFC 4180 has it; in quotes also what holds what separates cells elsewhere."""
    return (",".join(map(_quoted, cells)) or '""') + "\r\n"  # an empty line is no row


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text
