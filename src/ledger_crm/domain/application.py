"""An application: somebody comes to us for a job order, of their own accord.

It opens their candidacy, and is beside it what they said: how they came, and what they answered.
From there on it is a candidacy as any other, through the stages of the job order's pipeline to a
placement or an exit.
"""

from __future__ import annotations

from .candidacy import CandidacyFact
from .entry import Instant, Reason, Sealed, Slug, words
from .identity import Source
from .refusals import Conflict


class Applied(CandidacyFact, frozen=True, kw_only=True, tag="person.applied"):
    """They applied for a job order.

    channel  how they came to us
    source   which one of them: a job board, a campaign, by a code of the agency's own list
    text     what they wrote with it
    """

    applied_at: Instant
    channel: Source = "website"
    source: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        which = f" ({words(self.source)})" if self.source else ""
        return f"applied by {words(self.channel)}{which}"


class ScreeningAnswered(CandidacyFact, frozen=True, kw_only=True, tag="person.screening_answered"):
    """They answered a screening question of the job order.

    question  its id
    text      the answer
    """

    question: Slug
    answered_at: Instant
    text: Sealed

    @property
    def line(self) -> str:
        return f"answered the screening question {words(self.question)}"


ApplicationFacts = Applied | ScreeningAnswered


class AlreadyApplied(Conflict):
    """They applied for this job order already, and that is open."""
