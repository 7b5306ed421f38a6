"""What is said and set up at the demo agency besides its candidacies."""

from __future__ import annotations

from ledger_crm.domain.custom import FieldType, Subject
from ledger_crm.domain.shortlist import ClientVerdict

TEAMS = {
    "engineering": ("Engineering and works", ("ana", "ben", "chidi")),
    "commercial": ("Commercial and finance", ("dalia", "freya", "kenji")),
}
SIZES = {"below_50": "Below 50", "to_250": "50 to 250", "above_250": "Above 250"}
WAYS = {"cold_call": "Cold call", "known_before": "Known before", "website": "Website"}
MODES = {"on_site": "On site", "hybrid": "Hybrid", "remote": "Remote"}
FIELDS: tuple[tuple[Subject, str, str, FieldType, dict[str, str]], ...] = (
    ("company", "headcount", "Headcount", "choice", SIZES),
    ("job_order", "work_mode", "Where the work is done", "choice", MODES),
    ("person", "notice_weeks", "Notice, in weeks", "number", {}),
    ("deal", "came_through", "Came through", "choice", WAYS),
    ("placement", "cost_centre", "Cost centre of the client", "text", {}),
)
RECEPTION = "The reception gave us the people to ask for, and when they are in."
NOTES = (
    "They move to a larger site in the autumn and hire for it from the summer on.",
    "Nothing is signed there without the finance director, who is in on Tuesdays.",
    "A competitor of ours had them until last year; the terms were never in writing.",
)
REFERRED = "Told them that we found somebody within six weeks."
PROMISES = (
    "Send the salary survey",
    "Call once the budget is through",
    "Ask how the new colleague is doing",
    "Bring two profiles to the next meeting",
)
BOARDS = ("stepstone", "indeed", "city_jobs")
LETTERS = (
    "I have done this work for years and would like to do it with you.",
    "The post reads as if it were written for me. I could start within two months.",
)
QUESTIONS = {
    "permit": ("May you work here without a permit?", ("yes", "yes", "yes", "no")),
    "from": ("From when on could you start?", ("At once", "In a month", "In three months")),
}
VERDICTS: tuple[tuple[ClientVerdict, str, str], ...] = (
    ("interview", "", "Next week, any day but Friday."),
    ("hold", "", "Let us see the others first."),
    ("reject", "too_little_experience", "Has not led anybody yet, by the look of it."),
    ("interview", "", "Also, if the pay is right."),
)
TO_THE_LIST = "A strong list. Who is under a letter: may we know the name before the interview?"
BLIND = (
    "Works in {city} with {skill}, and has done so at two companies of the size of yours. Would"
    " move for a larger task. Name and employer on request."
)
LEFT = "Took the counter-offer of the employer before. No word against the client."
RESEARCHED = "Leads the same kind of work there, by their own web page."

OFF_LIMITS = (
    "In the new terms: nobody of theirs for a year, nor whom we brought them.",
    "They asked for it when they gave us the next search.",
)
