"""Why the domain says no. Six kinds; every refusal is a subclass of one of them.

The docstring is the sentence the user reads; ``code`` is derived from the class name and is part
of the API (``NoSuchStage`` -> ``no-such-stage``). HTTP lives elsewhere. ``facts`` say which case it
is and hold no personal data: they are logged and sent.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar
from uuid import UUID


class Refusal(Exception):
    """The request was understood and refused; nothing was written."""

    over_http: ClassVar[bool] = True  # else only the command line says it
    sentence: ClassVar[str] = "The request was understood and refused; nothing was written."
    code: ClassVar[str] = "refusal"
    rests_on: UUID | None = None  # a job order; whoever does not see it is told no facts

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.sentence = " ".join((cls.__doc__ or "").split())
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.sentence)

    def __str__(self) -> str:
        facts = ", ".join(f"{name}: {value}" for name, value in self.facts.items())
        return f"{self.sentence} ({facts})" if facts else self.sentence


class Unknown(Refusal):
    """There is no such thing."""


class Conflict(Refusal):
    """What is already there does not allow it."""


class Stale(Refusal):
    """What you saw has changed since."""


class Forbidden(Refusal):
    """You may not do this."""


class Gone(Refusal):
    """It existed and was erased."""


class Invalid(Refusal):
    """A value is well formed and makes no sense here."""

    field: ClassVar[str] = ""
