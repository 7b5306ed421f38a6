"""The supervisor: whoever dies is started again and spoken of; when it stops, nobody is left."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine

import pytest

from ledger_crm.workers import supervisor as module
from ledger_crm.workers.supervisor import Child, Supervisor
from running import alive
from waiting import PATIENCE_S, eventually, until

ENV = {"PATH": os.environ["PATH"]}
WORKS = "import os, time; print('at work', os.getpid(), flush=True); time.sleep(900)"
NEVER_S = 600.0
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WORKS
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORKS!r}])"


def python(name: str, script: str) -> Child:
    return Child(name, [sys.executable, "-c", script], ENV)


def gone(pids: list[int]) -> bool:
    """What was killed is there until the kernel has come round to it."""
    return bool(until(lambda: not any(map(alive, pids))))


class Said(list[str]):
    """What was said, by the supervisor and by its children."""

    def pids(self) -> list[int]:
        return [int(pid) for line in self for pid in re.findall(r"at work (\d+)", line)]


def supervised(supervisor: Supervisor, story: Callable[[], Coroutine[None, None, None]]) -> None:
    """Plays the story while it runs, then stops it."""

    async def play() -> None:
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(supervisor.run())
            try:
                await story()
            finally:
                supervisor.stop()
            await running

    asyncio.run(play())
    assert supervisor.pids == {}


def test_a_child_that_dies_is_started_again_and_said_aloud() -> None:
    said = Said()
    supervisor = Supervisor([python("projector", WORKS)], say=said.append, first_s=0.05)

    async def story() -> None:
        await eventually(lambda: len(said.pids()) == 1)
        os.kill(said.pids()[0], signal.SIGKILL)
        await eventually(lambda: len(said.pids()) == 2)

    supervised(supervisor, story)
    assert "projector was killed by SIGKILL: starting it again in 0.05 s" in said
    assert f"projector | at work {said.pids()[0]}" in said
    assert gone(said.pids())


def test_it_waits_longer_each_time_up_to_a_bound() -> None:
    said = Said()
    supervisor = Supervisor(
        [python("relay", "raise SystemExit(3)")], say=said.append, first_s=0.01, longest_s=0.04
    )

    async def story() -> None:
        await eventually(lambda: len(said) >= 4)

    supervised(supervisor, story)
    assert said[:4] == [
        f"relay ended with 3: starting it again in {pause} s" for pause in (0.01, 0.02, 0.04, 0.04)
    ]


def test_after_a_while_in_good_health_it_does_not_wait_longer() -> None:
    said = Said()
    supervisor = Supervisor(
        [python("relay", "raise SystemExit(3)")], say=said.append, first_s=0.01, healthy_s=0
    )

    async def story() -> None:
        await eventually(lambda: len(said) >= 3)

    supervised(supervisor, story)
    assert set(said) == {"relay ended with 3: starting it again in 0.01 s"}


def test_stopping_takes_along_what_a_child_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", NEVER_S)
    said = Said()
    supervisor = Supervisor([python("api", PARENT), python("relay", WORKS)], say=said.append)

    async def story() -> None:
        await eventually(lambda: len(said.pids()) == 2)

    supervised(supervisor, story)
    assert gone(said.pids())


def test_what_a_dead_child_had_started_goes_before_it_is_started_again() -> None:
    said = Said()
    supervisor = Supervisor([python("api", PARENT)], say=said.append, first_s=0.01)

    async def story() -> None:
        await eventually(lambda: len(said.pids()) == 1)
        os.kill(supervisor.pids["api"], signal.SIGKILL)
        await eventually(lambda: len(said.pids()) == 2)
        assert gone(said.pids()[:1]), "it would still hold its port"

    supervised(supervisor, story)


def test_one_that_does_not_listen_is_killed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.2)
    said = Said()
    supervisor = Supervisor([python("deaf", DEAF)], say=said.append)

    async def story() -> None:
        await eventually(lambda: len(said.pids()) == 1)

    supervised(supervisor, story)
    assert gone(said.pids())


def test_a_second_ctrl_c_is_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", NEVER_S)
    said = Said()
    supervisor = Supervisor([python("deaf", DEAF)], say=said.append)

    async def story() -> None:
        await eventually(lambda: len(said.pids()) == 1)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: supervisor.pids == {})

    supervised(supervisor, story)
    assert gone(said.pids())


def test_a_line_of_any_length_stops_nothing() -> None:
    heard: list[tuple[str, str]] = []
    supervisor = Supervisor(
        [python("api", "print('x' * 1_000_000); print('after'); " + WORKS)],
        say=Said().append,
        heard=lambda name, line: heard.append((name, line)),
    )

    async def story() -> None:
        await eventually(lambda: ("api", "after") in heard)

    supervised(supervisor, story)
    assert sum(line.count("x") for _, line in heard) == 1_000_000


def test_a_program_that_is_not_there_is_said() -> None:
    said = Said()
    supervisor = Supervisor([Child("api", ["/no/such/program"], ENV)], say=said.append)

    async def story() -> None:
        await eventually(lambda: len(said) >= 2)

    supervised(supervisor, story)
    assert said[0].endswith("/no/such/program: No such file or directory")
    assert said[1] == "api ended with 1: starting it again in 0.2 s"


def test_when_the_supervisor_itself_is_killed_its_children_go() -> None:
    program = (
        "import asyncio, sys\n"
        "from ledger_crm.workers.supervisor import Child, Supervisor\n"
        f"child = Child('relay', [sys.executable, '-c', {WORKS!r}], {ENV!r})\n"
        "asyncio.run(Supervisor([child], say=lambda line: print(line, flush=True)).run())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().rsplit(" ", 1)[1])
        assert alive(pid)
        process.kill()
        until(lambda: not alive(pid))


class Fragile:
    """A server that comes back at the second try."""

    name = "NATS"
    alive = False
    tries = 0

    def start(self) -> None:
        self.tries += 1
        if self.tries == 1:
            raise OSError("port 4222 is in use")
        self.alive = True

    def sound(self) -> bool:
        return self.tries != 2

    def keep_log_short(self) -> None:
        self.shortened = True


def test_a_server_that_runs_and_does_not_work_is_started_again() -> None:
    said, server = Said(), Fragile()
    server.alive, server.tries = True, 2
    supervisor = Supervisor([], servers=[server], say=said.append, sound_s=0.01)

    async def story() -> None:
        await eventually(lambda: server.tries == 3)

    supervised(supervisor, story)
    assert said == [
        "NATS does not work any more: starting it again",
        "NATS is back after 0.0 s",
    ]


def test_a_server_that_ends_is_brought_back() -> None:
    said, server = Said(), Fragile()
    supervisor = Supervisor([], servers=[server], say=said.append, first_s=0.01)

    async def story() -> None:
        await eventually(lambda: server.alive)

    supervised(supervisor, story)
    assert said == [
        "NATS has ended: starting it again",
        "port 4222 is in use; trying again in 0.01 s",
        "NATS has ended: starting it again",
        "NATS is back after 0.0 s",
    ]
