"""What a webhook's receiver is sent, in the OpenAPI document: it may be made from that, too."""

from __future__ import annotations

from typing import Any

from ledger_crm.domain.shape import envelope

from . import facts

ID, AT, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
SENT = {
    ID: "The entry: the same again is the same entry, sent again.",
    AT: "When it was sent, in seconds since 1970.",
    SIGNATURE: "`v1,` and the HMAC-SHA256, in base64, of `webhook-id`, `webhook-timestamp` and the"
    " body with dots between, under the secret; several, with spaces between, of which one has to"
    " fit.",
}
ANSWERS = {
    "2XX": "Taken: the next one may come.",
    "410": "Nobody is there for it any more: the webhook is disabled at once.",
    "default": "Not taken: it is sent again for about three days, as late as `Retry-After` asks at"
    " least, and then the webhook is disabled.",
}


def event() -> dict[str, Any]:
    schema = envelope()
    schema["properties"]["data"] = {"anyOf": facts.TOLD}
    return {"title": "CloudEvent"} | schema


def entry() -> dict[str, Any]:
    """The operation, which is the receiver's."""
    return {
        "operationId": "entry_written",
        "summary": "An entry was written",
        "description": "Of a kind that the webhook wants; what is sealed is absent, and named."
        " At least once, and in order if the webhook is `ordered`. Answer within 15 seconds.",
        "tags": ["webhooks"],
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": about,
                "schema": {"type": "string"},
            }
            for name, about in SENT.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/cloudevents+json": {
                    "schema": {"$ref": "#/components/schemas/CloudEvent"}
                }
            },
        },
        "responses": {status: {"description": about} for status, about in ANSWERS.items()},
    }
