"""Where a webhook may lead, and what becomes of it."""

from __future__ import annotations

import pytest

from builders import webhook_added
from ledger_crm.domain.webhook import (
    NotAWebhookUrl,
    Webhook,
    WebhookDisabled,
    WebhookEnabled,
    WebhookIsDisabled,
    WebhookIsRemoved,
    WebhookRedriven,
    WebhookRemoved,
)
from scenario import ANA, given


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hooks.example/a?token=1", "hooks.example"),
        ("https://Hooks.Example:8443", "hooks.example"),
        ("http://localhost:9000/x", "localhost"),
        ("http://[::1]:9000/x", "::1"),
    ],
)
def test_it_is_sent_to_an_address_with_tls_or_to_this_machine(url: str, host: str) -> None:
    webhook = Webhook.add(url=url, after=0, by=ANA)
    [entry] = webhook.collect_events()
    assert entry.event.host == host  # type: ignore[attr-defined]
    assert webhook.secret.startswith("whsec_")
    assert Webhook.add(url=url, after=0, by=ANA).secret != webhook.secret


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example", "http://hooks.example", "ftp://hooks.example", "https://", "https:///x",
        "https://ana:secret@hooks.example", "https://hooks.example/#a", "https://hooks.example/ x",
        "https://hooks.example/\n", "https://hooks.example:port", "https://hoöks.example",
        "http://127.0.0.1.evil.example", "http://127.0.0.2", "https://[::1", "javascript:alert(1)",
        "https://hooks.example/" + "x" * 2_000,
    ],
)  # fmt: skip
def test_nothing_else_is_an_address(url: str) -> None:
    with pytest.raises(NotAWebhookUrl):
        Webhook.add(url=url, after=0, by=ANA)


DISABLED, ENABLED = WebhookDisabled(reason="failing"), WebhookEnabled()
AGAIN, REMOVED = WebhookRedriven(after=1), WebhookRemoved()


def test_it_is_disabled_enabled_and_redriven() -> None:
    given(Webhook, webhook_added()).when(lambda w: w.change(DISABLED, by=ANA)).then(DISABLED)
    given(Webhook, webhook_added(), DISABLED).when(lambda w: w.change(ENABLED, by=ANA)).then(
        ENABLED
    )
    given(Webhook, webhook_added()).when(lambda w: w.change(AGAIN, by=ANA)).then(AGAIN)


def test_what_is_so_already_changes_nothing() -> None:
    given(Webhook, webhook_added()).when(lambda w: w.change(ENABLED, by=ANA)).then()
    given(Webhook, webhook_added(), DISABLED).when(lambda w: w.change(DISABLED, by=ANA)).then()


def test_who_is_disabled_is_not_redriven_in_silence() -> None:
    given(Webhook, webhook_added(), DISABLED).when(lambda w: w.change(AGAIN, by=ANA)).then_refused(
        WebhookIsDisabled
    )


def test_what_is_removed_stays_so() -> None:
    for change in (DISABLED, ENABLED, AGAIN, REMOVED):
        given(Webhook, webhook_added(), REMOVED).when(
            lambda w, c=change: w.change(c, by=ANA)  # type: ignore[misc]
        ).then_refused(WebhookIsRemoved)
