"""Logs of the workers: a line of JSON each, on standard error."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
from typing import BinaryIO

import msgspec
import structlog


def log_as_json(level: str) -> None:
    """From ``level`` on."""
    encode = msgspec.json.Encoder(enc_hook=str).encode
    lines = Lines(sys.stderr.buffer)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=lambda line, **_: encode(line)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )


class Lines:
    """Writes lines; those of one turn of an event loop at once, for each write costs more than all
    else that a line does. Nothing is held longer than that turn."""

    def __init__(self, to: BinaryIO) -> None:
        self._to, self._held, self._lock = to, list[bytes](), threading.Lock()
        self._writes_in: asyncio.AbstractEventLoop | None = None
        atexit.register(self.write)

    def msg(self, line: bytes) -> None:
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

    log = debug = info = warning = warn = error = err = critical = exception = fatal = failure = msg

    def write(self) -> None:
        """What is held."""
        with self._lock:
            held, self._held, self._writes_in = self._held, [], None
            if held:
                self._to.write(b"".join(held))
                self._to.flush()
