"""Sealing: personal fields are ciphertext in the ledger, each person's under a key of their own.

    deployment key  --wraps-->  data key of a stream  --seals-->  fields of its entries

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; the associated data names topic, stream,
version and field, so that a ciphertext cannot be moved. Data keys are wrapped by AES-KWP
(RFC 5649). Both are drawn from OpenSSL's generator, which the system seeds: to ask the system each
time gives the interpreter away, and it comes back behind whoever else waits. The wrapping key, the
key of the reservations' hashes, that of snapshots and that of places come from the deployment key
by HKDF (RFC 5869). Destroying a data key erases what it sealed.
"""

from __future__ import annotations

import binascii
from ssl import RAND_bytes
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

DataKey = AESGCM
FORMAT = b"\1"  # first byte of all that is stored, so that another cipher or key can come later
NONCE_BYTES = 12
KEY_BYTES = 32


class WrongKey(Exception):
    """The deployment key does not open this database's data keys."""


class UnknownFormat(ValueError):
    """Sealed by a newer version of this software."""


class Hashes:
    """Keyed, so that the table of reservations cannot be searched by guessing addresses. Alone, of
    a process that has nothing to seal or to open."""

    def __init__(self, hashing_key: bytes) -> None:
        self.hashing_key = hashing_key
        # begun once and copied: hmac.digest gives other threads the turn, at every small value
        self._hashing = HMAC(hashing_key, SHA256())

    def hash_of(self, scope: str, value: str) -> bytes:
        hashing = self._hashing.copy()
        hashing.update(f"{scope}\x1f{value}".encode())
        return hashing.finalize()


class Keyring(Hashes):
    """What the deployment key can do. It is 32 random bytes, kept apart from the database."""

    def __init__(self, deployment_key: bytes) -> None:
        if len(deployment_key) != KEY_BYTES:
            raise ValueError(f"the deployment key has {len(deployment_key)} bytes, not {KEY_BYTES}")
        self._wrapping = _derived(deployment_key, b"ledger-crm data key wrapping 1")
        super().__init__(_derived(deployment_key, b"ledger-crm reservation hashes 1"))
        # of what no stream's own key seals, and nobody needs to be able to erase
        self.own: DataKey = AESGCM(_derived(deployment_key, b"ledger-crm snapshots 1"))
        self._places = AESSIV(_derived(deployment_key, b"ledger-crm places 1", 2 * KEY_BYTES))

    def fresh(self) -> tuple[bytes, DataKey]:
        """A new data key: wrapped, and ready to use."""
        key = RAND_bytes(KEY_BYTES)
        return FORMAT + aes_key_wrap_with_padding(self._wrapping, key), AESGCM(key)

    def unwrap(self, wrapped: bytes) -> DataKey:
        """Raises WrongKey, UnknownFormat."""
        try:
            return AESGCM(aes_key_unwrap_with_padding(self._wrapping, _body(wrapped)))
        except InvalidUnwrap:
            raise WrongKey("the sealing key is not the one this database was sealed with") from None

    def shut(self, place: bytes, of: str) -> bytes:
        """What a client carries from page to page and nobody else is to read, bound to what it is
        ``of``. The same each time, or an answer with it would never be unchanged (RFC 5297)."""
        return FORMAT + self._places.encrypt(place, [of.encode()])

    def opened(self, shut: bytes, of: str) -> bytes:
        """Raises ValueError if it is of something else, or was not shut here."""
        try:
            return self._places.decrypt(_body(shut), [of.encode()])
        except InvalidTag:
            raise ValueError("a place of something else, or damaged") from None


def seal(key: DataKey, text: str, *, topic: str, stream: UUID, version: int, field: str) -> str:
    nonce = RAND_bytes(NONCE_BYTES)
    sealed = (
        FORMAT + nonce + key.encrypt(nonce, text.encode(), _bound_to(topic, stream, version, field))
    )
    return binascii.b2a_base64(sealed, newline=False).decode()


def unseal(key: DataKey, sealed: str, *, topic: str, stream: UUID, version: int, field: str) -> str:
    """Raises ValueError, without the content, if it was sealed elsewhere or is damaged."""
    raw = _body(binascii.a2b_base64(sealed))
    bound_to = _bound_to(topic, stream, version, field)
    try:
        return key.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to).decode()
    except InvalidTag:
        raise ValueError(f"sealed field {field} does not belong here or is damaged") from None


def seal_bytes(key: DataKey, content: bytes, *, stream: UUID, id: UUID) -> bytes:
    """A document; bound to whose it is and to its own id, so that no two can be exchanged."""
    nonce = RAND_bytes(NONCE_BYTES)
    return FORMAT + nonce + key.encrypt(nonce, content, b"document\x1f" + stream.bytes + id.bytes)


def unseal_bytes(key: DataKey, sealed: bytes, *, stream: UUID, id: UUID) -> bytes:
    """Raises ValueError if it was sealed elsewhere or is damaged."""
    raw = _body(sealed)
    bound_to = b"document\x1f" + stream.bytes + id.bytes
    try:
        return key.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to)
    except InvalidTag:
        raise ValueError("a document does not belong here or is damaged") from None


def _body(stored: bytes) -> bytes:
    if stored[:1] != FORMAT:
        raise UnknownFormat(f"format {stored[:1].hex()} of what is sealed is not known here")
    return stored[1:]


def _bound_to(topic: str, stream: UUID, version: int, field: str) -> bytes:
    """No topic holds a 0x1f and stream and version are 24 bytes, so no two places are alike."""
    where = stream.bytes + version.to_bytes(8, "big")
    return topic.encode() + b"\x1f" + where + field.encode()


def _derived(key: bytes, purpose: bytes, length: int = KEY_BYTES) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(key)
