"""Logins: opened, invited once, closed; what ends sessions is an era."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger_crm.domain import clock
from ledger_crm.domain.access import NoSuchRole
from ledger_crm.domain.login import (
    InvitationIsOver,
    Login,
    LoginClosed,
    LoginInvited,
    LoginIsClosed,
    LoginOpened,
    PasswordSet,
    PasswordTooWeak,
    invitation_of,
    must_be_strong,
)
from scenario import ANA, given

OPENED = LoginOpened(consultant="consultant:ana", role="consultant")
SET = PasswordSet(hash="$argon2id$one")


def test_an_invitation_opens_once_with_its_own_secret_and_for_seven_days() -> None:
    login = Login.begin("consultant:ana_b", "manager", (), "", by=ANA)
    found = invitation_of(login.invite(by=ANA))
    assert found is not None
    consultant, secret = found
    assert consultant == "consultant:ana_b"
    login.must_be_invited(secret)
    for wrong in (secret[:-1], ""):
        with pytest.raises(InvitationIsOver):
            login.must_be_invited(wrong)
    late = clock.now() + timedelta(days=7, seconds=1)
    with clock.stopped_at(late), pytest.raises(InvitationIsOver):
        login.must_be_invited(secret)
    login.set_password("$argon2id$one", by=ANA)
    with pytest.raises(InvitationIsOver):
        login.must_be_invited(secret)


def test_another_invitation_takes_the_place_of_the_first() -> None:
    login = Login.begin("consultant:ana", "manager", (), "", by=ANA)
    first = invitation_of(login.invite(by=ANA))
    login.invite(by=ANA)
    assert first
    with pytest.raises(InvitationIsOver):
        login.must_be_invited(first[1])


def test_the_secret_of_an_invitation_is_not_in_what_is_written() -> None:
    login = Login.begin("consultant:ana", "manager", (), "", by=ANA)
    text = login.invite(by=ANA)
    assert text.split("_")[1] not in repr(login.collect_events())
    assert invitation_of("lcri_ab") is None


def test_who_may_sign_in_no_more_is_opened_anew_without_a_password() -> None:
    login = given(Login, OPENED, SET, LoginClosed())
    login.when(lambda one: one.set_password("other", by=ANA)).then_refused(LoginIsClosed)
    given(Login, OPENED, SET, LoginClosed()).when(lambda one: one.invite(by=ANA)).then_refused(
        LoginIsClosed
    )
    again = Login.begin("consultant:ana", "manager", (), "", by=ANA)
    again.set_password("one", by=ANA)
    era = again.era
    again.close(by=ANA)
    again.say("manager", (), "", by=ANA)
    assert (again.open_, again.hash) == (True, "")
    assert again.era > era, "sessions of before are over"


def test_what_is_said_of_a_login_already_is_not_said_again() -> None:
    given(Login, OPENED).when(lambda one: one.say("consultant", (), "", by=ANA)).then()
    given(Login, OPENED).when(lambda one: one.say("partner", (), "", by=ANA)).then_refused(
        NoSuchRole
    )


@pytest.mark.parametrize(
    "password", ["short", "a" * 12, "abcd" * 3, "ana" * 6 + "xy", "x7" * 600, ""]
)
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooWeak):
        must_be_strong(password, "consultant:ana")


def test_a_strong_one_is_not() -> None:
    must_be_strong("correct horse battery", "consultant:ana")


def test_until_when_an_invitation_opens_is_not_when_it_happened() -> None:
    assert LoginInvited(digest="ab", until_at=clock.now()).occurred_at is None
