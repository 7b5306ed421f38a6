"""Parameters: what each of those is that mean the same wherever they stand. What means something of
its own is described where its handler takes it."""

from __future__ import annotations

from collections.abc import Mapping

IN_PATH: Mapping[str, str] = {
    "agreement_id": "The fee agreement.",
    "candidacy_id": "The candidacy.",
    "code": "The last part of a problem's `type`, such as `stale-version`.",
    "company_id": "The company. The id of one that is merged leads to the one that it is now.",
    "deal_id": "The deal.",
    "document_id": "The document.",
    "follow_up_id": "The follow-up.",
    "handle": "What the consultant is called here, such as `ana`.",
    "instalment_id": "The instalment of a fee.",
    "interview_id": "The interview.",
    "invoice_id": "The invoice.",
    "job_order_id": "The job order.",
    "name": "What the schema is called, such as `person.message_replied`.",
    "offer_id": "The offer.",
    "other_id": "The record that was merged into this one.",
    "person_id": "The person. The id of one who is merged leads to the one who they are now.",
    "referral_id": "The referral.",
    "shortlist_id": "The shortlist.",
    "slug": "What it is called in addresses, as its list names it.",
    "subject": "What the field is about.",
    "webhook_id": "The webhook.",
}

IN_QUERY: Mapping[str, str] = {
    "agreement_id": "Only those under this fee agreement.",
    "at": "The moment; now, if it is left out.",
    "candidacy_id": "Only those of this candidacy.",
    "channel": "Only those who were found by this way.",
    "company_id": "Only what is about this company.",
    "direction": "Only those that we received, or that we gave.",
    "done": "Only those that are done, or that are not.",
    "ends_before": "Only those whose last day is before this one.",
    "fault": "Only attempts that failed for this.",
    "job_order_id": "Only what is about this job order.",
    "kind": "Only people, or only companies.",
    "on": "The day that it is asked of; today, if it is left out.",
    "owes": "Only where these owe an answer.",
    "parent_id": "Only companies that belong to this one.",
    "person_id": "Only what is about this person.",
    "role": "Only who has this part in hiring there.",
    "seniority": "Only those of this seniority.",
    "since": "Only what was from this moment on.",
    "source": "Only candidacies of people who were found by this way.",
    "status": "Only those that stand there.",
    "subject": "Only fields of these.",
    "until": "Only what was before this moment.",
    "what": "Only what was this.",
    "why": "Only pairs in which this is the same.",
}
