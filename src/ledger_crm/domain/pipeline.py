"""Pipelines: the stages that candidacies and deals go through, as versioned definitions.

    define -> revise*

A stage has an id that never changes, a label that may, and a category that is fixed: reports go
by category, so renaming and reordering break nothing. A stage is never removed, only retired.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal, Self
from uuid import UUID

import msgspec

from .entry import Actor, Aggregate, Event, Slug, id_of
from .refusals import Conflict, Invalid, Unknown

Subject = Literal["candidate", "deal"]

Category = Literal[
    # candidates
    "sourced", "contacted", "replied", "screening", "qualified", "submitted", "client_interview",
    "final_interview", "offer", "placed",
    "rejected_by_us", "rejected_by_client", "withdrawn", "no_response", "on_hold", "job_cancelled",
    # deals
    "prospect", "meeting", "proposal", "terms", "won", "lost",
]  # fmt: skip

EXITS: frozenset[Category] = frozenset(
    (
        "rejected_by_us",
        "rejected_by_client",
        "withdrawn",
        "no_response",
        "on_hold",
        "job_cancelled",
        "won",
        "lost",
    )
)
"""Categories in which a candidacy or a deal is over."""

OF_CLIENT: frozenset[Category] = frozenset(("client_interview", "final_interview", "offer"))
"""Categories in which a candidacy is with the client: nobody is, before being introduced."""

OF_DEALS: frozenset[Category] = frozenset(
    ("prospect", "meeting", "proposal", "terms", "won", "lost")
)
OF_BOTH: frozenset[Category] = frozenset(("contacted", "qualified"))

Probability = Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class Stage(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """id               never changes
    probability_bp   of winning a deal in this stage, in hundredths of a percent
    retired          nothing new goes there; what is there stays
    """

    id: Slug
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    category: Category
    probability_bp: Probability = 0
    retired: bool = False

    @property
    def is_exit(self) -> bool:
        return self.category in EXITS


class PipelineDefined(Event, frozen=True, kw_only=True, tag="pipeline.defined"):
    """The whole definition, in the order in which it is shown; each one replaces the one before."""

    slug: Slug
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    subject: Subject
    stages: Annotated[tuple[Stage, ...], msgspec.Meta(min_length=1, max_length=60)]

    @property
    def line(self) -> str:
        return f"pipeline {self.slug} defined with {len(self.stages)} stages"


PipelineEvents = PipelineDefined


class NoSuchStage(Unknown):
    """This pipeline has no such stage."""


class StageIsRetired(Conflict):
    """This stage is retired: nothing new goes there."""


class StageIsFixed(Invalid):
    """A pipeline keeps its subject, and a stage its id and its category; a stage is retired rather
    than removed."""


class StageTwice(Invalid):
    """Two stages of this pipeline have the same id."""


class WrongCategory(Invalid):
    """A pipeline of candidates has no category of deals, nor the other way round."""


class NoFirstStage(Invalid):
    """A pipeline needs a stage in use that is not an exit, to begin with."""


@lru_cache(256)
def pipeline_id(slug: str) -> UUID:
    return id_of("pipeline", slug)


class Pipeline(Aggregate):
    TOPIC = "pipeline"

    slug: str = ""
    subject: Subject = "candidate"
    stages: tuple[Stage, ...] = ()

    @classmethod
    def define(cls, definition: PipelineDefined, *, by: Actor) -> Self:
        """Raises StageTwice, NoFirstStage."""
        _must_make_sense(definition)
        _must_be_of_its_subject(definition)
        return cls.open(definition, by=by, id=pipeline_id(definition.slug))

    def revise(self, definition: PipelineDefined, *, by: Actor) -> None:
        """The same definition again is a no-op. Raises StageTwice, NoFirstStage, StageIsFixed."""
        _must_make_sense(definition)
        if definition == self.definition:
            return
        if definition.subject != self.subject:
            raise StageIsFixed(pipeline=self.slug, subject=self.subject)
        now = {stage.id: stage.category for stage in definition.stages}
        for stage in self.stages:
            if now.get(stage.id) != stage.category:
                raise StageIsFixed(pipeline=self.slug, stage=stage.id)
        _must_be_of_its_subject(definition)
        self.enter(definition, by=by)

    def stage(self, id: str) -> Stage:
        """Raises NoSuchStage, StageIsRetired."""
        for stage in self.stages:
            if stage.id == id:
                if stage.retired:
                    raise StageIsRetired(pipeline=self.slug, stage=id)
                return stage
        raise NoSuchStage(pipeline=self.slug, stage=id, stages=[s.id for s in self.stages])

    def first(self) -> Stage:
        return next(s for s in self.stages if not s.retired and not s.is_exit)

    def in_category(self, category: Category) -> Stage:
        """The first stage in use of that category. Raises NoSuchStage."""
        for stage in self.stages:
            if stage.category == category and not stage.retired:
                return stage
        raise NoSuchStage(pipeline=self.slug, stage=category, stages=[s.id for s in self.stages])

    def apply(self, event: Event) -> None:
        match event:
            case PipelineDefined(slug=slug, subject=subject, stages=stages):
                self.definition = event
                self.slug, self.subject, self.stages = slug, subject, stages


def _must_be_of_its_subject(definition: PipelineDefined) -> None:
    for stage in definition.stages:
        if (stage.category in OF_DEALS) != (definition.subject == "deal") and (
            stage.category not in OF_BOTH
        ):
            raise WrongCategory(pipeline=definition.slug, stage=stage.id, category=stage.category)


def _must_make_sense(definition: PipelineDefined) -> None:
    ids = [stage.id for stage in definition.stages]
    for id in ids:
        if ids.count(id) > 1:
            raise StageTwice(pipeline=definition.slug, stage=id)
    if all(stage.retired or stage.is_exit for stage in definition.stages):
        raise NoFirstStage(pipeline=definition.slug)


TALENT = PipelineDefined(
    slug="talent",
    title="Talent",
    subject="candidate",
    stages=(
        Stage("sourced", "Sourced", "sourced"),
        Stage("contacted", "Contacted", "contacted"),
        Stage("replied", "Replied", "replied"),
        Stage("screening", "Screening", "screening"),
        Stage("qualified", "Qualified", "qualified"),
        Stage("submitted", "Submitted to client", "submitted"),
        Stage("client_interview", "Client interview", "client_interview"),
        Stage("final_interview", "Final interview", "final_interview"),
        Stage("offer", "Offer", "offer"),
        Stage("placed", "Placed", "placed"),
        Stage("rejected_by_us", "Rejected by us", "rejected_by_us"),
        Stage("rejected_by_client", "Rejected by client", "rejected_by_client"),
        Stage("withdrawn", "Withdrawn", "withdrawn"),
        Stage("no_response", "No response", "no_response"),
        Stage("on_hold", "On hold", "on_hold"),
        Stage("job_cancelled", "Job cancelled", "job_cancelled"),
    ),
)

SALES = PipelineDefined(
    slug="sales",
    title="Sales",
    subject="deal",
    stages=(
        Stage("prospect", "Prospect", "prospect", 500),
        Stage("contacted", "Contacted", "contacted", 1_000),
        Stage("qualified", "Qualified", "qualified", 2_500),
        Stage("meeting_held", "Meeting held", "meeting", 4_000),
        Stage("proposal_sent", "Proposal sent", "proposal", 5_500),
        Stage("terms_agreed", "Terms agreed", "terms", 8_000),
        Stage("won", "Won", "won", 10_000),
        Stage("lost", "Lost", "lost", 0),
    ),
)

SHIPPED = (TALENT, SALES)
"""Written to every new ledger; after that they are the agency's own."""
