"""/equal-opportunity: what applicants answer of themselves, apart from them, and the report."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from ledger_crm.domain.equal_opportunity import Answers, EqualOpportunityForm
from ledger_crm.ledger import Receipt, Work
from ledger_crm.projections import equal_opportunity

from .acting import Act
from .reading import NOTHING, View

Year = Annotated[int, QueryParameter(ge=2000, le=2999, description="In which they answered, UTC.")]


class EqualOpportunity(Controller):
    path = "/equal-opportunity"
    tags = ("equal-opportunity",)

    @post("/answers")
    async def answer_equal_opportunity(
        self, begin: NamedDependency[Act], data: JSONBody[Answers]
    ) -> Response[Receipt]:
        """Answer the equal-opportunity questions

        As a request of its own, by the form that the applicant fills in, with the key of an
        integration: a consultant's is refused. The record that it makes is of nobody; its id is
        the applicant's to keep, and belongs nowhere else."""
        return await _apart(begin).new(_answer, data)

    @get("/report", now_alone=True)
    async def report_equal_opportunity(
        self, view: NamedDependency[View], year: FromQuery[Year]
    ) -> Response[list[equal_opportunity.QuestionReport]]:
        """The equal-opportunity report

        How often each answer was given in a year. It moves when ten more have answered; an answer
        of fewer than five people is told with others."""
        return await view.answer(equal_opportunity.report, NOTHING, year=year)


def _apart(act: Act) -> Act:
    """Whose receipt does not tell who else answered the same: it holds a fingerprint of the body,
    which is different for each key here."""
    intent = act.intent
    own = act.ledger.fingerprint(f"{intent.key}\x1f{intent.fingerprint.hex()}")
    act.intent = msgspec.structs.replace(intent, fingerprint=own)
    return act


async def _answer(work: Work, answers: Answers) -> EqualOpportunityForm:
    """Raises NotByAConsultant."""
    return work.add(EqualOpportunityForm.answer(answers, by=work.by))


HANDLERS = [EqualOpportunity]
