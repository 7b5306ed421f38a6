"""What the tests send, and how they read what comes back."""

from __future__ import annotations

from typing import Any

import httpx

ADA = {"name": "Ada Byron", "channel": "linkedin", "email": "Ada@Example.org"}
ENGINES = {"name": "Analytical Engines", "domain": "engines.example"}
SENT = {
    "kind": "person.message_sent",
    "channel": "email",
    "message_id": "<1@us>",
    "sent_at": "2024-03-02T09:00:00Z",
    "text": "Would you like to hear about it?",
}
REPLY = {
    "kind": "person.message_replied",
    "channel": "email",
    "message_id": "<2@them>",
    "replied_at": "2024-03-02T12:00:00Z",
    "text": "Yes",
}
NOTE = {"kind": "person.note_written", "text": "Prefers mornings."}
ORDER = {"title": "Engineer", "opened_at": "2024-02-01T10:00:00Z"}
FEE = {
    "basis": "contingent",
    "currency": "EUR",
    "rate_bp": 2500,
    "agreed_at": "2024-02-01T10:00:00Z",
}


async def written(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], **headers: str
) -> dict[str, Any]:
    """The receipt; it is an error if there is none."""
    answer = await client.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    receipt: dict[str, Any] = answer.json()
    assert answer.headers["etag"] == f'"{receipt["version"]}"'
    return receipt


async def found(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body, once it is sure that it is a problem of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["type"], body["status"]) == (f"/problems/{code}", status)
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def faults(answer: httpx.Response) -> dict[str, str]:
    """Of a malformed request, by pointer."""
    return {f["pointer"]: f["detail"] for f in problem(answer, 400, "malformed")["faults"]}
