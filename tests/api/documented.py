"""A property of every answer in these tests: it is as the OpenAPI document says.

It is read in docs/, not made anew by each process of the tests; ``test_documents.py`` holds that it
is as the code makes it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema_rs
import pytest

TOLD_BESIDES = {"etag", "ledger-position", "ratelimit", "ratelimit-policy", "x-request-id"}
# The document takes a second to make: one process of the tests does, for those that want it anew.
as_made = pytest.mark.xdist_group("the document as it is made")


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (Path(__file__).parents[2] / "docs" / "openapi.json").read_text()
    )
    return found


@cache
def addresses() -> list[tuple[re.Pattern[str], str]]:
    # those without a parameter first: /candidates/counts is no /candidates/{candidacy_id}
    templates = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", each)), each) for each in templates]


@cache
def validator(pointer: str) -> jsonschema_rs.Draft202012Validator:
    """By a schema's place in the document."""
    ref = {"$ref": f"urn:document#{quote(pointer)}"}
    return jsonschema_rs.Draft202012Validator(ref, registry=_registry(), validate_formats=True)


@cache
def _registry() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([("urn:document", document())], draft=jsonschema_rs.Draft202012)


class Documented:
    def __init__(self) -> None:
        self.spec = document()

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """With its ``place`` in the document, as a JSON pointer."""
        method = method.lower()
        for pattern, template in addresses():
            if pattern.fullmatch(path):
                found = self.spec["paths"][template].get(method)
                place = f"/paths/{template.replace('/', '~1')}/{method}"
                return found and found | {"place": place}
        return None

    async def must_be(self, answer: httpx.Response) -> None:
        await answer.aread()
        operation = self.operation(answer.request.method, answer.request.url.path)
        if operation is None or "openapi" in answer.request.url.path:
            return
        response = operation["responses"].get(str(answer.status_code))
        assert response, f"{answer.status_code} of {operation['operationId']} is not documented"
        place = response.get("$ref", f"#{operation['place']}/responses/{answer.status_code}")
        response = self.resolved(response)
        if answer.status_code == 304 or 400 <= answer.status_code < 500:
            said = TOLD_BESIDES & answer.headers.keys()
            assert said <= {name.lower() for name in response["headers"]}, "not documented"
        if answer.status_code == 304:
            assert not answer.content
            assert "content-type" not in answer.headers
            assert "etag" in answer.headers
            return
        media_type = answer.headers["content-type"].partition(";")[0]
        of = f"{place[1:]}/content/{media_type.replace('/', '~1')}/schema"
        lines = media_type in ("application/x-ndjson", "text/csv", "text/plain")
        validator(of).validate(answer.text if lines else answer.json())
        if answer.status_code == 200 and '"dry_run":true' in answer.text:
            return  # it has no version
        for name in response["headers"]:
            optional = ("Idempotency-Replayed", "Ledger-As-Of", "Link", "Total-Count")
            optional += ("RateLimit", "RateLimit-Policy")  # where there is none
            optional += ("Vary", "Content-Encoding", "Accept-Encoding")  # of text; of much; of that
            assert name in optional or name in answer.headers, f"{name} is missing"
        if answer.status_code == 201 and (at := answer.headers.get("location")):
            made = answer.json()
            assert made.get("created", made["id"]) in at.split("/")
            assert self.operation("GET", at), f"{at} is nothing that can be read"

    def resolved(self, thing: dict[str, Any]) -> dict[str, Any]:
        """Raises KeyError if a reference leads nowhere."""
        if "$ref" not in thing:
            return thing
        at: Any = self.spec
        for step in thing["$ref"].removeprefix("#/").split("/"):
            at = at[step]
        assert isinstance(at, dict)
        return at
