"""What is wrong with a value, in words that people read."""

from __future__ import annotations

import re

import msgspec

_LOOKS: dict[str, str] = {}

WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "an object",
    "str": "text",
}


def written_like(pattern: str, looks: str, *, max_length: int | None = None) -> msgspec.Meta:
    """Of text with this pattern; ``looks`` is how to say so: ``a code like salary_too_low``."""
    _LOOKS[pattern] = looks
    return msgspec.Meta(pattern=pattern, max_length=max_length)


def in_words(message: str) -> str:
    """What msgspec says of a value, for people. It repeats the value for enumerations only."""
    said = message.partition(" - at `")[0]
    for pattern, looks in _LOOKS.items():
        if said.endswith(f"regex {pattern!r}"):
            return f"is not {looks}"
    said = re.sub(r"`([^`]*)`", _types_in_words, said)
    return said[:1].lower() + said[1:]


def _types_in_words(found: re.Match[str]) -> str:
    types = [each for each in found[1].split(" | ") if each != "null"]
    return " or ".join(WORDS.get(each, each) for each in types) or "null"
