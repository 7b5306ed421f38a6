"""A whole Ledger CRM as its user starts it: ``ledger-crm up`` in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from waiting import PATIENCE_S, until

CLI = (sys.executable, "-m", "ledger_crm")


def environment(home: Path | str, **more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LEDGER_")}
    return clean | {"LEDGER_HOME": str(home)} | more


def ledger_crm(
    home: Path | str, *words: str, stdin: bytes | None = None, **env: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*CLI, *words], env=environment(home, **env), input=stdin, capture_output=True, timeout=600
    )


class Running:
    """``lines``: what it has said so far."""

    def __init__(self, home: Path, *words: str, **env: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [*CLI, "up", "--port", "0", *words],
            env=environment(home, **env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        try:
            self.url = until(self._address)
        except BaseException:  # nobody else could end it
            self.kill()
            raise
        self.key = (home / "api.key").read_text().strip()

    def api(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=60
        )

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    def pids(self, words: str = "") -> list[int]:
        """Of everything that runs on this folder, by its command line or its environment."""
        return [pid for pid, line in processes() if str(self.home) in line and words in line]

    def interrupt(self, *, group: bool = False) -> None:
        """Ctrl-C, and until it has ended."""
        (os.killpg if group else os.kill)(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE_S)
        self._listening.join(PATIENCE_S)

    def kill(self) -> None:
        """kill -9 of the whole tree."""
        for pid in {self.process.pid, *self.pids()}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(PATIENCE_S)
        self._listening.join(PATIENCE_S)

    def _listen(self) -> None:
        assert self.process.stdout
        with self.process.stdout as said:
            for line in said:
                self.lines.append(line.rstrip("\n"))

    def _address(self) -> str:
        text = "\n".join(self.lines)
        assert self.process.poll() is None, text
        found = re.search(r"ready at (http://\S+)", text)
        return found[1] if found and "Ctrl-C stops it" in text else ""


def processes() -> Iterator[tuple[int, str]]:
    """Command line and environment of every process that lives, and may be looked at."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            line = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes()
        except OSError:
            continue
        if state != "Z" and int(folder.name) != os.getpid():
            yield int(folder.name), line.replace(b"\0", b" ").decode(errors="replace")


def alive(pid: int) -> bool:
    """Not one that has ended and is not yet waited for."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def running(home: Path, *words: str, **env: str) -> Iterator[Running]:
    up = Running(home, *words, **env)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.interrupt()


def everything(api: httpx.Client, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    """All items of a list, page by page."""
    cursor = {}
    while True:
        answer = api.get(path, params=query | cursor | {"limit": 200})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield from page["items"]
        if not page["next"]:
            return
        cursor = {"cursor": page["next"]}


def printed(done: subprocess.CompletedProcess[bytes]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
