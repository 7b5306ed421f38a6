"""Where a webhook may lead, and what becomes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builders import webhook_added, webhook_secret_renewed
from ledger_crm.domain import clock
from ledger_crm.domain.webhook import (
    MOST_SECRETS,
    NotAWebhookUrl,
    TooManySecrets,
    Webhook,
    WebhookDisabled,
    WebhookEnabled,
    WebhookIsDisabled,
    WebhookIsRemoved,
    WebhookRedriven,
    WebhookRemoved,
)
from scenario import ANA, NOON, given


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


def test_the_secrets_of_before_sign_until_they_end_and_none_longer_for_a_renewal() -> None:
    with clock.stopped_at(NOON):
        webhook = Webhook.add(url="https://hooks.example", after=0, by=ANA)
        first = webhook.secret
        webhook.renew_secret(overlap_s=60, by=ANA)
        second = webhook.secret
        webhook.renew_secret(overlap_s=3_600, by=ANA)
        third = webhook.secret
        assert len({first, second, third}) == 3
        assert webhook.signing(NOON) == (third, second, first)
        assert webhook.signing(NOON + timedelta(seconds=60)) == (third, second)
        assert webhook.signing(NOON + timedelta(hours=1)) == (third,)
        webhook.renew_secret(overlap_s=0, by=ANA)
        assert webhook.signing(NOON) == (webhook.secret,), "those that are known end at once"
        assert webhook.secret not in {first, second, third}


def test_no_more_secrets_count_than_a_header_holds() -> None:
    with clock.stopped_at(NOON):
        renewed = [webhook_secret_renewed(n, until_at=NOON) for n in range(MOST_SECRETS)]
        counting = [
            webhook_secret_renewed(n, until_at=NOON + timedelta(hours=1 + n))
            for n in range(MOST_SECRETS - 1)
        ]
        given(Webhook, webhook_added(), *renewed, *counting).when(
            lambda w: w.renew_secret(overlap_s=60, by=ANA)
        ).then_refused(TooManySecrets)
    webhook = Webhook.add(url="https://hooks.example", after=0, by=ANA)
    for _ in range(MOST_SECRETS - 1):
        webhook.renew_secret(overlap_s=60, by=ANA)
    assert len(webhook.signing(clock.now())) == MOST_SECRETS
    webhook.renew_secret(overlap_s=0, by=ANA)
    assert webhook.signing(clock.now()) == (webhook.secret,)


def test_what_is_removed_stays_so() -> None:
    given(Webhook, webhook_added(), REMOVED).when(
        lambda w: w.renew_secret(overlap_s=0, by=ANA)
    ).then_refused(WebhookIsRemoved)
    for change in (DISABLED, ENABLED, AGAIN, REMOVED):
        given(Webhook, webhook_added(), REMOVED).when(
            lambda w, c=change: w.change(c, by=ANA)  # type: ignore[misc]
        ).then_refused(WebhookIsRemoved)
