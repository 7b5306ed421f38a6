"""Work that is shared out among processes ends as one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from waiting import until

WORKS = """
import os, sys, threading
from pathlib import Path
from ledger_crm.sharing import in_processes

def work(number):
    new = Path(sys.argv[1]) / f"{number}.new"
    new.write_text(str(os.getpid()))
    new.rename(new.with_suffix(".pid"))
    threading.Event().wait()

if __name__ == "__main__":
    in_processes(work, (0, 1), (0, 0), lambda at: None)
"""


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is tied")
def test_who_is_killed_outright_takes_the_others_along(tmp_path: Path) -> None:
    """They went on with their part while somebody else began it anew, and never ended."""
    script = tmp_path / "works.py"
    script.write_text(WORKS)
    owner = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    pids: list[int] = []
    try:
        until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        pids += [int(path.read_text()) for path in tmp_path.glob("*.pid")]
        assert all(map(lives, pids))
        owner.kill()
        owner.wait()
        until(lambda: not any(map(lives, pids)))
    finally:
        for pid in [owner.pid, *pids]:
            if lives(pid):
                os.kill(pid, 9)
