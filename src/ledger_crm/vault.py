"""The vault: sealed bytes on disk, each under the hash of what is stored. It knows no keys and
nobody's name, and the same address always holds the same bytes."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path


class Damaged(Exception):
    """What is at this address is missing, or is not what was put there."""


class Vault:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, sealed: bytes) -> str:
        """The address. On disk when it returns, whole or not at all."""
        address = hashlib.sha256(sealed).hexdigest()
        path = self._path(address)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}")
        try:
            with open(part, "xb", opener=_private) as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        for folder in (path.parent, self.folder):
            _sync(folder)
        return address

    def get(self, address: str) -> bytes:
        """Raises Damaged."""
        try:
            sealed = self._path(address).read_bytes()
        except FileNotFoundError:
            raise Damaged(address) from None
        if hashlib.sha256(sealed).hexdigest() != address:
            raise Damaged(address)
        return sealed

    def drop(self, address: str) -> None:
        """Also if it is not there."""
        with suppress(FileNotFoundError):
            self._path(address).unlink()

    def _path(self, address: str) -> Path:
        return self.folder / address[:2] / address


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
