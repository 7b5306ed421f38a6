"""Equal-opportunity answers: who applies to us, as a whole, and never who somebody is.

    answer        on a stream of its own, under a key of its own

An answer says nothing of whom it is from: no person, no candidacy, no job order, no request. What
is stored of every answer is of the same length, and of the questions not even which were answered.
Nobody reads an answer; they are counted, and a count that is too small for nobody to be meant is
told with others (``disclosed``). docs/decisions/0026 says against whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self
from uuid import uuid4

import msgspec

from .entry import ERASED, PLAIN, UNOPENED, Actor, Aggregate, Entry, Event, Sealed
from .faults import written_like
from .refusals import Forbidden

SMALLEST = 5  # people of whom an answer is told
TOGETHER = 10  # answers that are counted at once
SIZE_BYTES = 2_048  # of what is stored of each, at most a fifth of which is used as a rule

Answered = Annotated[str, written_like(PLAIN, "plain text in one line", max_length=80)]


class Answers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In the words of the form that was filled in; "" where they would not say.

    age_band        such as 25-34; never a date of birth
    veteran_status  of an army, where the law asks for it
    """

    gender: Answered = ""
    ethnicity: Answered = ""
    age_band: Answered = ""
    disability: Answered = ""
    veteran_status: Answered = ""


QUESTIONS = Answers.__struct_fields__


class EqualOpportunityAnswered(Event, frozen=True, kw_only=True, tag="equal_opportunity.answered"):
    """Somebody who applies answered the equal-opportunity questions.

    answers  as JSON, filled up with blanks to the same length for everybody
    """

    stays_sealed: ClassVar[frozenset[str]] = frozenset({"answers"})

    answers: Sealed

    @property
    def line(self) -> str:
        return "equal-opportunity questions answered"


EqualOpportunityEvents = EqualOpportunityAnswered


class NotByAConsultant(Forbidden):
    """Equal-opportunity answers come from the form that the applicant fills in, by the key of an
    integration: none of us asks for them, sees them or types them in."""


class EqualOpportunityForm(Aggregate):
    """What one applicant answered. It is never loaded to decide anything."""

    TOPIC = "equal_opportunity"

    @classmethod
    def answer(cls, answers: Answers, *, by: Actor) -> Self:
        """Raises NotByAConsultant."""
        if by.startswith("consultant:"):
            raise NotByAConsultant()
        # an id that does not tell when it was made, and no cause nor key: who
        # asked may have asked for more
        return cls._create(
            Entry, event=EqualOpportunityAnswered(answers=packed(answers)), by=by, id=uuid4(),
            cause="", through="",
        )  # fmt: skip

    def apply(self, event: Event) -> None:
        pass


def packed(answers: Answers) -> str:
    """Of SIZE_BYTES always: ciphertext is as long as what it hides."""
    said = msgspec.json.encode(answers)
    return (said + b" " * (SIZE_BYTES - len(said))).decode()


def unpacked(text: str) -> Answers | None:
    """None: erased, or not opened to whoever reads the ledger."""
    return None if text in (ERASED, UNOPENED) else msgspec.json.decode(text, type=Answers)


def disclosed(counts: Mapping[str, int], *, before: int = 0) -> tuple[dict[str, int], int]:
    """What may be told of how often each answer was given, and how many others there were. Each
    number is 0 or at least SMALLEST. So that the others cannot be told by taking away, the least of
    the larger answers is among them where they would be too few.

    counts  of the answers that were not told by name yet
    before  how many of these were told as others: their number moves by 0 or at least SMALLEST too,
            or who compares two reports would take one from the other
    """
    ordered = sorted(counts.items(), key=lambda count: (-count[1], count[0]))
    told = [(answer, n) for answer, n in ordered if n >= SMALLEST]
    others = sum(n for _, n in ordered) - sum(n for _, n in told)
    while told and (0 < others < SMALLEST or 0 < abs(others - before) < SMALLEST):
        others += told.pop()[1]
    return dict(told), others
