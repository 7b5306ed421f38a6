"""Engagement over the API: the day on which it is asked decides who is quiet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, NOTE, REPLY, SENT, faults, found, problem, written
from ledger_crm.domain.clock import now, stopped_at
from ledger_crm.projections import _segment

pytestmark = pytest.mark.anyio


async def ids(client: httpx.AsyncClient, path: str, **params: Any) -> list[str]:
    return [item["id"] for item in (await found(client, path, **params))["items"]]


async def test_who_owes_an_answer_is_who_wrote_first_of_the_two(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    (await written(ana, "/people", {"name": "Nobody wrote to"}))["id"]
    await written(ana, f"/people/{ada}/interactions", REPLY)
    await written(ana, f"/people/{ada}/interactions", SENT | {"thread_id": "t"})  # came in late
    await written(ana, f"/people/{eve}/interactions", SENT)
    tracked = {"channel": "email", "message_id": "<1@us>"}
    opened = {"kind": "person.message_opened", "opened_at": "2024-03-02T10:00:00Z"}
    for _ in range(2):
        await written(ana, f"/people/{eve}/interactions", tracked | opened)
    clicked = {"kind": "person.link_clicked", "clicked_at": "2024-03-02T10:01:00Z"}
    await written(ana, f"/people/{eve}/interactions", tracked | clicked)
    bounced = {"kind": "person.message_bounced", "bounced_at": "2024-03-02T10:02:00Z"}
    await written(ana, f"/people/{eve}/interactions", tracked | bounced | {"permanent": True})
    project()

    assert await ids(ana, "/engagement") == [eve, ada]
    assert await ids(ana, "/engagement", owes="us") == [ada]
    assert await ids(ana, "/engagement", owes="them") == [eve]
    with_eve = await found(ana, f"/people/{eve}/engagement")
    assert (with_eve["opened_at"], with_eve["clicked_at"], with_eve["bounced_at"]) == (
        "2024-03-02T10:00:00Z", "2024-03-02T10:01:00Z", "2024-03-02T10:02:00Z",
    )  # fmt: skip
    lines = [line["line"] for line in (await found(ana, f"/people/{eve}/history"))["items"]]
    assert lines.count("message opened by email") == 1
    assert "message bounced by email, for good" in lines
    threads = await found(ana, f"/people/{ada}/threads")
    assert [(t["thread_id"], t["sent"], t["replied"]) for t in threads] == [("", 0, 1), ("t", 1, 0)]

    met = {"kind": "person.meeting_held", "started_at": "2024-03-03T10:00:00Z"}
    await written(ana, f"/people/{ada}/interactions", met)
    project()
    assert await ids(ana, "/engagement", owes="nobody") == [ada]
    page = await found(ana, "/engagement", limit=1)
    assert await ids(ana, "/engagement", limit=1, cursor=page["next"]) == [ada]


async def test_who_has_gone_quiet_is_listed_once_until_snoozed_and_again_after(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    today = now()
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/people/{ada}/interactions", SENT | {"company_id": engines})
    yesterday = (today - timedelta(days=1)).isoformat()
    await written(ana, f"/people/{eve}/interactions", SENT | {"sent_at": yesterday})
    project()
    assert await ids(ana, "/engagement/quiet", days=30) == [ada]
    assert await ids(ana, "/engagement/quiet", kind="company") == [engines]
    assert await ids(ana, "/engagement/quiet", days=3650) == []

    until = (today + timedelta(days=10)).date().isoformat()
    for path in (f"/people/{ada}", f"/companies/{engines}"):
        snooze = {"until_on": until, "reason": "parental_leave"}
        await written(ana, f"{path}/quiet-snoozes", snooze)
        problem(
            await ana.post(f"{path}/quiet-snoozes", json=snooze | {"until_on": "2024-01-01"}),
            422, "lasts-until-before",
        )  # fmt: skip
    project()
    assert await ids(ana, "/engagement/quiet", days=30) == []
    assert await ids(ana, "/engagement/quiet", kind="company") == []
    shown = await found(ana, f"/companies/{engines}/engagement")
    assert (shown["snoozed_until_on"], shown["snooze_reason"]) == (until, "parental_leave")
    history = await found(ana, f"/companies/{engines}/history")
    assert f"may be quiet until {until}: parental leave" in [x["line"] for x in history["items"]]
    with stopped_at(today + timedelta(days=11)):
        assert await ids(ana, "/engagement/quiet", days=30) == [ada]
        assert await ids(ana, "/engagement/quiet", days=1) == [ada, eve]


def days_ago(days: int) -> str:
    return (now() - timedelta(days=days)).isoformat()


@pytest.mark.parametrize("few", [0, _segment.FEW])  # many in segments, and not
async def test_who_is_in_two_segments_has_gone_quiet_once_by_the_shorter_cadence(
    ana: httpx.AsyncClient,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    few: int,
) -> None:
    """Given people of different segments, spoken to at different times; when it is asked who has
    gone quiet; then each is told once, by the cadence that is theirs, the longest silent first."""
    monkeypatch.setattr(_segment, "FEW", few)
    touched = {"both": 40, "yearly": 50, "none": 45, "fresh": 5, "snoozed": 60, "alone": 70}
    people = {}
    for name, days in touched.items():
        people[name] = (await written(ana, "/people", {"name": name}))["id"]
        sent = SENT | {"sent_at": days_ago(days)}
        await written(ana, f"/people/{people[name]}/interactions", sent)
    for tag, names in {
        "hot": ("both", "fresh", "snoozed", "alone"),
        "cold": ("both", "yearly"),
    }.items():
        for name in names:
            body = {"kind": "person.tagged", "tag": tag}
            await written(ana, f"/people/{people[name]}/tags", body)
    (await written(ana, "/people", {"name": "Nobody wrote to"}))["id"]
    for slug, tag, days in (("monthly", "hot", 30), ("yearly", "cold", 365), ("old", "hot", 1)):
        segment = {"slug": slug, "title": slug.title(), "criteria": {"tags": [tag]}}
        segment |= {"cadence_days": days, "retired": slug == "old"}
        assert (await ana.put(f"/segments/{slug}", json=segment)).status_code == 200
    until = (now() + timedelta(days=5)).date().isoformat()
    snooze = {"until_on": until, "reason": "parental_leave"}
    await written(ana, f"/people/{people['snoozed']}/quiet-snoozes", snooze)
    leave = {"kind": "person.do_not_contact_set", "set_at": days_ago(1)}
    await written(ana, f"/people/{people['alone']}/permissions", leave)
    project()

    async def told(**asked: Any) -> list[tuple[str, str | None, int]]:
        items = (await found(ana, "/engagement/quiet/people", **asked))["items"]
        return [(each["name"], each["segment"], each["cadence_days"]) for each in items]

    assert await told() == [("both", "monthly", 30)]
    assert await told(days=44) == [("none", None, 44), ("both", "monthly", 30)]
    assert await told(days=46) == [("both", "monthly", 30)]
    assert await told(days=44, limit=1) == [("none", None, 44)]
    after = (await found(ana, "/engagement/quiet/people", days=44, limit=1))["next"]
    assert await told(days=44, cursor=after) == [("both", "monthly", 30)]
    [one] = (await found(ana, "/engagement/quiet/people"))["items"]
    sent_at = datetime.fromisoformat(one["touched_at"])
    assert datetime.fromisoformat(one["since"]) == sent_at + timedelta(days=30)
    assert (one["title"], one["owner"]) == ("Monthly", "consultant:ana")
    assert await told(owner="consultant:ben") == []
    assert await told(owner="consultant:ana") == [("both", "monthly", 30)]
    with stopped_at(now() + timedelta(days=8)):
        assert await told() == [("snoozed", "monthly", 30), ("both", "monthly", 30)]
    with stopped_at(now() + timedelta(days=30)):
        assert [name for name, _, _ in await told()] == ["snoozed", "both", "fresh"]
    with stopped_at(now() + timedelta(days=330)):
        assert ("yearly", "yearly", 365) in await told()
    assert "query:days" in faults(await ana.get("/engagement/quiet/people", params={"days": 0}))
    problem(
        await ana.get("/engagement/quiet/people", params={"team": "none"}), 404, "no-such-record"
    )

    # what was known before they were tagged: they were in no segment
    assert await told(as_of="2024-01-01") == []


async def test_who_is_merged_has_gone_quiet_once_since_the_last_touch_of_either(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada, twin = [(await written(ana, "/people", {"name": n}))["id"] for n in ("Ada", "Twin")]
    for id, days in ((ada, 50), (twin, 40)):
        sent = SENT | {"sent_at": days_ago(days), "message_id": f"<{days}@us>"}
        await written(ana, f"/people/{id}/interactions", sent)
    await written(ana, f"/people/{twin}/tags", {"kind": "person.tagged", "tag": "hot"})
    segment = {"slug": "hot", "title": "Hot", "criteria": {"tags": ["hot"]}, "cadence_days": 30}
    assert (await ana.put("/segments/hot", json=segment)).status_code == 200
    await written(ana, f"/people/{ada}/merges", {"duplicate_id": twin})
    project()
    [one] = (await found(ana, "/engagement/quiet/people", days=30))["items"]
    assert (one["id"], one["name"], one["segment"]) == (ada, "Ada", "hot")
    assert now() - datetime.fromisoformat(one["touched_at"]) < timedelta(days=41)
    with stopped_at(now() - timedelta(days=15)):  # the one had, the other had not
        assert (await found(ana, "/engagement/quiet/people", days=30))["items"] == []


async def test_who_is_merged_owes_what_both_together_do(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    async def owing(who: str) -> list[str]:
        project()
        return await ids(ana, "/engagement", owes=who)

    ada, twin = [(await written(ana, "/people", {"name": n}))["id"] for n in ("Ada", "Twin")]
    await written(ana, f"/people/{twin}/interactions", SENT)
    await written(ana, f"/people/{ada}/interactions", REPLY)
    assert (await owing("us"), await owing("them")) == ([ada], [twin])
    enough = {"kind": "person.no_answer_needed", "said_at": "2024-03-03T09:00:00Z"}
    await written(ana, f"/people/{twin}/interactions", enough)
    await written(ana, f"/people/{ada}/merges", {"duplicate_id": twin})
    assert (await owing("us"), await owing("them"), await owing("nobody")) == ([], [], [ada])


async def test_a_company_in_two_segments_has_gone_quiet_once_by_the_shorter_cadence(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    firms = {}
    for name, days in {"Both": 40, "Prospect": 20, "None": 50, "Snoozed": 60}.items():
        firms[name] = (await written(ana, "/companies", {"name": name}))["id"]
        call = {"kind": "company.call_held", "started_at": days_ago(days), "duration_s": 60}
        await written(ana, f"/companies/{firms[name]}/interactions", call)
    for name in ("Both", "Snoozed"):
        tagged = {"kind": "company.tagged", "tag": "key"}
        await written(ana, f"/companies/{firms[name]}/changes", tagged)
    owned = {"kind": "company.owner_assigned", "owner": "consultant:ben"}
    await written(ana, f"/companies/{firms['Both']}/changes", owned)
    snooze = {"until_on": (now() + timedelta(days=5)).date().isoformat(), "reason": "freeze"}
    await written(ana, f"/companies/{firms['Snoozed']}/quiet-snoozes", snooze)

    async def save(slug: str, days: int, **criteria: Any) -> None:
        segment = {"slug": slug, "title": slug, "criteria": criteria, "cadence_days": days}
        assert (await ana.put(f"/company-segments/{slug}", json=segment)).status_code == 200
        project()

    async def told(**asked: Any) -> list[tuple[str, str | None, int, str]]:
        items = (await found(ana, "/engagement/quiet/companies", **asked))["items"]
        return [(x["name"], x["segment"], x["cadence_days"], x["owner"]) for x in items]

    await save("key", 30, tags=["key"])
    both = ("Both", "key", 30, "consultant:ben")
    assert await told() == [both]
    assert await told(days=45) == [("None", None, 45, ""), both]
    await save("bens", 14, owners=["consultant:ben"])
    both = ("Both", "bens", 14, "consultant:ben")
    assert await told() == [both], "shorter"
    await save("prospects", 15, statuses=["prospect"])  # which all of them are
    assert await told() == [
        ("None", "prospects", 15, ""), both, ("Prospect", "prospects", 15, ""),
    ]  # fmt: skip
    assert await told(owner="consultant:ben") == [both]
    after = (await found(ana, "/engagement/quiet/companies", limit=2))["next"]
    assert [x[0] for x in await told(cursor=after)] == ["Prospect"]
    lines = (await ana.get("/engagement/quiet/companies", headers={"Accept": "text/csv"})).text
    assert lines.splitlines()[0].startswith("id,name,touched_at,since,segment")

    await written(ana, f"/companies/{firms['Both']}/merges", {"duplicate_id": firms["None"]})
    project()
    assert await told() == [both, ("Prospect", "prospects", 15, "")]


async def test_a_note_is_in_the_history_of_everybody_it_mentions(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada, eve, ben = [(await written(ana, "/people", {"name": n}))["id"] for n in ("A", "E", "B")]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/people/{ada}/interactions", NOTE | {"mentions": [eve, engines]})
    nobody = NOTE | {"mentions": ["01939b2e-5c1a-7d0e-8f3b-2a6c4d9e1f70"]}
    problem(await ana.post(f"/people/{ada}/interactions", json=nobody), 404, "no-such-record")
    project()
    for subject in (f"people/{eve}", f"companies/{engines}"):
        history = await found(ana, f"/{subject}/history")
        assert [x["person_id"] for x in history["items"] if x["line"] == "note"] == [ada]
    assert "note" not in [x["line"] for x in (await found(ana, f"/people/{ben}/history"))["items"]]
