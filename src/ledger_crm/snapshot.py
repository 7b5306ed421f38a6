"""Snapshots: what a long stream was folded to, so that the next decision on it reads only what came
after.

None is ever needed. One that is missing, damaged, of another program or of an erased person is as
if it were not there, and the stream is read from its first entry. It is sealed with the stream's
own data key, so that destroying that erases it too, or where the stream has none with a key of the
deployment; what can be opened was therefore made by us, and only that is unpickled.
"""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import sys
from importlib.metadata import version
from importlib.resources import files
from uuid import UUID

from cryptography.exceptions import InvalidTag

from .domain import AGGREGATES
from .domain.entry import Aggregate
from .sealing import NONCE_BYTES, DataKey

TYPES = {aggregate.TOPIC: aggregate for aggregate in AGGREGATES}


def _program() -> bytes:
    """Of what decides how a stream is folded: another program folds for itself. Where our own
    source is not to be read, no two programs are the same."""
    found = hashlib.sha256()
    for name in (sys.version, version("msgspec"), version("eventsourcing")):
        found.update(name.encode())
    house = files(__package__)
    rules = sorted(house.joinpath("domain").iterdir(), key=lambda file: file.name)
    ours = [file for file in rules if file.name.endswith(".py")]
    if not ours:
        return os.urandom(found.digest_size)
    for file in (*ours, house.joinpath("store.py"), house.joinpath("snapshot.py")):
        found.update(file.read_bytes())
    return found.digest()


PROGRAM = _program()
"""Taken when this is loaded, as the rules are: not of a release that is installed meanwhile."""


def frozen(aggregate: Aggregate, key: DataKey) -> bytes:
    """As it is now, with nothing pending."""
    assert not aggregate.pending_events
    nonce = os.urandom(NONCE_BYTES)
    content = pickle.dumps((aggregate.TOPIC, vars(aggregate)), protocol=5)
    bound_to = _bound_to(aggregate.id, aggregate.version)
    return nonce + key.encrypt(nonce, content, bound_to)


def thawed(sealed: bytes, key: DataKey, *, stream: UUID, version: int) -> Aggregate:
    """Another object each time. Raises ValueError if it was not made by this program, with this
    key, of this stream at this version."""
    bound_to = _bound_to(stream, version)
    try:
        content = key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
    except InvalidTag:
        raise ValueError("a snapshot does not belong here or is damaged") from None
    collects = gc.isenabled()
    gc.disable()  # else it looks through thousands of new objects time and again: none is garbage
    try:
        topic, state = pickle.loads(content)  # noqa: S301  # ours: see above
    finally:
        if collects:
            gc.enable()
    type_ = TYPES[topic]
    aggregate = type_.__new__(type_)
    vars(aggregate).update(state)
    return aggregate


def _bound_to(stream: UUID, version: int) -> bytes:
    return b"snapshot\x1f" + PROGRAM + stream.bytes + version.to_bytes(8, "big")
