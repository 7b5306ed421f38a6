"""Keeps the workers of one machine running: says aloud when one ends, and starts it again.

A child is a process group of its own, so that a Ctrl-C at the terminal reaches us alone and
whatever a child has started goes with it. Killed outright we take the children along (``leash``).
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from ledger_crm.leash import leashed

STOP_S = 3.0  # between the polite signal and the last one
CHUNK_BYTES = 64 << 10


@dataclass(frozen=True)
class Child:
    """One worker process. ``env``: its whole environment; ``fds``: files that it gets from us."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    fds: Sequence[int] = ()


class Server(Protocol):
    """What is not ours to stop, only to bring back: an embedded server."""

    @property
    def name(self) -> str: ...
    @property
    def alive(self) -> bool: ...
    def sound(self) -> bool: ...
    def keep_log_short(self) -> None: ...
    def start(self) -> None: ...


class Supervisor:
    """Runs children until it is told to stop; brings back servers in the meantime.

    say    a line of our own, for people: what ended, why, when it starts again
    heard  a line that a child wrote to stdout or stderr; not given, it is said with its name
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        say: Callable[[str], None],
        heard: Callable[[str, str], None] | None = None,
        servers: Sequence[Server] = (),
        first_s: float = 0.2,
        longest_s: float = 10.0,
        healthy_s: float = 30.0,
        sound_s: float = 3.0,
    ) -> None:
        self._children = children
        self._servers = servers
        self._say = say
        self._heard = heard or (lambda name, line: say(f"{name} | {line}"))
        self._first_s, self._longest_s, self._healthy_s = first_s, longest_s, healthy_s
        self._sound_s = sound_s  # between two questions to a server whether it can do its work
        self._running: dict[str, Process] = {}
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Event()

    async def run(self) -> None:
        """Until ``stop``, SIGINT or SIGTERM; then no child is left. A second signal: at once."""
        loop = asyncio.get_running_loop()
        for hint in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(hint, self.stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                for child in self._children:
                    tasks.create_task(self._keep(child))
                for server in self._servers:
                    tasks.create_task(self._bring_back(server))
        finally:  # cancelled, or a fault of ours: not politely, but nobody stays
            for process in self._running.values():
                _signal_group(process, signal.SIGKILL)
            for hint in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(hint)

    def stop(self) -> None:
        """Politely; called again, at once."""
        if self._stopping.is_set():
            self._at_once.set()
        self._stopping.set()

    @property
    def pids(self) -> dict[str, int]:
        """By name, of the children that run now."""
        return {name: process.pid for name, process in self._running.items()}

    async def _keep(self, child: Child) -> None:
        pause_s = self._first_s
        while not self._stopping.is_set():
            since = time.monotonic()
            how = await self._once(child)
            if self._stopping.is_set():
                return
            if time.monotonic() - since >= self._healthy_s:
                pause_s = self._first_s
            self._say(f"{child.name} {how}: starting it again in {pause_s:g} s")
            await _or(self._stopping.wait(), pause_s)
            pause_s = min(pause_s * 2, self._longest_s)

    async def _once(self, child: Child) -> str:
        """From its start to its end, which is told. When we stop, it is stopped."""
        # Our own pipe: with asyncio's, wait() waits for all who hold the other end, and a child
        # that has died is noticed only when everything it had started has ended too.
        ours, theirs = os.pipe()
        listening = asyncio.create_task(self._listen(child.name, ours))
        try:
            process = self._running[child.name] = await asyncio.create_subprocess_exec(
                *leashed(child.argv, last=signal.SIGKILL),
                env=dict(child.env),
                stdin=DEVNULL,
                stdout=theirs,
                stderr=STDOUT,
                start_new_session=True,
                pass_fds=child.fds,
            )
        finally:
            os.close(theirs)
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                _signal_group(process, signal.SIGTERM)
                at_once = asyncio.create_task(self._at_once.wait())
                await asyncio.wait(
                    (ended, at_once), timeout=STOP_S, return_when=asyncio.FIRST_COMPLETED
                )
                at_once.cancel()
        finally:
            # Also when it ended by itself: what it had started may hold its port.
            _signal_group(process, signal.SIGKILL)
            stopping.cancel()
        code = await ended
        await asyncio.wait(
            (listening,), timeout=1.0
        )  # somebody who left the group may hold the pipe
        listening.cancel()
        del self._running[child.name]
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"

    async def _listen(self, name: str, pipe: int) -> None:
        """By chunks: a line of any length must neither stop us nor fill our memory."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
        )
        rest = b""
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > CHUNK_BYTES:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._heard(name, line.decode(errors="replace"))
            if rest:
                self._heard(name, rest.decode(errors="replace"))
        finally:
            transport.close()

    async def _bring_back(self, server: Server) -> None:
        pause_s, asked = self._first_s, time.monotonic()
        while not await _or(self._stopping.wait(), 0.2):
            if server.alive:
                if time.monotonic() - asked < self._sound_s:
                    continue
                await asyncio.to_thread(server.keep_log_short)
                sound, asked = await asyncio.to_thread(server.sound), time.monotonic()
                if sound:
                    continue
            how = "does not work any more" if server.alive else "has ended"
            self._say(f"{server.name} {how}: starting it again")
            since = time.monotonic()
            try:
                await asyncio.to_thread(server.start)
            except Exception as error:  # whatever it is, the next try may find it gone
                self._say(f"{error}; trying again in {pause_s:g} s")
                await _or(self._stopping.wait(), pause_s)
                pause_s = min(pause_s * 2, self._longest_s)
            else:
                pause_s = self._first_s
                self._say(f"{server.name} is back after {time.monotonic() - since:.1f} s")


async def _or(event: Awaitable[object], within_s: float) -> bool:
    """Whether it came in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event
            return True
    return False


def _signal_group(process: Process, hint: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, hint)
