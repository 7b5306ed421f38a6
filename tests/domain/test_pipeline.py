"""Pipelines: renamed, reordered and retired at will, and yet reports stay what they were."""

from __future__ import annotations

from typing import Any

import pytest

from builders import defined, sales, talent
from ledger_crm.domain.pipeline import (
    EXITS,
    SALES,
    SHIPPED,
    TALENT,
    NoFirstStage,
    NoSuchStage,
    Pipeline,
    PipelineDefined,
    Stage,
    StageIsFixed,
    StageIsRetired,
    StageTwice,
    pipeline_id,
)
from scenario import ANA, given

SOURCED = Stage("sourced", "Sourced", "sourced")
SCREENING = Stage("screening", "Screening", "screening")
WITHDRAWN = Stage("withdrawn", "Withdrawn", "withdrawn")


def revise(definition: PipelineDefined) -> Any:
    return lambda p: p.revise(definition, by=ANA)


def test_a_pipeline_is_found_by_its_name() -> None:
    pipeline = Pipeline.define(defined(SOURCED), by=ANA)
    assert pipeline.id == pipeline_id("talent")
    assert pipeline.id != pipeline_id("sales")


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda d: d.slug)
def test_what_is_shipped_makes_sense(shipped: PipelineDefined) -> None:
    pipeline = Pipeline.define(shipped, by=ANA)
    assert pipeline.first() == shipped.stages[0]
    assert {s.is_exit for s in shipped.stages} == {True, False}


def test_shipped_deals_have_the_chances_that_are_documented() -> None:
    assert [s.probability_bp // 100 for s in SALES.stages] == [5, 10, 25, 40, 55, 80, 100, 0]
    assert len(TALENT.stages) == 16


@pytest.mark.parametrize(
    "stages",
    [
        (Stage("sourced", "Found", "sourced"), SCREENING, WITHDRAWN),  # renamed
        (WITHDRAWN, SCREENING, SOURCED),  # reordered
        (Stage("sourced", "Sourced", "sourced", retired=True), SCREENING, WITHDRAWN),  # retired
        (SOURCED, Stage("talked", "Talked", "screening"), SCREENING, WITHDRAWN),  # one more
    ],
    ids=["renamed", "reordered", "retired", "one more"],
)
def test_a_pipeline_may_be_revised(stages: tuple[Stage, ...]) -> None:
    before, after = defined(SOURCED, SCREENING, WITHDRAWN), defined(*stages)
    given(Pipeline, before).when(revise(after)).then(after)


def test_the_same_definition_again_is_a_no_op() -> None:
    given(Pipeline, TALENT).when(revise(defined(*TALENT.stages))).then_nothing()


@pytest.mark.parametrize(
    "stages",
    [(SOURCED,), (SOURCED, Stage("screening", "Screening", "qualified"))],
    ids=["removed", "another category"],
)
def test_a_stage_keeps_its_id_and_its_category(stages: tuple[Stage, ...]) -> None:
    given(Pipeline, defined(SOURCED, SCREENING)).when(revise(defined(*stages))).then_refused(
        StageIsFixed, stage="screening"
    )


def test_a_retired_stage_may_come_back() -> None:
    retired = Stage("screening", "Screening", "screening", retired=True)
    given(Pipeline, defined(SOURCED, retired)).when(revise(defined(SOURCED, SCREENING))).then(
        defined(SOURCED, SCREENING)
    )


@pytest.mark.parametrize(
    ("stages", "refusal"),
    [
        ((SOURCED, SOURCED), StageTwice),
        ((SOURCED, Stage("sourced", "Other", "screening")), StageTwice),
        ((WITHDRAWN,), NoFirstStage),
        ((Stage("sourced", "Sourced", "sourced", retired=True), WITHDRAWN), NoFirstStage),
    ],
)
def test_what_makes_no_sense_is_refused(stages: tuple[Stage, ...], refusal: Any) -> None:
    with pytest.raises(refusal):
        Pipeline.define(defined(*stages), by=ANA)
    given(Pipeline, defined(SOURCED)).when(revise(defined(*stages))).then_refused(refusal)


def test_a_pipeline_keeps_its_subject() -> None:
    """Candidates are in it: as a deal pipeline they could not be moved in it any more."""
    given(Pipeline, defined(SOURCED)).when(revise(defined(SOURCED, subject="deal"))).then_refused(
        StageIsFixed
    )


def test_a_stage_is_found_by_id_unless_retired() -> None:
    pipeline = talent(SOURCED, Stage("old", "Old", "screening", retired=True))
    assert pipeline.stage("sourced") == SOURCED
    with pytest.raises(StageIsRetired):
        pipeline.stage("old")
    with pytest.raises(NoSuchStage) as refused:
        pipeline.stage("nirvana")
    assert refused.value.facts["stages"] == ["sourced", "old"]


def test_the_first_stage_is_the_first_in_use_that_is_no_exit() -> None:
    old = Stage("old", "Old", "screening", retired=True)
    assert talent(WITHDRAWN, old, SCREENING, SOURCED).first() == SCREENING


def test_the_stage_of_a_category_is_the_first_in_use() -> None:
    old = Stage("old", "Old", "screening", retired=True)
    second = Stage("second", "Second", "screening")
    assert talent(old, SCREENING, second).in_category("screening") == SCREENING
    with pytest.raises(NoSuchStage):
        talent(old, SOURCED).in_category("screening")


def test_an_exit_is_where_it_is_over() -> None:
    assert {s.id for s in talent().stages if s.is_exit} == {
        "rejected_by_us", "rejected_by_client", "withdrawn", "no_response", "on_hold",
        "job_cancelled",
    }  # fmt: skip
    assert {s.id for s in sales().stages if s.is_exit} == {"won", "lost"}
    assert "placed" not in EXITS
