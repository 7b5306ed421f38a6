"""Limits: how much is taken from one caller, and how often somebody may guess.

Each process counts for itself: a limit keeps a server standing, it is no price list. Passwords,
which can be guessed, are counted beside the ledger, for all processes (``sessions.py``).
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from math import ceil
from typing import Any

from .problems import TooManyGuesses, TooManyRequests

WINDOW_S = 60.0
MOST = 4_096  # callers, and networks, that are counted at once


class Spending:
    """Requests of each caller, in windows that begin with the first one."""

    def __init__(self, most: int) -> None:
        """``most``: in a window; 0: as many as they like."""
        self._most = most
        self._spent: dict[str, tuple[int, float]] = {}  # how many, and until when they count

    def takes(self, state: MutableMapping[str, Any], who: str) -> bool:
        """One more of theirs, once for a request; and what they are told of it is in ``state``."""
        if not self._most or "allowance" in state:
            return True
        at_s = time.monotonic()
        spent, until_s = self._spent.get(who, (0, 0.0))
        if at_s >= until_s:
            if len(self._spent) >= MOST:
                self._spent = {each: one for each, one in self._spent.items() if one[1] > at_s}
            spent, until_s = 0, at_s + WINDOW_S
        if spent >= self._most:
            return False
        self._spent[who] = spent + 1, until_s
        state["allowance"] = self._told(self._most - spent - 1, until_s - at_s)
        return True

    def must_take(self, state: MutableMapping[str, Any], who: str) -> None:
        """Raises TooManyRequests."""
        if not self.takes(state, who):
            left_s = max(0.0, self._spent[who][1] - time.monotonic())
            state["allowance"] = self._told(0, left_s)
            raise TooManyRequests(retry_after_s=ceil(left_s))

    def _told(self, left: int, reset_s: float) -> list[tuple[bytes, bytes]]:
        return allowance(b"caller", self._most, WINDOW_S, left, reset_s)


def allowance(
    whose: bytes, most: int, within_s: float, left: int, reset_s: float
) -> list[tuple[bytes, bytes]]:
    """As headers of draft-ietf-httpapi-ratelimit-headers."""
    return [
        (b"ratelimit-policy", b'"%s";q=%d;w=%d' % (whose, most, within_s)),
        (b"ratelimit", b'"%s";r=%d;t=%d' % (whose, left, ceil(reset_s))),
    ]


class Guesses:
    """Keys and links that open nothing, from each network. One that opened something is heard for
    ever: an office with a script gone wrong does not shut itself out."""

    def __init__(self, most: int, within_s: int) -> None:
        self._most, self._within_s = most, within_s
        self._wrong: dict[str, tuple[int, float]] = {}
        self._right: set[str] = set()

    def must_be_heard(self, network: str, text: str) -> None:
        """Raises TooManyGuesses."""
        wrong, until_s = self._wrong.get(network, (0, 0.0))
        left_s = until_s - time.monotonic()
        if wrong >= self._most and left_s > 0 and text not in self._right:
            raise TooManyGuesses(retry_after_s=int(left_s) + 1)

    def wrong(self, network: str, text: str) -> None:
        at_s = time.monotonic()
        self._right.discard(text)
        if len(self._wrong) >= MOST and network not in self._wrong:
            self._wrong = {each: one for each, one in self._wrong.items() if one[1] > at_s}
            if len(self._wrong) >= MOST:
                del self._wrong[next(iter(self._wrong))]
        wrong, until_s = self._wrong.get(network, (0, 0.0))
        self._wrong[network] = (wrong + 1 if at_s < until_s else 1), at_s + self._within_s

    def right(self, text: str) -> None:
        if len(self._right) >= MOST:
            self._right.clear()
        self._right.add(text)
