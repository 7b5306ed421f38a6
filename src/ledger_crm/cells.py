"""Values as cells of a CSV file that people open in a spreadsheet."""

from __future__ import annotations

import re
from typing import Any

import msgspec

FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d ().-]*$)")
"""What a spreadsheet would compute rather than show; a phone number is none."""


def cell(value: Any) -> str:
    """What is no single value is JSON, null is empty, and what JSON does not know is its name."""
    match value:
        case None:
            return ""
        case str():
            return f"'{value}" if FORMULA.match(value) else value
        case dict() | list() | tuple() | bool() | int() | float():
            return msgspec.json.encode(value, enc_hook=str).decode()
    return str(msgspec.to_builtins(value, enc_hook=str))
