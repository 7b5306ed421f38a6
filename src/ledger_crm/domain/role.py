"""Roles and permissions: who may do what, as data.

A key has one role, and may have scopes: permissions besides, or the only ones where its role
is ``none``. What is not said here is refused. Which permission a route of the API needs is in
``api/permitted.py``.
"""

from __future__ import annotations

from typing import Literal, get_args

Permission = Literal[
    "records.read",  # people, companies, job orders, candidates, lists, histories, search
    "records.write",  # people and what passes between us; companies and who is there
    "clients.write",  # deals, job orders, shortlists, introductions, offers, placements
    "fees.read",  # terms and fees, what deals are worth, who was introduced under what
    "fees.write",  # agreeing, amending and ending them
    "books.read",  # instalments, invoices, commissions, revenue
    "books.write",  # invoices and what is paid; how commissions are split
    "reports.read",  # activity, funnel
    "equal_opportunity.answer",  # by the form that applicants fill in
    "equal_opportunity.read",  # the report
    "privacy.read",  # who asked to be forgotten
    "privacy.write",  # requests, legal hold, erasure
    "catalogue.write",  # pipelines, custom fields, templates, consultants, teams
    "events.read",  # the whole ledger, without what is sealed
    "metrics.read",  # how much is asked, how long it takes, who lags
    "webhooks.write",  # where the ledger is sent to, without what is sealed
    "confidential.read",  # confidential job orders of others; of one's own one sees them anyway
    "confidential.team",  # those of whoever is in a team with one
    "access.read",  # who signed in, which key was used, what was refused
    "session.own",  # who one is, and one's own password
    "events.open",  # and what is sealed; only as a scope, in no role
]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

Role = Literal["owner", "manager", "consultant", "resourcer", "analyst", "read_only", "integration"]

KeyRole = Literal[Role, "none"]  # nobody signs in as that: they could not even sign out

FEES: Permission = "fees.read"
OPEN: Permission = "events.open"

_ALL = frozenset(PERMISSIONS) - {OPEN}
_RECORDS = frozenset[Permission]({"records.read", "records.write", "session.own"})

BEFORE_ROLES = ""
"""The role of keys that were made before there were roles: they may what they could then."""

MAY: dict[str, frozenset[Permission]] = {
    BEFORE_ROLES: _ALL - {"access.read"},
    "owner": _ALL,
    "manager": _ALL
    - {
        "equal_opportunity.answer", "catalogue.write", "events.read", "webhooks.write",
        "confidential.read",
    },
    "consultant": _RECORDS
    | {"clients.write", "fees.read", "fees.write", "reports.read", "privacy.read"},
    "resourcer": _RECORDS,
    "analyst": frozenset(
        {
            "records.read", "fees.read", "books.read", "reports.read", "equal_opportunity.read",
            "events.read", "session.own",
        }
    ),
    "read_only": frozenset({"records.read", "session.own"}),
    "none": frozenset(),
    "integration": _RECORDS | {"clients.write", "equal_opportunity.answer"},
}  # fmt: skip


def usual(actor: str) -> Role:
    """The role of whoever writes as this, if nobody says another."""
    return "consultant" if actor.startswith("consultant:") else "integration"
