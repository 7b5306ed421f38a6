"""API keys: shown once, checked without keeping them, refused when revoked."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest

from ledger_crm.domain.access import (
    ApiKey,
    Holder,
    KeyCreated,
    KeyIsRevoked,
    KeyRevoked,
    NoSuchActor,
    NoSuchRole,
    NoSuchScope,
    OpensNothing,
    parts,
)
from ledger_crm.domain.entry import Actor
from ledger_crm.domain.role import PERMISSIONS, Role
from scenario import ANA, NOON, given

FACT = KeyCreated(actor="consultant:ana", digest="ab" * 32)


def test_a_key_opens_with_its_own_secret_only() -> None:
    key, text = ApiKey.create(actor="consultant:ana", label="laptop", by=ANA)
    found = parts(text)
    assert found is not None
    id, secret = found
    assert id == key.id
    assert key.admits(secret, NOON.date())
    assert not key.admits(secret[:-1], NOON.date())
    assert not key.admits("", NOON.date())
    assert key.actor == "consultant:ana"


def test_a_key_opens_nothing_after_its_last_day() -> None:
    day = NOON.date()
    key, text = ApiKey.create(actor="consultant:ana", until_on=day, by=ANA)
    _, secret = parts(text) or (None, "")
    assert key.admits(secret, day)
    assert not key.admits(secret, day + timedelta(days=1))


def test_a_key_that_may_one_thing_alone_says_which() -> None:
    key, _ = ApiKey.create(
        actor="integration:prometheus", role="none", scopes=["metrics.read"], by=ANA
    )
    assert [each for each in PERMISSIONS if key.holder.may(each)] == ["metrics.read"]
    with pytest.raises(OpensNothing):
        ApiKey.create(actor="integration:prometheus", role="none", by=ANA)
    assert "none" not in get_args(Role), "nobody signs in as that"


def test_a_secret_with_underscores_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_urlsafe", lambda n: "a_b__c")
    key, text = ApiKey.create(actor="consultant:ana", by=ANA)
    assert text == f"lcrm_{key.id.hex}_a_b__c"
    assert parts(text) == (key.id, "a_b__c")


def test_a_made_up_key_names_no_stream() -> None:
    """It could name a person's, which would then be read whole to refuse it."""
    _, text = ApiKey.create(actor="consultant:ana", by=ANA)
    assert parts(f"lcrm_{uuid4().hex}_{text.split('_', 2)[2]}") is None


def test_the_secret_is_not_in_what_is_written() -> None:
    key, text = ApiKey.create(actor="consultant:ana", by=ANA)
    [entry] = key.collect_events()
    assert text.split("_", 2)[2] not in repr(entry)


def test_a_key_has_a_role_and_permissions_besides() -> None:
    def holder(actor: str, **said: Any) -> Holder:
        return ApiKey.create(actor=actor, by=ANA, **said)[0].holder

    assert holder("consultant:ana").role == "consultant"
    form = holder("integration:website", scopes=["events.read", "events.read"])
    assert form == Holder(Actor("integration:website"), "integration", ("events.read",))
    assert (form.may("events.read"), form.may("events.open")) == (True, False)
    assert holder("consultant:ana", role="owner").may("privacy.write")
    with pytest.raises(NoSuchRole):
        holder("consultant:ana", role="boss")
    with pytest.raises(NoSuchRole):
        holder("consultant:ana", role="")
    with pytest.raises(NoSuchScope):
        holder("consultant:ana", scopes=["events.write"])


def test_two_keys_differ() -> None:
    texts = {ApiKey.create(actor="consultant:ana", by=ANA)[1] for _ in range(10)}
    assert len(texts) == 10


def test_a_revoked_key_opens_nothing() -> None:
    key, text = ApiKey.create(actor="consultant:ana", by=ANA)
    key.revoke(by=ANA)
    assert not key.admits(text.split("_", 2)[2], NOON.date())


def test_a_key_is_revoked_once() -> None:
    given(ApiKey, FACT).when(lambda k: k.revoke(reason="lost", by=ANA)).then(
        KeyRevoked(reason="lost")
    )
    given(ApiKey, FACT, KeyRevoked()).when(lambda k: k.revoke(by=ANA)).then_refused(KeyIsRevoked)


@pytest.mark.parametrize(
    "actor",
    [
        "",
        "ana",
        "consultant:",
        "Consultant:ana",
        "consultant:Ana",
        "consultant:ana\n",
        "a b:c",
        "system:import",
    ],
)
def test_an_actor_is_written_in_one_way(actor: str) -> None:
    with pytest.raises(NoSuchActor):
        ApiKey.create(actor=actor, by=ANA)


@pytest.mark.parametrize(
    "text", ["", "lcrm", "lcrm_", "lcrm__", "lcrm_x_y", f"key_{UUID(int=7).hex}_x", UUID(int=7).hex]
)
def test_what_is_no_key_has_no_parts(text: str) -> None:
    assert parts(text) is None
