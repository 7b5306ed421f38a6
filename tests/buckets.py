"""A real server of S3: nanio, which keeps buckets as folders, and looks at every signature."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger_crm.leash import leashed
from waiting import until

WHO, SECRET = "ledger", "correct horse battery staple"


class S3:
    """``folder``: a bucket is a folder in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environ = {
            "AWS_ACCESS_KEY_ID": WHO,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }

    def start(self) -> None:
        words = ["serve", "--data-dir", str(self.folder), "--host", "127.0.0.1"]
        more = ["--port", str(self.port), "--no-access-log", "--log-level", "error"]
        self.process = subprocess.Popen(
            leashed([sys.executable, "-m", "nanio", *words, *more], last=signal.SIGKILL),
            env=os.environ | {"NANIO_ACCESS_KEY": WHO, "NANIO_SECRET_KEY": SECRET},
        )
        until(self._answers)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        assert self.process.poll() is None, "it ended"
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def s3_in(folder: Path) -> Iterator[S3]:
    server = S3(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
