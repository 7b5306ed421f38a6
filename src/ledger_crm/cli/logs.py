"""Logs of the workers: a line of JSON each, on standard error."""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import sys
import threading
import traceback
from contextlib import suppress
from datetime import datetime
from typing import Any, BinaryIO

import msgspec
import structlog

from ledger_crm.domain.clock import now

PIPE_BYTES = 4096  # PIPE_BUF of Linux: so much is written in one piece


def log_as_json(level: str) -> None:
    """From ``level`` on."""
    lines = Lines(sys.stderr.buffer)
    structlog.configure(
        processors=[as_json],  # each of structlog's own costs as much as all of this one
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[Others(lines)], level=logging.WARNING, force=True)


class Others(logging.Handler):
    """What libraries say, in lines like ours. Of a fault its type and its place: the text may hold
    anything, and is told in further lines, too. Nothing goes wrong there because it cannot be
    said."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            said = {"event": record.getMessage().partition("\n")[0], "logger": record.name}
            if record.exc_info and record.exc_info[0]:
                said["fault"] = record.exc_info[0].__name__
                if frames := traceback.extract_tb(record.exc_info[2]):
                    said["at"] = f"{frames[-1].filename}:{frames[-1].lineno}"
            self._lines.now(as_json(None, record.levelname.lower(), said))


def as_json(_: Any, level: str, said: structlog.typing.EventDict) -> bytes:
    """Also of text that is not Unicode: half a character out of a file's name."""
    line = {**said, "level": level, "timestamp": now()}
    try:
        return _encode(line)
    except UnicodeEncodeError:
        return json.dumps(line, default=_shown).encode()


def _shown(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_encode = msgspec.json.Encoder(enc_hook=str).encode


class Lines:
    """Writes lines; those that say that something was done in one turn of an event loop at once,
    for each write costs more than all else that a line does. Warnings and worse wait for nothing.

    No write is longer than what a pipe takes in one piece, unless a line is: workers that share one
    do not tear each other's lines.
    """

    def __init__(self, to: BinaryIO) -> None:
        self._to, self._held, self._lock = to, list[bytes](), threading.RLock()
        self._writes_in: asyncio.AbstractEventLoop | None = None
        atexit.register(self.write)

    def later(self, line: bytes) -> None:
        """At the end of this turn; at once where there is no loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        with self._lock:
            self._held.append(line + b"\n")
            arranged, self._writes_in = loop is self._writes_in, loop
        if loop is None:
            self.write()
        elif not arranged:
            loop.call_soon(self.write)

    def now(self, line: bytes) -> None:
        with self._lock:
            self._held.append(line + b"\n")
        self.write()

    debug = info = msg = later
    warning = warn = error = err = critical = exception = fatal = failure = log = now

    def write(self) -> None:
        """What is held."""
        with self._lock:
            held, self._held, self._writes_in = self._held, [], None
            batch = b""
            for line in held:
                if batch and len(batch) + len(line) > PIPE_BYTES:
                    self._put(batch)
                    batch = b""
                batch += line
            if batch:
                self._put(batch)

    def _put(self, batch: bytes) -> None:
        self._to.write(batch)
        self._to.flush()
