"""The vault: sealed bytes, each under the hash of what is stored. It knows no keys and nobody's
name, and the same address always holds the same bytes."""

from __future__ import annotations

import hashlib

from .storage import Storage


class Damaged(Exception):
    """What is at this address is missing, or is not what was put there."""


class Vault:
    """Raises as its storage does."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def put(self, sealed: bytes) -> str:
        """The address. Kept when it returns, whole or not at all."""
        address = hashlib.sha256(sealed).hexdigest()
        self.storage.put(_name(address), sealed)
        return address

    def get(self, address: str) -> bytes:
        """Raises Damaged."""
        try:
            sealed = self.storage.get(_name(address))
        except FileNotFoundError:
            raise Damaged(address) from None
        if hashlib.sha256(sealed).hexdigest() != address:
            raise Damaged(address)
        return sealed

    def drop(self, address: str) -> None:
        """Also if it is not there."""
        self.storage.drop(_name(address))


def _name(address: str) -> str:
    return f"{address[:2]}/{address}"
