"""Whatever anybody makes of the served document, the server answers as it says (schemathesis).

As the owner of a server with something in it. Not tried: the stream, which does not end; the
portal, whose links are no keys; adding webhooks, because they would be sent to addresses that
somebody may have. What is well formed may still be refused (``positive_data_acceptance``): a
position that was never written, an id of nobody.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import Running, running

# One worker: CPython 3.11 fails when two threads parse source at once ("AST constructor recursion
# depth mismatch", python/cpython#106905), which Hypothesis does to describe a lambda.
HOW = {
    "everyday": ("examples,fuzzing", 4, 900),
    "campaign": ("examples,coverage,fuzzing", 8, 20_000),
}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("document")) as up:
        yield up


@pytest.mark.parametrize("how", ["everyday", pytest.param("campaign", marks=pytest.mark.campaign)])
def test_the_server_answers_as_its_document_says(
    up: Running, how: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    phases, examples, least = HOW[how]
    key = (Path(up.home) / "api.key").read_text().strip()
    seed = request.config.getoption("randomly_seed", 1)
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "run", f"{up.url}/openapi.json",
            "--header", f"Authorization: Bearer {key}",
            "--exclude-path", "/events/stream", "--exclude-path-regex", "^/portal/",
            "--exclude-operation-id", "add_webhook",
            "--exclude-checks", "positive_data_acceptance",
            "--phases", phases, "--max-examples", str(examples), "--seed", str(seed),
            "--workers", "1", "--no-shrink", "--continue-on-failure", "--warnings", "off",
            "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = ran.stdout + ran.stderr
    assert ran.returncode == 0, told[-6_000:]
    generated = re.search(r"(\d+) generated", told)
    assert generated, told[-2_000:]
    assert int(generated[1]) >= least
