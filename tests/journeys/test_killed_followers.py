"""Who follows is killed fifty times while others write, and hears of everything, in order."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from running import running
from waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.campaign

HERE = Path(__file__).parent
LIVES = 50
NOTE = {"kind": "person.note_written", "text": "Prefers mornings."}


class Killed:
    """A process that is killed without warning and started again; what it heard is in a file."""

    def __init__(self, script: Path, *words: str, inherits: tuple[int, ...] = ()) -> None:
        self.command, self.inherits = [sys.executable, str(script), *words], inherits
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, pass_fds=self.inherits
        )

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)


def lines_of(file: Path) -> list[str]:
    """Whole ones."""
    return file.read_text().split("\n")[:-1] if file.exists() else []


def test_a_follower_and_a_receiver_that_are_killed_hear_of_everything_in_order(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(request.config.getoption("randomly_seed", 1))
    followed, hooked = tmp_path / "followed", tmp_path / "hooked"

    def heard() -> list[dict[str, Any]]:
        return [json.loads(line) for line in lines_of(hooked)]

    def sent() -> list[int]:
        return [int(each["headers"]["webhook-id"].removeprefix("entry_")) for each in heard()]

    async def journey(url: str, key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as api:
            done = asyncio.Event()

            async def write() -> None:
                person = (await api.post("/people", json={"name": "Ada"})).json()["id"]
                while not done.is_set():
                    answer = await api.post(f"/people/{person}/interactions", json=NOTE)
                    assert answer.status_code == 201, answer.text
                    await asyncio.sleep(0.02)  # a webhook is sent one at a time

            # it listens while the receiver is away: or a start that takes too long, on a busy
            # machine, is a second failure, which is tried again after five minutes
            listening = socket.create_server(("127.0.0.1", 0))
            fd, port = listening.fileno(), listening.getsockname()[1]
            receiver = Killed(
                HERE.parent / "workers" / "receiver.py", str(hooked), str(-fd), inherits=(fd,)
            )
            added = await api.post(
                "/webhooks", json={"url": f"http://127.0.0.1:{port}/", "after": 0}
            )
            assert added.status_code == 201, added.text
            writers = [asyncio.create_task(write()) for _ in range(4)]
            follower = Killed(HERE / "follower.py", url, key, str(followed))
            for _ in range(LIVES):
                so_far = len(lines_of(followed)), len(lines_of(hooked))
                more = chance.randint(1, 40)
                await eventually(lambda a=so_far, n=more: len(lines_of(followed)) >= a[0] + n)  # type: ignore[misc]
                await eventually(lambda a=so_far, n=more: len(lines_of(hooked)) >= a[1] + n)  # type: ignore[misc]
                for each in chance.sample([follower, receiver], 2):
                    each.kill()
                    each.start()
            done.set()
            await asyncio.gather(*writers)
            head = int((await api.get("/health/ready")).json()["head"])
            await eventually(lambda: lines_of(followed)[-1:] == [str(head)])
            await eventually(lambda: sent()[-1:] == [head])
            follower.kill()
            receiver.kill()
            listening.close()
            return head

    with running(tmp_path / "home", LEDGER_WEBHOOK_TARGETS="any") as up:
        head = asyncio.run(journey(up.url, up.key))
    print(f"{head} entries, {len(sent()) - head} sent twice")
    assert [int(line) for line in lines_of(followed)] == list(range(1, head + 1)), "each once"
    positions = sent()
    assert list(dict.fromkeys(positions)) == list(range(1, head + 1)), "every one, in order"
    for before, now in pairwise(positions):
        assert now in (before, before + 1), "again only what was sent last, by the same id"
    bodies: dict[int, Any] = {}
    for position, each in zip(positions, heard(), strict=True):
        assert bodies.setdefault(position, each["body"]) == each["body"], "and the same again"
