"""Houses that journeys share: each takes seconds of two processors to begin. Whoever counts what is
in the whole of one shares it only with those who add nothing to that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from running import Running, running


@pytest.fixture(scope="session")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Of those who introduce and place (xdist group "agency")."""
    with running(tmp_path_factory.mktemp("agency")) as up:
        yield up


@pytest.fixture(scope="session")
def searchers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Of a search that asks for a field before any introduction, and of a year's report, which
    counts all (xdist group "searchers")."""
    with running(tmp_path_factory.mktemp("searchers")) as up:
        yield up
