"""/interviews, /offers: what happens between the client and whom we introduced."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import candidacies
from ledger_crm.domain.interview import InterviewFacts, OfferFacts
from ledger_crm.projections import interviews

from .acting import Act, Made
from .reading import Limit, Named, Page, Token, View, position

Stands = Annotated[
    Literal["arranged", "held", "called_off"] | None,
    QueryParameter(description="Only those that are this now."),
]
Offered = Annotated[
    Literal["open", "accepted", "declined", "withdrawn"] | None,
    QueryParameter(description="Only those that are this now."),
]


class Interviews(Controller):
    path = "/"
    tags = ("candidates",)

    @post("/people/{person_id:uuid}/interviews")
    async def record_interview(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[InterviewFacts]
    ) -> Response[Made]:
        """Record an interview

        Arranged, moved, called off or held, and what an interviewer thinks of them, by its `kind`.
        Company and job order are the candidacy's: leave them out."""
        return await act.within(person_id, candidacies.progress, data)

    @post("/people/{person_id:uuid}/offers")
    async def record_offer(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[OfferFacts]
    ) -> Response[Made]:
        """Record an offer

        Made, changed, accepted, declined or withdrawn, by its `kind`. One at a time for each
        candidacy; who accepts is placed by `place`."""
        return await act.within(person_id, candidacies.progress, data)

    @get("/interviews")
    async def list_interviews(
        self,
        view: NamedDependency[View],
        person_id: FromQuery[UUID | None] = None,
        company_id: FromQuery[UUID | None] = None,
        job_order_id: FromQuery[UUID | None] = None,
        status: Stands = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[interviews.InterviewShown]]:
        """List interviews

        With what each interviewer said; the last arranged first."""
        return await view.page(
            interviews.of,
            named=Named(person_id=person_id, company_id=company_id, job_order_id=job_order_id),
            person_id=person_id,
            company_id=company_id,
            job_order_id=job_order_id,
            status=status,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/interviews/{interview_id:uuid}")
    async def read_interview(
        self, view: NamedDependency[View], interview_id: FromPath[UUID]
    ) -> Response[interviews.InterviewShown]:
        """Read an interview

        With what each interviewer said."""
        return await view.one(interviews.one, interview_id)

    @get("/offers")
    async def list_offers(
        self,
        view: NamedDependency[View],
        person_id: FromQuery[UUID | None] = None,
        company_id: FromQuery[UUID | None] = None,
        job_order_id: FromQuery[UUID | None] = None,
        status: Offered = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[interviews.OfferShown]]:
        """List offers

        The last made first."""
        return await view.page(
            interviews.offers_of,
            named=Named(person_id=person_id, company_id=company_id, job_order_id=job_order_id),
            person_id=person_id,
            company_id=company_id,
            job_order_id=job_order_id,
            status=status,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/offers/{offer_id:uuid}")
    async def read_offer(
        self, view: NamedDependency[View], offer_id: FromPath[UUID]
    ) -> Response[interviews.OfferShown]:
        """Read an offer"""
        return await view.one(interviews.one_offer, offer_id)
