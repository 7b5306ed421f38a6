"""A believable body for each write, for the documentation; a test decodes them all."""

from __future__ import annotations

from typing import Any

COMPANY = "01939b2e-5c1a-7d0e-8f3b-2a6c4d9e1f70"
TARGET = "01939b38-3c4d-7e5f-8a6b-7c8d9e0f1a2b"
CONTACT = "01939b30-11b2-7a44-9c05-7be1d2f3a418"
INSTALMENT = "01939b33-4a72-7e4d-9ea1-7f8091a2b3c4"
INVOICE = "01939b34-5b83-7f5e-8fb2-8091a2b3c4d5"
AGREEMENT = "01939b32-2f61-7b3c-8d90-6e7f8091a2b3"
ORDER = "01939b31-8e0d-7c1f-a2b4-5d6e7f809132"
CANDIDACY = "01939b32-0d1f-5b7e-9c3a-4e5f60718293"
INTERVIEW = "01939b33-2a4b-7c6d-8e9f-0a1b2c3d4e5f"
OFFER = "01939b34-6f5e-7d4c-8b3a-291807f6e5d4"
LINK = "01939b36-9fac-7d8e-8b71-5162738495a6"
HOLD = "01939b37-8e9d-7c6b-8a5f-514233221f1e"
DEAL = "01939b35-7e8d-7b6c-9a5f-403122110f0e"

EXAMPLES: dict[str, dict[str, Any]] = {
    "sign_in": {
        "with a password": {"consultant": "consultant:ana", "password": "correct horse battery"}
    },
    "accept_invitation": {
        "as the link has it": {
            "invitation": "lcri_0f1e2d3c4b5a69788796a5b4c3d2e1f0_ana",
            "password": "correct horse battery",
        }
    },
    "change_password": {
        "another one": {"old": "correct horse battery", "password": "another horse entirely"}
    },
    "add_webhook": {
        "placements, to a payroll": {
            "url": "https://payroll.example/hooks/ledger",
            "kinds": ["person.placed", "person.placement_started"],
            "label": "payroll",
        }
    },
    "change_webhook": {
        "sent again from a position": {"kind": "webhook.redriven", "after": 1200},
        "disabled": {"kind": "webhook.disabled", "reason": "moving_house"},
    },
    "renew_webhook_secret": {
        "for receivers that change over within a day": {},
        "one that has become known": {"overlap_s": 0},
    },
    "send_batch": {
        "a note and a tag, or neither": {
            "all_or_nothing": True,
            "commands": [
                {
                    "path": f"/people/{CONTACT}/interactions",
                    "body": {"kind": "person.note_written", "text": "Prefers mornings."},
                    "idempotency_key": "note-1",
                },
                {
                    "path": f"/people/{CONTACT}/tags",
                    "body": {"kind": "person.tagged", "tag": "early_bird"},
                    "if_match": '"7"',
                },
            ],
        }
    },
    "add_person": {
        "a candidate": {
            "name": "Ada Byron",
            "channel": "linkedin",
            "origin": "search: analytical engines",
            "lawful_basis": "legitimate_interest",
            "sourced_at": "2026-03-01T09:00:00Z",
            "headline": "Programmer",
            "email": "ada@example.org",
            "phone": "+44 20 7946 0958",
            "profile_url": "https://www.linkedin.com/in/ada-byron",
        },
        "only a name": {"name": "Charles Babbage"},
    },
    "add_contact_point": {"an e-mail": {"point": "email", "value": "ada@work.example"}},
    "change_contact_point": {
        "removed": {
            "kind": "person.contact_point_removed",
            "point": "email",
            "value": "ada@work.example",
            "reason": "left_the_company",
        },
        "made primary": {
            "kind": "person.contact_point_preferred",
            "point": "email",
            "value": "ada@example.org",
        },
    },
    "change_profile": {
        "moved and learned": {
            "location": "London",
            "skills": "Python, mathematics",
            "seniority": "senior",
            "cleared": ["address"],
        }
    },
    "record_privacy": {
        "asked to be erased": {
            "kind": "person.erasure_requested",
            "requested_at": "2026-03-02T09:00:00Z",
            "text": "By letter, to Ana",
        },
        "not yet": {
            "kind": "person.erasure_deferred",
            "deferred_at": "2026-03-09T09:00:00Z",
            "until_on": "2026-06-02",
            "reason": "placement_in_guarantee",
        },
        "a legal hold": {
            "kind": "person.legal_hold_placed",
            "hold_id": HOLD,
            "placed_at": "2026-03-10T09:00:00Z",
            "reason": "fee_dispute",
        },
        "it is released": {
            "kind": "person.legal_hold_released",
            "hold_id": HOLD,
            "released_at": "2026-05-04T09:00:00Z",
            "reason": "settled",
        },
    },
    "merge_people": {
        "the same phone": {"duplicate_id": CONTACT, "reason": "same_phone"},
    },
    "merge_companies": {"the same name": {"duplicate_id": TARGET, "reason": "same_name"}},
    "undo_company_merge": {"two after all": {"reason": "two_firms"}},
    "undo_merge": {"two after all": {"reason": "two_people"}},
    "erase_person": {"as they asked": {"reason": "asked_us"}},
    "tag_person": {"tagged": {"kind": "person.tagged", "tag": "speaker"}},
    "end_employment": {"at the end of the year": {"company_id": COMPANY, "ends_on": "2026-12-31"}},
    "look_up_person": {
        "by e-mail": {"point": "email", "value": "Ada@Example.org"},
        "by name": {"name": "ada byron"},
        "by words, and in a stage": {"q": "ada london", "criteria": {"stages": ["screening"]}},
    },
    "add_employment": {
        "a hiring manager": {
            "company_id": COMPANY,
            "title": "Head of Engines",
            "role": "hiring_manager",
            "starts_on": "2026-09-01",
        }
    },
    "record_permission": {
        "do not contact": {
            "kind": "person.do_not_contact_set",
            "set_at": "2026-03-04T09:00:00Z",
            "reason": "asked_us",
            "until_on": "2027-03-04",
        },
        "consent withdrawn": {
            "kind": "person.consent_withdrawn",
            "withdrawn_at": "2026-03-04T09:00:00Z",
            "text": "No more e-mails, please.",
        },
    },
    "set_off_limits": {
        "agreed": {
            "kind": "company.off_limits_agreed",
            "agreed_at": "2026-03-04T09:00:00Z",
            "until_on": "2027-12-31",
        },
        "with subsidiaries": {
            "kind": "company.off_limits_agreed",
            "agreed_at": "2026-03-04T09:00:00Z",
            "with_subsidiaries": True,
        },
    },
    "record_interaction": {
        "a message sent": {
            "kind": "person.message_sent",
            "channel": "email",
            "message_id": "<1@agency.example>",
            "thread_id": "t1",
            "sent_at": "2026-03-02T09:00:00Z",
            "text": "Would you like to hear about it?",
        },
        "a reply": {
            "kind": "person.message_replied",
            "channel": "email",
            "message_id": "<2@example.org>",
            "thread_id": "t1",
            "replied_at": "2026-03-02T12:00:00Z",
            "text": "Yes, tell me more.",
        },
        "a call": {
            "kind": "person.call_held",
            "started_at": "2026-03-03T15:00:00Z",
            "duration_s": 1260,
            "direction": "out",
            "text": "Open to move in summer.",
        },
        "a note": {"kind": "person.note_written", "text": "Prefers mornings."},
        "no answer needed": {
            "kind": "person.no_answer_needed",
            "said_at": "2026-03-02T16:00:00Z",
            "reason": "said_thanks",
        },
        "a meeting": {
            "kind": "person.meeting_held",
            "started_at": "2026-03-05T10:00:00Z",
            "duration_s": 3600,
            "place": "Their office",
        },
        "a bounce": {
            "kind": "person.message_bounced",
            "channel": "email",
            "message_id": "<1@agency.example>",
            "permanent": True,
            "bounced_at": "2026-03-02T09:01:00Z",
        },
    },
    "promise_follow_up": {
        "a call in a week": {"due_on": "2026-03-09", "text": "Call about the salary"}
    },
    "change_follow_up": {
        "done": {"kind": "person.follow_up_done", "follow_up_id": ORDER},
        "put off": {
            "kind": "person.follow_up_snoozed",
            "follow_up_id": ORDER,
            "until_on": "2026-03-16",
            "reason": "on_holiday",
        },
    },
    "record_company_interaction": {
        "a note": {"kind": "company.note_written", "text": "They move to the docks in autumn"},
        "a call": {
            "kind": "company.call_held",
            "started_at": "2026-03-02T15:00:00Z",
            "duration_s": 120,
            "text": "Nobody of the works is in before Monday",
        },
    },
    "promise_company_follow_up": {
        "a call in a week": {"due_on": "2026-03-09", "text": "Ask who follows the director"}
    },
    "change_company_follow_up": {
        "done": {"kind": "company.follow_up_done", "follow_up_id": ORDER},
        "put off": {
            "kind": "company.follow_up_snoozed",
            "follow_up_id": ORDER,
            "until_on": "2026-03-16",
            "reason": "works_holidays",
        },
    },
    "look_up": {"a name, begun": {"q": "ada byr", "kind": "person"}},
    "add_document": {
        "a CV": {
            "name": "ada_byron.txt",
            "purpose": "cv",
            "media_type": "text/plain",
            "content": "QWRhIEJ5cm9uLCBwcm9ncmFtbWVy",
        }
    },
    "import_resume": {
        "a short one": {
            "basics": {
                "name": "Ada Byron",
                "label": "Programmer",
                "email": "ada@example.org",
                "location": {"city": "London", "countryCode": "GB"},
            },
            "skills": [{"name": "Mathematics", "keywords": ["Bernoulli numbers"]}],
        }
    },
    "file_company_document": {
        "signed terms": {
            "name": "terms_signed.txt",
            "purpose": "terms",
            "media_type": "text/plain",
            "content": "U2lnbmVkOiBHcmFjZSBIb3BwZXI=",
        }
    },
    "remove_company_document": {"replaced": {"document_id": ORDER, "reason": "replaced"}},
    "remove_document": {"on request": {"document_id": ORDER, "reason": "asked_us"}},
    "define_pool": {
        "speakers": {"slug": "speakers", "title": "Speakers", "purpose": "For our evenings"}
    },
    "pool_person": {
        "in": {"kind": "person.pooled", "pool": "speakers", "reason": "gave_a_talk"},
        "out": {"kind": "person.unpooled", "pool": "speakers", "reason": "moved_away"},
    },
    "define_campaign": {
        "three steps": {
            "slug": "spring",
            "title": "Spring",
            "purpose": "Weavers who may like to lead",
            "steps": [
                {"channel": "email"},
                {"channel": "email", "after_days": 4},
                {"channel": "phone", "after_days": 7},
            ],
        }
    },
    "enroll_person": {
        "enroll": {"kind": "person.enrolled", "campaign": "spring"},
        "stop": {"kind": "person.campaign_stopped", "campaign": "spring", "reason": "moved_away"},
    },
    "add_consultant": {
        "from the day on which she began": {
            "consultant": "consultant:ana",
            "name": "Ana Lopez",
            "joined_on": "2026-01-05",
        }
    },
    "change_consultant": {
        "she left": {"kind": "consultant.left", "left_on": "2026-12-31", "reason": "moved_away"},
        "she is called otherwise": {"kind": "consultant.renamed", "name": "Ana Byron"},
    },
    "define_team": {"north": {"slug": "north", "title": "North", "purpose": "Engineers"}},
    "change_team_members": {
        "in": {"kind": "team.joined", "consultant": "consultant:ana", "joined_on": "2026-01-05"},
        "out": {"kind": "team.left", "consultant": "consultant:ana", "left_on": "2026-06-30"},
    },
    "save_segment": {
        "seniors in London": {
            "slug": "london_seniors",
            "title": "Seniors in London",
            "criteria": {"seniority": ["senior", "lead"], "location": "london"},
            "cadence_days": 60,
        }
    },
    "save_company_segment": {
        "clients to be spoken to every six weeks": {
            "slug": "key_clients",
            "title": "Key clients",
            "criteria": {"statuses": ["active", "repeat"], "tags": ["key_client"]},
            "cadence_days": 42,
        }
    },
    "define_custom_field": {
        "a choice, asked before they are introduced": {
            "subject": "person",
            "slug": "licence",
            "label": "Driving licence",
            "type": "choice",
            "choices": [{"id": "b", "label": "Car"}, {"id": "c1", "label": "Lorry to 7.5 t"}],
            "required": True,
        }
    },
    "set_person_fields": {
        "of several types": {
            "values": {
                "licence": "c1",
                "notice_weeks": 6,
                "salary_wish": {"amount_cents": 6_500_000, "currency": "EUR"},
                "free_from": "2026-06-01",
                "shirt_size": None,
            }
        }
    },
    "set_placement_fields": {"a choice": {"values": {"cost_centre": "north"}}},
    "set_company_fields": {"several choices": {"values": {"benefits": ["car", "pension"]}}},
    "set_job_order_fields": {"a number": {"values": {"team_size": 12}}},
    "set_deal_fields": {"a person": {"values": {"champion": CONTACT}}},
    "refer_candidate": {
        "to us, by a person, for a fee": {
            "kind": "person.referral_received",
            "by_person_id": CONTACT,
            "received_at": "2026-03-04T09:00:00Z",
            "fee_cents": 100_000,
            "currency": "GBP",
        },
        "to a partner": {
            "kind": "person.referral_given",
            "to_company_id": COMPANY,
            "given_at": "2026-03-04T09:00:00Z",
            "text": "They place nurses; we do not.",
        },
    },
    "tell_candidate_referral_fee": {
        "paid": {"referral_id": ORDER, "state": "paid", "told_at": "2026-07-01T09:00:00Z"}
    },
    "refer_client": {
        "by a company": {
            "kind": "company.referral_received",
            "by_company_id": COMPANY,
            "received_at": "2026-03-04T09:00:00Z",
        }
    },
    "tell_client_referral_fee": {
        "waived": {"referral_id": ORDER, "state": "waived", "told_at": "2026-07-01T09:00:00Z"}
    },
    "name_target": {
        "named": {
            "kind": "company.target_named",
            "job_order_id": ORDER,
            "target_id": COMPANY,
            "named_at": "2026-03-04T09:00:00Z",
            "reason": "same_products",
        },
        "dropped": {
            "kind": "company.target_dropped",
            "job_order_id": ORDER,
            "target_id": COMPANY,
            "dropped_at": "2026-03-20T09:00:00Z",
            "reason": "became_a_client",
        },
    },
    "research_person": {
        "may fit": {
            "company_id": COMPANY,
            "job_order_id": ORDER,
            "researched_at": "2026-03-05T09:00:00Z",
            "standing": "to_approach",
            "text": "Runs the team that built their engine.",
        }
    },
    "try_company_criteria": {
        "clients to be won back": {"statuses": ["quiet", "former"], "silent_days": 120},
    },
    "try_criteria": {
        "who may be called": {"skills": ["python"], "contactable": True, "silent_days": 30},
        "by custom fields": {
            "custom": [
                {"field": "licence", "any_of": ["c1"]},
                {"field": "notice_weeks", "at_most": 8},
            ]
        },
    },
    "snooze_person": {"on parental leave": {"until_on": "2027-03-01", "reason": "parental_leave"}},
    "snooze_company": {"no hiring": {"until_on": "2027-03-01", "reason": "hiring_freeze"}},
    "open_candidacy": {"in the first stage": {"company_id": COMPANY, "job_order_id": ORDER}},
    "add_application": {
        "by a job board": {
            "company_id": COMPANY,
            "job_order_id": ORDER,
            "applied_at": "2026-03-10T08:00:00Z",
            "channel": "job_board",
            "source": "stepstone",
            "answers": [
                {"question": "right_to_work", "text": "yes"},
                {"question": "motivation", "text": "I have read about yours."},
            ],
            "text": "Dear Sir or Madam",
        }
    },
    "answer_equal_opportunity": {
        "some of them": {"gender": "woman", "age_band": "25-34", "disability": "no"}
    },
    "define_template": {
        "a rejection": {
            "slug": "no_thanks",
            "title": "After the CV",
            "subject": "Your application as {{job_order}}",
            "text": "Dear {{first_name}},\n\nwe went on with others.\n\n{{consultant}}",
        }
    },
    "move_candidacy": {
        "forward": {"stage": "screening"},
        "out": {
            "stage": "rejected_by_client",
            "reason": "experience",
            "decided_by": "client",
            "decider": "G. Airy",
        },
    },
    "give_right_to_represent": {"by telephone": {"text": "Agreed on the call of today."}},
    "introduce": {"to the hiring manager": {"to_person_id": CONTACT}},
    "record_interview": {
        "arranged": {
            "kind": "person.interview_arranged",
            "candidacy_id": CANDIDACY,
            "arranged_at": "2026-03-10T09:00:00Z",
            "starts_at": "2026-03-12T14:00:00Z",
            "form": "video",
            "interviewer_ids": [CONTACT],
        },
        "feedback": {
            "kind": "person.interview_feedback",
            "candidacy_id": CANDIDACY,
            "interview_id": INTERVIEW,
            "given_at": "2026-03-12T16:00:00Z",
            "interviewer_id": CONTACT,
            "verdict": "yes",
            "scores": [{"attribute": "problem_solving", "rating": 4}],
            "text": "Knew our engines better than we do.",
        },
    },
    "record_offer": {
        "made": {
            "kind": "person.offer_made",
            "candidacy_id": CANDIDACY,
            "made_at": "2026-03-20T09:00:00Z",
            "first_year_pay_cents": 8_500_000,
            "currency": "GBP",
            "begins_on": "2026-06-01",
            "expires_on": "2026-03-27",
        },
        "declined": {
            "kind": "person.offer_declined",
            "candidacy_id": CANDIDACY,
            "offer_id": OFFER,
            "declined_at": "2026-03-22T09:00:00Z",
            "reason": "counter_offer",
        },
    },
    "place": {
        "a placement": {"starts_on": "2026-06-01", "first_year_pay_cents": 8_500_000},
        "by the parts of the pay, of two consultants": {
            "starts_on": "2026-06-01",
            "pay": {
                "currency": "EUR",
                "base_cents": 9_000_000,
                "bonus_cents": 1_000_000,
                "exchange_rate_e9": 850_000_000,
            },
            "shares": [
                {"consultant": "consultant:ana", "share_bp": 7_000},
                {"consultant": "consultant:ben", "share_bp": 3_000},
            ],
        },
    },
    "start": {"as planned": {"starts_on": "2026-06-01"}},
    "fall_through": {
        "after seven weeks": {
            "left_on": "2026-07-15",
            "reason": "counter_offer",
            "decided_by": "candidate",
        },
        "another is looked for": {
            "left_on": "2026-07-15",
            "reason": "counter_offer",
            "decided_by": "candidate",
            "look_again": True,
        },
    },
    "end_guarantee": {"they stayed": {}},
    "split_commission": {
        "in halves": {
            "shares": [
                {"consultant": "consultant:ana", "share_bp": 5_000},
                {"consultant": "consultant:ben", "share_bp": 5_000},
            ]
        }
    },
    "reach_milestone": {"the shortlist": {"on": "shortlist"}},
    "raise_invoice": {
        "a third": {
            "instalment_id": INSTALMENT,
            "number": "2026/017",
            "amount_cents": 990_198,
            "currency": "GBP",
            "raised_at": "2026-03-02T10:00:00Z",
        }
    },
    "pay_invoice": {
        "in full": {
            "invoice_id": INVOICE,
            "amount_cents": 990_198,
            "currency": "GBP",
            "paid_at": "2026-03-30T10:00:00Z",
            "reference": "NTRF-77",
        }
    },
    "credit_invoice": {
        "a rebate": {
            "invoice_id": INVOICE,
            "number": "2026/C3",
            "amount_cents": 495_099,
            "currency": "GBP",
            "credited_at": "2026-07-16T10:00:00Z",
            "reason": "fell_through",
        }
    },
    "refund_invoice": {
        "the rebate": {
            "invoice_id": INVOICE,
            "amount_cents": 495_099,
            "currency": "GBP",
            "refunded_at": "2026-07-20T10:00:00Z",
        }
    },
    "add_company": {
        "a client": {
            "name": "Analytical Engines",
            "domain": "engines.example",
            "industry": "Machinery",
            "location": "London",
        }
    },
    "change_company": {
        "a profile": {
            "kind": "company.profile_changed",
            "industry": "Machinery",
            "location": "London",
            "website": "https://engines.example",
            "employees": 120,
        },
        "a second domain": {"kind": "company.domain_added", "domain": "engines.example.net"},
        "a parent": {"kind": "company.parent_named", "parent_id": COMPANY},
        "an owner": {"kind": "company.owner_assigned", "owner": "consultant:ana"},
        "a tag": {"kind": "company.tagged", "tag": "key_account"},
    },
    "open_deal": {
        "a retained search": {
            "title": "Retained search, two engineers",
            "value_cents": 3_000_000,
            "currency": "GBP",
            "expected_close_on": "2026-05-15",
        }
    },
    "move_deal": {
        "won": {"stage": "won"},
        "lost": {"stage": "lost", "reason": "price"},
    },
    "work_on_deal": {
        "changed": {
            "kind": "company.deal_changed",
            "deal_id": DEAL,
            "changed_at": "2026-03-10T09:00:00Z",
            "value_cents": 3_500_000,
            "probability_bp": 7000,
            "expected_close_on": "2026-04-30",
        },
        "terms sent": {
            "kind": "company.paper_sent",
            "deal_id": DEAL,
            "sent_at": "2026-03-10T09:00:00Z",
            "paper": "terms",
            "to_person_id": CONTACT,
            "document": "terms-2026-03.pdf",
        },
        "terms signed": {
            "kind": "company.paper_signed",
            "deal_id": DEAL,
            "signed_at": "2026-03-15T09:00:00Z",
            "paper": "terms",
            "version": 1,
            "signed_by_id": CONTACT,
        },
    },
    "agree_fee": {
        "a quarter of first-year pay": {
            "basis": "contingent",
            "currency": "GBP",
            "rate_bp": 2500,
            "minimum_cents": 800_000,
            "guarantee_days": 90,
            "ladder": [
                {"until_day": 30, "rebate_bp": 10_000},
                {"until_day": 60, "rebate_bp": 5_000},
                {"until_day": 90, "rebate_bp": 2_500},
            ],
            "tail_months": 12,
            "agreed_at": "2026-03-01T10:00:00Z",
        },
        "a retained search in thirds": {
            "basis": "retained",
            "currency": "GBP",
            "rate_bp": 3300,
            "expected_pay_cents": 9_000_000,
            "counts": ["base", "bonus"],
            "instalments": [
                {"on": "signing", "share_bp": 3334},
                {"on": "shortlist", "share_bp": 3333},
                {"on": "start", "share_bp": 3333},
            ],
            "job_order_id": ORDER,
            "agreed_at": "2026-03-01T10:00:00Z",
        },
    },
    "amend_fee": {
        "a lower rate": {
            "agreement_id": AGREEMENT,
            "basis": "contingent",
            "currency": "GBP",
            "rate_bp": 2000,
            "amended_at": "2026-06-01T10:00:00Z",
        }
    },
    "end_fee": {
        "at the end of the year": {
            "agreement_id": AGREEMENT,
            "ended_at": "2026-12-31T23:00:00Z",
            "reason": "no_more_hiring",
        }
    },
    "open_job_order": {
        "an engineer": {
            "title": "Engineer",
            "openings": 2,
            "opened_at": "2026-03-01T10:00:00Z",
            "location": "London",
            "salary_from_cents": 7_000_000,
            "salary_to_cents": 9_000_000,
            "currency": "GBP",
        }
    },
    "draw_shortlist": {
        "one by name, one blind": {
            "job_order_id": ORDER,
            "people": [
                {
                    "person_id": CONTACT,
                    "headline": "Programmer",
                    "text": "Wrote the first program; free from June.",
                },
                {
                    "person_id": "01939b37-0abd-7c1e-9d82-60718293a4b5",
                    "blind": True,
                    "headline": "Mathematician in a government office",
                },
            ],
            "text": "Two who can begin this summer.",
        }
    },
    "draw_version": {"with somebody new": {"people": [{"person_id": CONTACT}], "introduces": True}},
    "share_shortlist": {
        "with the hiring manager": {
            "contact_id": CONTACT,
            "until_on": "2026-04-01",
            "introduces": True,
        }
    },
    "withdraw_shortlist": {
        "from all": {"reason": "order_filled"},
        "from one": {"link_id": LINK, "reason": "left_the_company"},
    },
    "give_verdict": {
        "interview": {"candidate": "A", "verdict": "interview", "text": "Any day next week."},
        "reject": {"candidate": "B", "verdict": "reject", "reason": "location"},
    },
    "comment": {
        "on all of them": {"text": "A strong list."},
        "on one": {"candidate": "B", "text": "Would she relocate?"},
    },
    "fill_job_order": {"today": {}, "one of several": {"openings": 1}},
    "step_job_order": {
        "changed": {
            "kind": "company.job_order_changed",
            "job_order_id": ORDER,
            "changed_at": "2026-03-09T10:00:00Z",
            "salary_to_cents": 9_500_000,
            "must_haves": ["Difference engines", "English"],
        },
        "screening questions": {
            "kind": "company.screening_set",
            "job_order_id": ORDER,
            "set_at": "2026-03-09T10:00:00Z",
            "questions": [
                {
                    "id": "right_to_work",
                    "asked": "May you work in the United Kingdom?",
                    "form": "yes_no",
                    "required": True,
                    "accepts": ["yes"],
                },
                {"id": "motivation", "asked": "Why do you want to work with engines?"},
            ],
        },
        "staffed": {
            "kind": "company.job_order_staffed",
            "job_order_id": ORDER,
            "staffed_at": "2026-03-09T10:00:00Z",
            "owner": "consultant:ana",
            "shares": [
                {"consultant": "consultant:ana", "share_bp": 6000},
                {"consultant": "consultant:ben", "share_bp": 4000},
            ],
        },
        "on hold": {
            "kind": "company.job_order_held",
            "job_order_id": ORDER,
            "held_at": "2026-03-10T10:00:00Z",
            "reason": "budget",
            "text": "Board meets in April.",
        },
        "reopened": {
            "kind": "company.job_order_reopened",
            "job_order_id": ORDER,
            "reopened_at": "2026-04-10T10:00:00Z",
        },
    },
    "cancel_job_order": {"for a reason": {"reason": "budget"}},
    "define_pipeline": {
        "a short one": {
            "slug": "interim",
            "title": "Interim",
            "subject": "candidate",
            "stages": [
                {"id": "found", "label": "Found", "category": "sourced"},
                {"id": "submitted", "label": "Submitted", "category": "submitted"},
                {"id": "placed", "label": "Placed", "category": "placed"},
                {"id": "withdrawn", "label": "Withdrawn", "category": "withdrawn"},
            ],
        }
    },
}
