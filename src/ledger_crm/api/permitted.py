"""Which permission each route needs, by the name of its handler; and what is left out of answers.

The one place where that is decided: a route that is not here is refused to everybody, and a test
says so. Who has which permission is in ``domain/role.py``.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.handlers import BaseRouteHandler

from ledger_crm.domain.access import Holder
from ledger_crm.domain.entry import words
from ledger_crm.domain.role import FEES, Permission
from ledger_crm.projections.history import HistoryLine

from .problems import NotPermitted

ROUTES: dict[Permission, str] = {
    "records.read": """
        list_people look_up_person read_person read_person_history list_threads list_documents
        read_document export_resume read_person_engagement list_person_pools check_person
        list_company_documents read_company_document list_tags
        list_companies read_company read_company_history read_account list_accounts list_contacts
        read_company_engagement check_company read_off_limits list_off_limits
        list_job_orders read_job_order read_posting read_screening read_market_map
        list_candidates count_candidates list_candidate_changes count_candidate_changes
        list_late_facts
        read_candidacy list_applications read_application write_reply
        list_interviews read_interview list_offers read_offer
        list_shortlists read_shortlist preview_shortlist list_engagement list_quiet
        list_quiet_people list_quiet_companies read_day
        list_follow_ups read_follow_up list_pools read_pool list_members
        list_segments read_segment try_criteria
        list_segment_people list_segment_quiet list_company_segments read_company_segment
        try_company_criteria list_segment_companies list_company_segment_quiet
        look_up list_consultants read_consultant list_teams
        read_team list_team_members list_templates read_template list_custom_fields
        read_custom_field list_pipelines read_pipeline list_pipeline_versions
        read_pipeline_version list_campaigns read_campaign list_campaign_people
        list_person_campaigns list_duplicates list_company_duplicates
    """,
    "records.write": """
        add_person add_contact_point change_contact_point change_profile tag_person
        add_employment end_employment record_interaction record_permission add_document
        remove_document import_resume promise_follow_up change_follow_up snooze_person
        pool_person define_pool save_segment save_company_segment define_campaign enroll_person
        research_person refer_candidate set_person_fields
        open_candidacy move_candidacy give_right_to_represent add_application record_interview
        add_company change_company snooze_company record_company_interaction
        promise_company_follow_up change_company_follow_up set_company_fields refer_client
        name_target merge_people undo_merge merge_companies undo_company_merge
        file_company_document remove_company_document
    """,
    "clients.write": """
        open_deal work_on_deal move_deal set_deal_fields open_job_order step_job_order
        cancel_job_order fill_job_order reach_milestone set_job_order_fields set_off_limits
        draw_shortlist draw_version share_shortlist withdraw_shortlist introduce record_offer
        place start fall_through end_guarantee set_placement_fields
    """,
    "fees.read": """
        list_fees list_fees_of_company read_fee read_terms list_renewals list_introductions
        list_placements read_placement list_referrals read_referral
        list_deals read_deal count_deals forecast_deals
        list_deal_changes count_deal_changes
    """,
    "fees.write": """
        agree_fee amend_fee end_fee tell_candidate_referral_fee tell_client_referral_fee
    """,
    "books.read": """
        list_instalments read_instalment list_remedies list_invoices read_invoice list_commissions
        read_revenue
    """,
    "books.write": """
        raise_invoice credit_invoice pay_invoice refund_invoice split_commission
    """,
    "reports.read": "report_activity report_funnel",
    "equal_opportunity.answer": "answer_equal_opportunity",
    "equal_opportunity.read": "report_equal_opportunity",
    "privacy.read": "list_erasures",
    "privacy.write": "record_privacy erase_person",
    "catalogue.write": """
        define_pipeline define_custom_field define_template define_team change_team_members
        add_consultant change_consultant
    """,
    "events.read": "list_events stream_events list_webhooks read_webhook list_deliveries",
    "metrics.read": "read_metrics",
    "webhooks.write": "add_webhook change_webhook renew_webhook_secret",
    "access.read": "list_access",
    "session.own": "read_session sign_out change_password",
}
NEEDS: dict[str, Permission] = {
    name: permission for permission, names in ROUTES.items() for name in names.split()
}

BESIDES: dict[str, Permission] = {
    "add_webhook": "confidential.read",
    "list_deliveries": "confidential.read",
}
"""What a route needs on top: a webhook is sent what is confidential, too, and where it was sent
something there is an entry of a kind that it wants."""

ANYBODY = frozenset((
    "sign_in", "accept_invitation", "leave_for_provider", "return_from_provider",
    "entrance", "enter",
))  # fmt: skip
"""What nobody needs to be anybody for: it is how one becomes somebody."""

SOMEBODY = frozenset(("send_batch",))
"""What needs nothing but to be somebody: each command of a batch is looked at as if it had come
alone."""

HIDDEN: dict[str, Any] = {"fees": [], "fee_cents": None, "renewals": [], "shares": []}
"""Fields of answers, however deep, that only those with ``fees.read`` are shown, and what others
see there."""

TELL_FEES = (
    "company.fee_", "company.instalment_", "company.invoice_", "company.remedy_owed",
    "company.referral_", "person.referral_", "person.fell_through", "person.commission_",
    "company.job_order_staffed",
)  # fmt: skip
"""Kinds whose line, or text, in a history says what is paid."""


PAPERS_OF_FEES = ("proposal", "terms", "contract")
"""Purposes of a company's documents whose content says what is paid."""


def must_be_shown_fees(holder: Holder) -> None:
    """Raises NotPermitted."""
    if not holder.may(FEES):
        raise NotPermitted(permission=FEES, role=holder.role)


def must_be_permitted(holder: Holder, handler: BaseRouteHandler) -> None:
    """Raises NotPermitted."""
    if handler.handler_name == "options_handler" or handler.handler_name in SOMEBODY:
        return
    needed = NEEDS.get(handler.handler_name)
    if needed is None or not holder.may(needed):
        raise NotPermitted(permission=needed or "none: refused to all", role=holder.role)
    besides = BESIDES.get(handler.handler_name)
    if besides and not holder.may(besides):
        raise NotPermitted(permission=besides, role=holder.role)


def shown(found: Any, holder: Holder) -> Any:
    """An answer, as this holder may see it."""
    return found if holder.may(FEES) else _without_fees(found)


def field(item: Any, name: str, holder: Holder) -> Any:
    """A single value of an item, as ``shown`` tells it."""
    if holder.may(FEES):
        return getattr(item, name)
    if isinstance(item, HistoryLine):
        item = _without_fees(item)
    return HIDDEN[name] if name in HIDDEN else getattr(item, name)


def _without_fees(found: Any) -> Any:
    match found:
        case list():
            return [_without_fees(each) for each in found]
        case HistoryLine(kind=kind) if kind.startswith(TELL_FEES):
            return msgspec.structs.replace(found, line=words(kind.partition(".")[2]), text="")
        case msgspec.Struct():
            told = {
                name: HIDDEN[name] if name in HIDDEN else _without_fees(getattr(found, name))
                for name in type(found).__struct_fields__
            }
            return msgspec.structs.replace(found, **told)
    return found
