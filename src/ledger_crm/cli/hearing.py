"""What workers write while ``up`` runs: whole into a file each, and in words on the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from ledger_crm.embedded import LOG_BYTES, EmbeddedError

SAME_S = 1.0  # what is said again within it is counted, not said
REMEMBERED = 100  # things that were said, to know them again

WORDS = {
    "broker": "the broker does not answer",
    "interrupted": "was interrupted",
    "broken": "a fault of ours",
}


class Log:
    """A file that is bounded: at ``limit_bytes`` it moves aside to ``.log.1`` and begins anew."""

    def __init__(self, path: Path, limit_bytes: int = LOG_BYTES) -> None:
        self.path, self.limit_bytes = path, limit_bytes
        self._file = self._opened()

    def write(self, line: str) -> None:
        if self._file.tell() > self.limit_bytes:
            self.path.replace(self.path.with_suffix(".log.1"))
            self._file.close()
            self._file = self._opened()
        self._file.write(line.rstrip("\n").encode() + b"\n")

    def close(self) -> None:
        self._file.close()

    def _opened(self) -> BinaryIO:
        return self.path.open("ab", buffering=0)


class Hearing:
    """Called with each line that a worker writes.

    say  what is told of it: warnings and worse, what they wrote before they ended, and nothing
         twice within a second, of whichever read model it is
    """

    def __init__(self, folder: Path, workers: Sequence[str], say: Callable[[str], None]) -> None:
        self._logs = {name: Log(folder / f"{name}.log") for name in workers}
        self._say = say
        self._said: dict[tuple[str, ...], tuple[float, int]] = {}

    def __call__(self, name: str, line: str) -> None:
        log = self._logs[name]
        with suppress(OSError):  # a full disk must not end the supervisor
            log.write(line)
        if (told := in_words(line, log.path)) is None:
            return
        subject, what = told
        now_s, key = monotonic(), (name, what)
        since_s, more = self._said.get(key, (-SAME_S, 0))
        if now_s - since_s < SAME_S:
            self._said[key] = since_s, more + 1
            return
        again = f" (and {more} more a moment ago)" if more else ""
        self._say(f"{name}: {subject}{what}{again}")
        self._said[key] = now_s, 0
        while len(self._said) > REMEMBERED:
            self._said.pop(next(iter(self._said)))

    def close(self) -> None:
        for log in self._logs.values():
            with suppress(OSError):
                log.close()


def in_words(line: str, file: Path) -> tuple[str, str] | None:
    """Of which read model, if of one, and what; None: nothing that needs to be told."""
    if line.startswith("ledger-crm: "):  # its last words
        return "", line.removeprefix("ledger-crm: ")
    if line.startswith("Traceback"):
        return "", f"a fault of ours; see {file}"
    try:
        said = json.loads(line)
        if said["level"] not in ("warning", "error", "critical"):
            return None
        event = said["event"]
    except (ValueError, KeyError, TypeError):
        return None
    why = str(said.get("why") or said.get("error") or said.get("fault") or "")
    what = WORDS.get(event, event) + (f": {why}" if " " in why else f" ({why})" if why else "")
    return (f"{said['projection']} " if "projection" in said else ""), what


@contextmanager
def hearing(
    folder: Path, workers: Sequence[str], say: Callable[[str], None]
) -> Iterator[Callable[[str, str], None]]:
    """Raises EmbeddedError if the files cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        heard = Hearing(folder, workers, say)
    except OSError as fault:
        raise EmbeddedError(f"{fault.filename or folder}: {fault.strerror}") from None
    try:
        yield heard
    finally:
        heard.close()
