"""A child that cannot outlive its owner: as a script it ties itself, then becomes the child.

A script and not ``preexec_fn``: that one is unsafe, and a warning since 3.12, in a process with
threads. Costs about 25 ms a start. It imports nothing of ours and nothing slow.

Linux only does the tying (PR_SET_PDEATHSIG); elsewhere the child is stopped in the ordinary way
alone. The kernel watches the *thread* that forked: fork from one that lives as long as the child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _RAISE = 1, 8, 28, 47, 2
_NO_SETUID_FIXUP = 1 << 2
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522


def leashed(
    argv: Sequence[str | os.PathLike[str]],
    *,
    last: signal.Signals,
    account: tuple[int, int] | None = None,
    reach: bool = False,
) -> list[str]:
    """The command line that runs ``argv`` as a child of this very process.

    last     what the kernel sends the child when its owner has gone
    account  uid and gid to become; only root may ask
    reach    let that account pass through folders closed to it (a 0700 /root above the data), by
             one ambient capability: nothing is chmodded, nothing is copied elsewhere
    """
    uid, gid = account or (-1, -1)
    own = [os.getpid(), int(last), uid, gid, int(reach)]
    script = [sys.executable, "-I", "-S", os.path.abspath(__file__)]
    return [*script, *map(str, own), *(os.fspath(word) for word in argv)]


def _become(uid: int, gid: int, *, reach: bool, libc: ctypes.CDLL | None) -> None:
    if reach and libc:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # Else access(2), by which PostgreSQL looks for its own binaries, ignores the capability.
        libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if reach and libc:  # and now all capabilities are still there: keep one, or none
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        for kept in (_DAC_READ_SEARCH, _DAC_OVERRIDE, 0):  # Docker grants the second only
            sets = (ctypes.c_uint32 * 6)(kept, kept, kept)  # effective, permitted, inheritable
            if libc.capset(header, sets) == 0:
                break
        else:
            sys.exit("FATAL:  could not drop capabilities")
        if kept:
            libc.prctl(_PR_CAP_AMBIENT, _RAISE, kept.bit_length() - 1, 0, 0)


def tie(owner: int, last: int) -> None:
    """This very process, which was forked by ``owner``."""
    if libc := _libc():
        libc.prctl(_PR_SET_PDEATHSIG, last, 0, 0, 0)
    if os.getppid() != owner:  # it went before we were tied
        sys.exit(1)


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def _main() -> None:
    owner, last, uid, gid, reach = map(int, sys.argv[1:6])
    argv = sys.argv[6:]
    try:
        if uid >= 0:
            _become(uid, gid, reach=bool(reach), libc=_libc())
        tie(owner, last)  # after setuid, which clears it
        os.execvp(argv[0], argv)  # noqa: S606 - becoming argv is what this is for
    except OSError as error:
        sys.exit(f"FATAL:  {argv[0]}: {error.strerror}")


if __name__ == "__main__":
    _main()
