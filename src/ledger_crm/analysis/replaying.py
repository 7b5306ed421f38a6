"""Replay: an analyst's own fold over a slice of the ledger, in memory; nothing is written to it.

What a file may say is in ``docs/analysis.md``. It is a program, and runs as whoever calls it. It is
loaded as a module of ``projections/``, where the same file is a projection.

Where the file declares that streams do not meet (``PARALLEL = "stream"``), processes share them
out: each reads its own, and their states are joined at the end.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import pickle
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import Any

import msgspec

from ledger_crm import projections
from ledger_crm.domain import EVENTS
from ledger_crm.domain.entry import Entry, Event, kind
from ledger_crm.projections import Projection
from ledger_crm.sealing import Keyring
from ledger_crm.sharing import BrokenProcessPool, in_processes, tell
from ledger_crm.slices import Part, Slice, Slices
from ledger_crm.store import Undecodable

from . import AnalysisFault
from .folding import Tables

KEEP_EVERY_S = 5.0
POSITION = re.compile("[0-9]{1,18}")
Progress = Callable[[int], None]


class Fold:
    """What a file says: ``fold`` and what goes with it, or a ``projection``."""

    def __init__(self, path: Path) -> None:
        """Raises AnalysisFault, with name and line of what is wrong."""
        self.path, self.source = path, _source(path)
        self._module = module = _loaded(path, self.source)
        self.projection: Projection | None = getattr(module, "projection", None)
        self._fold: Any = getattr(module, "fold", None)
        self._begin: Any = getattr(module, "begin", dict)
        self._join: Any = getattr(module, "join", None)
        self._result: Any = getattr(module, "result", None)
        self.parallel = _parallel(path, module)
        self._must_be_whole()
        if isinstance(self.projection, Projection):
            self.parallel = self.parallel or self.projection.parallel or None
        self.kinds = self._kinds(getattr(module, "KINDS", None))

    def tables(self) -> list[str]:
        """Which its result has, by name; none: it is one."""
        if not self.projection or self._result or len(self.projection.tables) == 1:
            return []
        return [table.name for table in self.projection.tables]

    def begin(self, *, whole: bool) -> Any:
        if self.projection:
            return Tables(self.projection, whole=whole)
        return self.guarded(self._begin)

    def revived(self, state: Any) -> Any:
        """One that was kept, or comes from another process."""
        if self.projection:
            state.projection = self.projection
        return state

    def step(self, state: Any, entry: Entry[Event], *, opened: bool) -> Any:
        """The state after it. Raises AnalysisFault with position and line."""
        try:
            if self.projection:
                state.fold(entry)
                return state
            after = self._fold(state, entry)
            return state if after is None else after
        except AnalysisFault as fault:
            raise AnalysisFault(f"{self.path}: {fault}") from None
        except (Exception, SystemExit) as fault:
            raise _stumbled(self.path, fault, entry, opened=opened) from None

    def join(self, state: Any, other: Any) -> Any:
        if self.projection:
            try:
                state.join(other)
            except AnalysisFault as fault:
                raise AnalysisFault(f"{self.path}: {fault}") from None
            return state
        after = self.guarded(self._join, state, other)
        return state if after is None else after

    def result(self, state: Any) -> Any:
        """What the file makes of it; without ``result`` the state, or the only table, itself. All
        tables by name, if there are several."""
        given = state.listed() if self.projection else state
        if self._result:
            made = self.guarded(self._result, given)
            return self.guarded(list, made) if isinstance(made, Iterator) else made
        if self.projection and len(given) == 1:
            return next(iter(given.values()))
        return given

    def guarded(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Raises AnalysisFault."""
        return _guarded(self.path, call, *arguments)

    def _kinds(self, said: Any) -> tuple[str, ...] | None:
        """Stored names; None: all. A projection's are those that it has handlers of."""
        if self.projection is not None:
            if not isinstance(self.projection, Projection):
                raise AnalysisFault(f"{self.path}: projection is no Projection")
            found = [n for n, event in EVENTS.items() if self.projection.handlers_of(event)]
            return tuple(found)
        return _named(self.path, said)

    def wants(self, entry: Entry[Event]) -> bool:
        return self.kinds is None or kind(entry.event) in self.kinds

    def _must_be_whole(self) -> None:
        if (self.projection is None) == (self._fold is None):
            has = "neither" if self._fold is None else "both"
            raise AnalysisFault(
                f"{self.path} has {has} fold(state, entry) {'nor' if has == 'neither' else 'and'}"
                " projection: it takes one of them; see docs/analysis.md"
            )
        if self.parallel and not self.projection and self._join is None:
            raise AnalysisFault(
                f"{self.path} is PARALLEL and has no join(state, other), which puts two together"
            )
        for name, takes in (("fold", 2), ("begin", 0), ("join", 2), ("result", 1)):
            call = getattr(self, f"_{name}")
            if call is None:
                continue
            if not _takes(call, takes):
                raise AnalysisFault(f"{self.path}: {name} must be a function of {takes} arguments")
            _must_return(self.path, name, call, may_yield=name == "result")


class Instead:
    """Another history: what a file says would have happened in the place of each fact.

    Its ``instead(state, entry)`` gives the fact as it was, another one, or None where nothing
    happened. The state is its own, to remember what came before. Nothing of it is written.
    """

    def __init__(self, path: Path) -> None:
        """Raises AnalysisFault."""
        self.path, self.source = path, _source(path)
        module = _loaded(path, self.source)
        self._instead: Any = getattr(module, "instead", None)
        if self._instead is None or not _takes(self._instead, 2):
            raise AnalysisFault(f"{path} has no instead(state, entry); see docs/analysis.md")
        _must_return(path, "instead", self._instead)
        self.kinds = _named(path, getattr(module, "KINDS", None))
        self.parallel = _parallel(path, module)
        self.state = _guarded(path, getattr(module, "begin", dict))

    def entry(self, entry: Entry[Event], *, opened: bool) -> Entry[Event] | None:
        try:
            event = self._instead(self.state, entry)
        except (Exception, SystemExit) as fault:
            raise _stumbled(self.path, fault, entry, opened=opened) from None
        if event is None or event is entry.event:
            return entry if event is not None else None
        if not isinstance(event, Event):
            raise AnalysisFault(
                f"{self.path}: instead gave no fact and not None (at position {entry.position},"
                f" {kind(entry.event)})"
            )
        return msgspec.structs.replace(entry, event=event)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a process needs to replay its part. ``keep``: where it keeps how far it got,
    None for nowhere; ``key``: the deployment's, to open what is sealed; ``instead``: the file of
    another history."""

    url: str
    path: Path
    wanted: Slice
    after: int
    upto: int
    part: Part
    key: bytes | None = None
    keep: Path | None = None
    instead: Path | None = None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """entries   that were folded, this time
    begun_at  where it went on from what was kept, or began
    left_out  that would change rows which began before the slice
    """

    state: Any
    entries: int
    begun_at: int
    position: int
    left_out: int = 0


def replay(
    fold: Fold,
    url: str,
    wanted: Slice,
    *,
    key: bytes | None = None,
    keep: Path | None = None,
    processes: int = 1,
    instead: Instead | None = None,
    progress: Callable[[int, int, int], None] = lambda at, after, upto: None,
) -> Replayed:
    """key        to open what is sealed, of whoever is not erased
    keep       a file that remembers the state, so that the same call goes on where it ended; of
               another history one beside it, which ends in .instead
    processes  more than one only if the file is PARALLEL, and what it says of another history
    instead    another history, which is folded in place of the real one

    Raises AnalysisFault, Undecodable, WrongKey, psycopg.Error.
    """
    must_go_together(fold, opens=key is not None, keep=keep, processes=processes, instead=instead)
    if instead and keep:
        keep = keep.with_name(f"{keep.name}.instead")
    kinds = _narrowed(wanted.kinds, fold.kinds)
    if instead and kinds is not None:
        also = tuple(EVENTS) if instead.kinds is None else instead.kinds
        kinds = tuple(dict.fromkeys((*kinds, *also)))
    wanted = msgspec.structs.replace(wanted, kinds=kinds)
    with Slices(url, Keyring(key) if key else None) as slices:
        slices.check_key()
        after, upto = slices.bounds(wanted)
    jobs = [
        Job(
            url=url, path=fold.path, wanted=wanted, after=after, upto=upto,
            part=Part(number, processes), key=key, instead=instead.path if instead else None,
            keep=keep.with_name(f"{keep.name}.{number + 1}of{processes}")
            if keep and processes > 1 else keep,
        )
        for number in range(processes)
    ]  # fmt: skip
    if processes == 1:
        return _replayed(fold, jobs[0], lambda at: progress(at, after, upto), instead)
    parts = _in_processes(jobs, lambda at: progress(at, after, upto))
    state = fold.revived(parts[0].state)
    for other in parts[1:]:
        state = fold.join(state, other.state)
    return Replayed(
        state=state,
        entries=sum(part.entries for part in parts),
        begun_at=min(part.begun_at for part in parts),
        position=upto,
        left_out=sum(part.left_out for part in parts),
    )


def kept_by(keep: Path) -> set[int]:
    """By how many processes what there is in this file, or in those beside it which are of one of
    several each. One number of them does not go on from what another kept."""
    of_several = re.compile(re.escape(keep.name) + r"\.\d+of(\d+)")
    beside = keep.parent.iterdir() if keep.parent.is_dir() else ()
    found = {int(of[1]) for each in beside if (of := of_several.fullmatch(each.name))}
    return found | {1} if keep.exists() else found


def must_go_together(
    fold: Fold, *, opens: bool, keep: Path | None, processes: int, instead: Instead | None
) -> None:
    """Raises AnalysisFault: found out before anything is folded."""
    if keep and opens:
        raise AnalysisFault(
            "what was opened is kept nowhere, or it would outlast an erasure: leave out --keep, or"
            " --open"
        )
    if keep and not keep.parent.is_dir():
        raise AnalysisFault(f"{keep}: its folder is not there")
    for file in (fold, instead):
        if processes > 1 and file and not file.parallel:
            raise AnalysisFault(
                f'{file.path} does not say PARALLEL = "stream", so one process must read it all:'
                " leave out --processes"
            )


def _replayed(fold: Fold, job: Job, progress: Progress, instead: Instead | None = None) -> Replayed:
    """One part. What is kept is kept now and then, and at the end: of what is interrupted a few
    seconds are lost."""
    whole = job.wanted.whole and (instead is not None or job.wanted.kinds == fold.kinds)
    keyring = Keyring(job.key) if job.key else None
    with Slices(job.url, keyring) as slices:
        kept = Kept(job.keep, _fingerprint(fold, job, instead), slices.mark) if job.keep else None
        at, state = (kept.found(job.upto) if kept else None) or (job.after, None)
        if instead and state is not None:
            state, instead.state = state
        state = fold.begin(whole=whole) if state is None else fold.revived(state)
        begun_at, count, kept_s = at, 0, monotonic()

        def keep() -> None:
            if kept:
                kept.keep(at, (state, instead.state) if instead else state)

        for page in slices.pages(job.wanted, after=at, upto=job.upto, part=job.part):
            for entry in page.entries:
                if instead:
                    other = instead.entry(entry, opened=keyring is not None)
                    if other is None or not fold.wants(other):
                        continue
                    entry = other
                state = fold.step(state, entry, opened=keyring is not None)
                count += 1
            at = page.position
            progress(at)
            if kept and monotonic() > kept_s + KEEP_EVERY_S:  # between pages no fold is half done
                keep()
                kept_s = monotonic()
        if at > begun_at:
            keep()
    left_out = state.left_out if isinstance(state, Tables) else 0
    return Replayed(state=state, entries=count, begun_at=begun_at, position=at, left_out=left_out)


class Kept:
    """How far a replay got, what stands there in the ledger (its ``mark``), and its state then, in
    a file of the analyst's own: whoever may write it could as well write the fold that stands
    beside it."""

    def __init__(self, path: Path, fingerprint: str, mark: Callable[[int], str]) -> None:
        self.path, self.fingerprint, self._mark = path, fingerprint, mark

    def found(self, upto: int) -> tuple[int, Any] | None:
        """Raises AnalysisFault if it is another replay's or ledger's, somebody else's, damaged, or
        further than ``upto``."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise AnalysisFault(f"{self.path}: {fault.strerror}") from None
        with file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                raise AnalysisFault(f"{self.path} is not yours: it would be run as a program")
            if os.fstat(file.fileno()).st_mode & 0o022:
                raise AnalysisFault(
                    f"{self.path} can be written by others: it would be run; remove it"
                )
            words = file.readline(1000).decode(errors="replace").split()
            if words[:1] != ["ledger-crm-replay"] or len(words) not in (4, 5):
                raise AnalysisFault(
                    f"{self.path} is nothing that a replay kept: name another --keep"
                )
            if len(words) == 4:
                raise AnalysisFault(
                    f"{self.path} was kept by an older version of this software: remove it"
                )
            if words[1] != self.fingerprint:
                raise AnalysisFault(
                    f"{self.path} was kept by another fold, or of another slice or --instead:"
                    " remove it, or name another --keep"
                )
            if not POSITION.fullmatch(words[2]):
                raise AnalysisFault(f"{self.path} is damaged: remove it")
            begins, position = file.tell(), int(words[2])
            if words[3] != self._mark(position):
                raise AnalysisFault(
                    f"{self.path} was kept of another ledger, or of this one before it was restored"
                    " from an older backup: remove it, or name another --keep"
                )
            if position > upto:
                raise AnalysisFault(
                    f"{self.path} is at {position} already, beyond {upto}: name another --keep"
                )
            if words[4] != hashlib.file_digest(file, "sha256").hexdigest():
                raise AnalysisFault(f"{self.path} is damaged: remove it")
            file.seek(begins)
            return position, pickle.load(file)  # noqa: S301  # ours: see above

    def keep(self, position: int, state: Any) -> None:
        """Raises AnalysisFault for a state that cannot be kept, or no room for it."""
        content = _pickled(state)
        new = self.path.with_name(f".{self.path.name}.new")
        digest = hashlib.sha256(content).hexdigest()
        words = ("ledger-crm-replay", self.fingerprint, position, self._mark(position), digest)
        try:
            with new.open("wb") as file:
                file.write(" ".join(map(str, words)).encode() + b"\n" + content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError as fault:
            raise AnalysisFault(f"{self.path}: {fault.strerror}") from None


def _fingerprint(fold: Fold, job: Job, instead: Instead | None) -> str:
    """Of what decides how the state comes about, apart from how far. Where it begins is not among
    it: that is looked for among what is there, and may be found elsewhere once there is more."""
    slice_ = msgspec.structs.replace(job.wanted, upto=None)
    found = hashlib.sha256(fold.source)
    found.update(msgspec.json.encode([slice_, job.part, sys.version]))
    if instead:
        found.update(instead.source)
    return found.hexdigest()


def _in_processes(jobs: Sequence[Job], progress: Progress) -> list[Replayed]:
    try:
        parts = in_processes(_part, jobs, [job.after for job in jobs], progress)
    except BrokenProcessPool:
        raise AnalysisFault("a process of the replay died; try fewer --processes") from None
    return [pickle.loads(part) for part in parts]  # noqa: S301  # ours


def _part(job: Job) -> bytes:
    """What was Replayed."""

    def progress(at: int) -> None:
        if not tell(job.part.number, at):
            raise AnalysisFault("stopped")

    instead = Instead(job.instead) if job.instead else None
    try:
        replayed = _replayed(Fold(job.path), job, progress, instead)
    except Undecodable as fault:  # which another process could not be handed
        raise AnalysisFault(str(fault)) from None
    return _pickled(replayed)


def _pickled(state: Any) -> bytes:
    """Raises AnalysisFault."""
    try:
        return pickle.dumps(state, protocol=5)
    except Exception as fault:
        raise AnalysisFault(f"this state cannot be kept, or handed on: {_said(fault)}") from None


def _named(path: Path, said: Any) -> tuple[str, ...] | None:
    """KINDS as stored names; None: all. Raises AnalysisFault."""
    if said is None:
        return None
    names: list[str] = []
    for each in said if isinstance(said, list | tuple | set) else [said]:
        is_class = isinstance(each, type) and issubclass(each, Event)
        of_it = (
            [n for n, event in EVENTS.items() if issubclass(event, each)] if is_class else [each]
        )
        if not of_it or any(name not in EVENTS for name in of_it):
            raise AnalysisFault(
                f"{path}: KINDS has {each!r}, which is no kind of fact; see docs/events.md"
            )
        names += of_it
    return tuple(names)


def _guarded(path: Path, call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except (Exception, SystemExit) as fault:
        raise AnalysisFault(f"{_where(path, fault)}: {_said(fault)}") from None


def _stumbled(
    path: Path, fault: BaseException, entry: Entry[Event], *, opened: bool
) -> AnalysisFault:
    """Of what was opened, its text may hold what nobody may see in a log."""
    what = type(fault).__name__ if opened else _said(fault)
    where = f"position {entry.position}, {kind(entry.event)}"
    return AnalysisFault(f"{_where(path, fault)}: {what} (at {where})")


def _source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise AnalysisFault(f"{path}: {fault.strerror}") from None


def _loaded(path: Path, source: bytes) -> ModuleType:
    """As a module of ``projections``, under a name that none of them has."""
    stem = "".join(sign if sign.isalnum() else "_" for sign in path.stem)
    which = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]
    name = f"{projections.__name__}._replayed_{stem}_{which}"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    assert spec
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name] = module  # where Structs look for what their annotations name
    try:
        exec(compile(source, str(path), "exec"), vars(module))  # noqa: S102  # it is asked for
    except SyntaxError as fault:
        raise AnalysisFault(f"{path}, line {fault.lineno}: {fault.msg}") from None
    except (Exception, SystemExit) as fault:
        raise AnalysisFault(f"{_where(path, fault)}: {_said(fault)}") from None
    return module


def _parallel(path: Path, module: ModuleType) -> str | None:
    said = getattr(module, "PARALLEL", None)
    if said not in (None, "stream"):
        raise AnalysisFault(f'{path}: PARALLEL is {said!r}; it may be "stream"')
    return said


def _narrowed(
    asked: tuple[str, ...] | None, declared: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    if asked is None or declared is None:
        return declared if asked is None else asked
    return tuple(name for name in declared if name in asked)


def _takes(call: Any, count: int) -> bool:
    try:
        inspect.signature(call).bind(*range(count))
    except (TypeError, ValueError):
        return call in (dict, list, set)
    return True


def _must_return(path: Path, name: str, call: Any, *, may_yield: bool = False) -> None:
    """What is called and gives something to be awaited, or gone through, does nothing yet."""
    if inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call):
        raise AnalysisFault(f"{path}: {name} is async: write it as a plain def")
    if inspect.isgeneratorfunction(call) and not may_yield:
        raise AnalysisFault(f"{path}: {name} yields: let it return what it gives")


def _where(path: Path, fault: BaseException) -> str:
    lines = [f.lineno for f in traceback.extract_tb(fault.__traceback__) if f.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _said(fault: BaseException) -> str:
    return " ".join(f"{type(fault).__name__}: {fault}".split()).rstrip(":")
