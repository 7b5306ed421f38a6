"""Conditional: an answer says by its ETag what it is, whoever has it is not sent it again, and a
large one is compressed.

The tag is of the bytes that are answered, so nothing stale passes for unchanged (decision 45). In
front of it stands the version of the record, if it is one: that is what ``If-Match`` looks at.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from collections.abc import Iterable
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

LARGE_BYTES = 32 * 1024  # smaller ones cost more to compress than to send
ASIDE_BYTES = 256 * 1024  # to hash smaller ones costs less than to ask another thread for it
OF_THE_BODY = frozenset((b"content-length", b"content-type", b"content-encoding"))
TEXT = re.compile(rb"text/(?!event-stream)|application/(.*json|javascript)")
TAG = re.compile(r'(W/)?"([!#-~]*)"')
TAGS = re.compile(rf"{TAG.pattern}([ \t]*,[ \t]*{TAG.pattern})*")
VERSION = re.compile(r"([0-9]{1,18})(-[0-9a-f]{16}(-gzip)?)?")
GZIPPED = "-gzip"
VARY = (b"vary", b"accept, accept-encoding")  # whether or not this one is large enough


def conditional(app: ASGIApp) -> ASGIApp:
    """Around all that answers."""

    async def tagging(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            return await app(scope, receive, send)
        start: Any = None

        async def send_tagged(message: Any) -> None:
            nonlocal start
            if start is None:
                if message["type"] == "http.response.start" and message["status"] == 200:
                    start = message  # until it is known what it is the start of
                else:
                    await send(message)
                return
            begun, start = start, None
            if not message.get("more_body"):
                if _is_text(begun):
                    begun["headers"] = [*begun["headers"], VARY]
                if len(message["body"]) < LARGE_BYTES:
                    _tag(scope, begun, message, _digest(message["body"]))
                else:
                    await _tag_large(scope, begun, message)
            await send(begun)
            await send(message)

        await app(scope, receive, send_tagged)

    return tagging


def _tag(scope: Scope, start: Any, message: Any, digest: str, *, packed: bool = False) -> None:
    """Or takes the body away, if it is the one that they have."""
    version, headers = "", []
    for each in start["headers"]:
        if each[0] == b"etag":
            version = each[1][1:-1].decode()
        elif each[0] == b"content-type" and each[1].startswith(b"text/event-stream"):
            return
        else:
            headers.append(each)
    tag = f"{version}-{digest}"  # without a version it is none for If-Match
    for name, _ in scope["headers"]:
        if name == b"if-none-match" and _has(_asked(scope, name), tag):
            headers = [each for each in headers if each[0] not in OF_THE_BODY]
            start["status"], message["body"] = 304, b""
            break
    headers.append((b"etag", f'"{tag}{GZIPPED if packed else ""}"'.encode()))
    start["headers"] = headers


async def _tag_large(scope: Scope, start: Any, message: Any) -> None:
    """As ``_tag``, and compressed for whoever takes that."""
    body = message["body"]
    packed = _is_text(start) and _accepts_gzip(_asked(scope, b"accept-encoding"))
    aside = len(body) >= ASIDE_BYTES
    digest = await asyncio.to_thread(_digest, body) if aside else _digest(body)
    _tag(scope, start, message, digest, packed=packed)
    if packed and message["body"]:
        small = await asyncio.to_thread(gzip.compress, body, 5, mtime=0)
        message["body"] = small
        start["headers"] = [
            *(each for each in start["headers"] if each[0] != b"content-length"),
            (b"content-encoding", b"gzip"),
            (b"content-length", b"%d" % len(small)),
        ]


def _is_text(start: Any) -> bool:
    return any(name == b"content-type" and TEXT.match(value) for name, value in start["headers"])


def _digest(body: bytes) -> str:
    """Not against forgery: both are ours."""
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()[:16]


def _asked(scope: Scope, name: bytes) -> str:
    """A header that may be sent in parts."""
    return ",".join([value.decode("latin-1") for each, value in scope["headers"] if each == name])


def _has(asked: str, tag: str) -> bool:
    """By the weak comparison, which a reader's copy is compared by (RFC 9110, 13.1.2)."""
    if asked.strip() == "*":
        return True
    return any(found.removesuffix(GZIPPED) == tag for _, found in TAG.findall(asked))


def _accepts_gzip(asked: str) -> bool:
    wanted = {}
    for offer in asked.lower().split(","):
        name, _, weight = offer.replace(" ", "").partition(";q=")
        wanted[name] = not re.fullmatch(r"0(\.0*)?", weight)
    return wanted.get("gzip", wanted.get("*", False))


def versions(asked: Iterable[str]) -> tuple[tuple[int, ...], bool] | None:
    """The versions in these values of an If-Match, and whether there was a weak tag, which matches
    none; None if they are no tags."""
    whole = ",".join(asked).strip(" \t")
    if not TAGS.fullmatch(whole):
        return None
    found = TAG.findall(whole)
    ours = (VERSION.fullmatch(tag) for weak, tag in found if not weak)
    return tuple(int(one[1]) for one in ours if one), any(weak for weak, _ in found)
