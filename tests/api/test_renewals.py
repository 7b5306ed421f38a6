"""Which fee agreements run out, and who is to renew them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ENGINES, FEE, ORDER, faults, found, problem, written

pytestmark = pytest.mark.anyio

ENDING = FEE | {"agreed_at": "2024-02-01T10:00:00Z", "ends_on": "2024-12-31"}


async def test_an_agreement_that_runs_out_is_on_its_owners_day_until_it_is_renewed(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    engines = (await written(ana, "/companies", ENGINES))["id"]
    bolt = (await written(ana, "/companies", {"name": "Bolt"}))["id"]
    fees, orders = f"/companies/{engines}/fees", f"/companies/{engines}/job-orders"
    order = (await written(ana, orders, ORDER))["created"]
    whole = (await written(ana, fees, ENDING))["created"]
    of_order = (await written(ana, fees, ENDING | {"job_order_id": order}))["created"]
    lasting = (await written(ana, f"/companies/{bolt}/fees", FEE))["created"]

    async def to_renew(on: str, **params: Any) -> set[str]:
        project()
        listed = await found(ana, "/renewals", on=on, **params)
        return {each["agreement_id"] for each in listed}

    async def on_day_of(owner: str, on: str = "2024-12-01") -> set[str]:
        project()
        day = await found(ana, "/day", on=on, owner=f"consultant:{owner}")
        return {each["agreement_id"] for each in day["renewals"]}

    # from 60 days before the last day to 60 days after it, and never before it was agreed
    assert await to_renew("2024-10-31") == set()
    assert await to_renew("2024-11-01") == {whole, of_order}
    assert await to_renew("2025-03-01") == {whole, of_order}
    assert await to_renew("2025-03-02") == set()
    assert await to_renew("2024-12-01", within_days=29) == set()
    assert await to_renew("2024-12-01", within_days=30) == {whole, of_order}
    assert await to_renew("2024-01-31", within_days=3650) == set()
    assert "query:within_days" in faults(await ana.get("/renewals", params={"within_days": -1}))

    # whose it is: the job order's owner's, the client's, who agreed it
    assert await on_day_of("ana") == {whole, of_order}
    owned = {"kind": "company.owner_assigned", "owner": "consultant:ben"}
    await written(ana, f"/companies/{engines}/changes", owned)
    assert (await on_day_of("ana"), await on_day_of("ben")) == (set(), {whole, of_order})
    staffed = {
        "kind": "company.job_order_staffed", "job_order_id": order, "owner": "consultant:cyd",
        "staffed_at": "2024-02-02T10:00:00Z",
        "shares": [{"consultant": "consultant:cyd", "share_bp": 10_000}],
    }  # fmt: skip
    await written(ana, f"{orders}/steps", staffed)
    assert (await on_day_of("ben"), await on_day_of("cyd")) == ({whole}, {of_order})
    assert await to_renew("2024-12-01", owner="consultant:cyd") == {of_order}
    [one] = (await found(ana, "/day", on="2025-01-02", owner="consultant:cyd"))["renewals"]
    assert one == {
        "agreement_id": of_order, "version": 1, "company_id": engines,
        "company": "Analytical Engines", "job_order_id": order, "job_order": "Engineer",
        "ends_on": "2024-12-31", "days_left": -2, "owner": "consultant:cyd",
    }  # fmt: skip

    # an order that is over needs no terms, one that is open again does
    await written(ana, f"{orders}/{order}/cancellations", {"reason": "budget"})
    assert await on_day_of("cyd") == set()
    reopened = {"kind": "company.job_order_reopened", "job_order_id": order,
                "reopened_at": "2024-03-02T10:00:00Z"}  # fmt: skip
    await written(ana, f"{orders}/steps", reopened)
    assert await on_day_of("cyd") == {of_order}

    # renewed by an amendment, replaced by a later agreement of the same reach, or ended
    amended = {name: ENDING[name] for name in ("basis", "currency", "rate_bp")} | {
        "agreement_id": of_order, "job_order_id": order, "amended_at": "2024-06-01T10:00:00Z",
    }  # fmt: skip
    await written(ana, f"{fees}/amendments", amended | {"ends_on": "2025-06-30"})
    assert await on_day_of("cyd") == set()
    assert await on_day_of("cyd", on="2025-06-01") == {of_order}

    # amended again without a last day: it holds until it is ended, and there is nothing to renew
    terms = f"{orders}/{order}/terms"
    over = await ana.get(terms, params={"at": "2025-07-01T00:00:00Z"})
    problem(over, 404, "no-terms-then")
    await written(ana, f"{fees}/amendments", amended | {"amended_at": "2024-07-01T10:00:00Z"})
    assert await on_day_of("cyd", on="2025-06-01") == set()
    third = await found(ana, terms, at="2030-01-01T00:00:00Z")
    assert (third["agreement_id"], third["agreement_version"]) == (of_order, 3)
    later = FEE | {"agreed_at": "2025-01-01T10:00:00Z", "ends_on": "2025-12-31"}
    newer = (await written(ana, fees, later))["created"]
    assert await on_day_of("ben") == set()
    assert await on_day_of("ben", on="2025-12-01") == {newer}
    ended = {"agreement_id": newer, "ended_at": "2025-12-31T10:00:00Z"}
    await written(ana, f"{fees}/endings", ended)
    assert await to_renew("2025-12-01") == set()
    assert lasting not in await to_renew("2025-12-01", within_days=3650)


async def test_one_that_was_ended_on_a_merged_record_is_no_renewal_of_this_one(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    acme, twin = [(await written(ana, "/companies", {"name": n}))["id"] for n in ("Acme", "ACME")]
    running = (await written(ana, f"/companies/{acme}/fees", ENDING))["created"]
    later = FEE | {"agreed_at": "2024-03-01T10:00:00Z"}
    over = (await written(ana, f"/companies/{twin}/fees", later))["created"]
    ended = {"agreement_id": over, "ended_at": "2024-04-01T10:00:00Z"}
    await written(ana, f"/companies/{twin}/fees/endings", ended)
    await written(ana, f"/companies/{acme}/merges", {"duplicate_id": twin})
    order = (await written(ana, f"/companies/{acme}/job-orders", ORDER))["created"]
    project()
    listed = await found(ana, "/renewals", on="2024-12-01")
    assert [each["agreement_id"] for each in listed] == [running]
    path = f"/companies/{acme}/job-orders/{order}/terms"
    assert (await found(ana, path, at="2024-12-01T00:00:00Z"))["agreement_id"] == running
