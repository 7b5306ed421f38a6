"""Ledgers here have the tables of every read model, empty."""

from __future__ import annotations

import pytest


@pytest.fixture
def template(read_models: str) -> str:
    return read_models
