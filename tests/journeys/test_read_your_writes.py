"""Who asks ``after`` what they wrote is never told what was before it, whatever is built anew."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from running import ledger_crm, running

pytestmark = pytest.mark.campaign

PAIRS, WRITERS = 10_000, 8
REBUILT = ("people", "history")


class Writer:
    """Somebody who writes, and reads at once what they wrote."""

    def __init__(self, api: httpx.AsyncClient, told: Counter[str], n: int) -> None:
        self.api, self.told, self.n, self.version = api, told, n, 0
        self.id = ""

    async def write(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.api.post(path, json=body)
        assert answer.status_code == 201, answer.text
        receipt: dict[str, Any] = answer.json()
        return receipt

    async def read(self, path: str, position: int) -> Any:
        """Told to come back is not told what is old."""
        while True:
            join = "&" if "?" in path else "?"
            answer = await self.api.get(f"{path}{join}after={position}")
            if answer.status_code != 503:
                break
            self.told["come back"] += 1
            await asyncio.sleep(min(int(answer.headers["Retry-After"]), 1))
        assert answer.status_code == 200, answer.text
        self.told["stale"] += int(answer.headers["Ledger-Position"]) < position
        return answer.json()

    async def person(self, n: int) -> None:
        receipt = await self.write("/people", {"name": f"Person {self.n} {n}"})
        self.id, self.version = receipt["id"], receipt["version"]
        page = await self.read("/people?limit=50", receipt["position"])
        self.told["stale"] += self.id not in {each["id"] for each in page["items"]}

    async def note(self, n: int) -> None:
        body = {"kind": "person.note_written", "text": f"note {n}"}
        receipt = await self.write(f"/people/{self.id}/interactions", body)
        page = await self.read(f"/people/{self.id}/history?limit=5", receipt["position"])
        self.told["stale"] += page["items"][0]["text"] != f"note {n}"

    async def tag(self, n: int) -> None:
        body = {"kind": "person.tagged", "tag": f"t{n}"}
        receipt = await self.write(f"/people/{self.id}/tags", body)
        shown = await self.read(f"/people/{self.id}", receipt["position"])
        self.told["stale"] += f"t{n}" not in shown["tags"]
        self.told["stale"] += shown["version"] < receipt["version"]

    async def work(self, left: list[int]) -> None:
        ways: list[Callable[[int], Awaitable[None]]] = [self.note, self.tag, self.note]
        await self.person(0)
        while left:
            n = left.pop()
            await (self.person if n % 50 == 0 else ways[n % 3])(n)
            self.told["pairs"] += 1


def test_of_ten_thousand_written_and_read_at_once_none_is_stale(tmp_path: Path) -> None:
    """Given eight who write and read, and read models that are built anew all the while."""
    told: Counter[str] = Counter()

    async def journey(url: str, key: str, home: Path) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        left = list(range(PAIRS))

        async def rebuilding() -> None:
            while left:
                for name in REBUILT:
                    ran = await asyncio.to_thread(ledger_crm, home, "projections", "rebuild", name)
                    assert ran.returncode == 0, ran.stderr
                    told[f"{name} rebuilt"] += 1

        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as api:
            await asyncio.gather(
                rebuilding(), *(Writer(api, told, n).work(left) for n in range(WRITERS))
            )

    with running(tmp_path) as up:
        asyncio.run(journey(up.url, up.key, tmp_path))
    print(dict(told))
    assert told["stale"] == 0, told
    assert told["pairs"] == PAIRS
    assert min(told[f"{name} rebuilt"] for name in REBUILT) > 1
