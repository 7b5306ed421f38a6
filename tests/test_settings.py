"""Settings: what is not as it should be is named, with what to write; no secret is shown."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from ledger_crm.settings import Settings, SettingsError, describe, load, masked, sealing_key

KEY = bytes(range(32))


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load({f"LEDGER_{name}": text for name, text in environ.items()})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_with_nothing_set_everything_is_embedded_and_local() -> None:
    settings = load({"HOME": "/root", "PATH": "/bin"})

    assert settings == Settings()
    assert settings.home == Path.cwd() / ".ledger"
    assert settings.database_url is settings.owner_url is settings.nats_url is None
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_what_is_set_is_in_force() -> None:
    settings = load(
        {
            "LEDGER_HOME": "somewhere/else",
            "LEDGER_PORT": "0",
            "LEDGER_DATABASE_URL": "postgresql://app@db/ledger",
            "LEDGER_DATABASE_OWNER_URL": "postgresql://owner@db/ledger",
            "LEDGER_BODY_LIMIT_BYTES": "2048",
            "LEDGER_SEALING_KEY": base64.b64encode(KEY).decode(),
        }
    )

    assert settings.home == Path.cwd() / "somewhere" / "else"
    assert settings.port == 0
    assert settings.owner_url == "postgresql://owner@db/ledger"
    assert settings.body_limit_bytes == 2048
    assert sealing_key(settings) == KEY


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert load({"LEDGER_NATS_URL": "", "LEDGER_PORT": ""}) == Settings()


def test_an_unknown_variable_is_named_with_the_nearest_known_one() -> None:
    assert refusal(DATABSE_URL="x") == (
        "LEDGER_DATABSE_URL: there is no such setting; did you mean LEDGER_DATABASE_URL?"
    )
    assert "known are LEDGER_HOME, LEDGER_HOST" in refusal(QQQQQQQQ="x")
    assert "no such setting" in refusal(GIVEN="x")  # a field, and no setting


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HOME", "~nobody-of-this-name/x"),
        ("HOST", "my host"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("LOG_LEVEL", "loud"),
        ("BODY_LIMIT_BYTES", "1MB"),
    ],
)
def test_a_malformed_value_is_shown_with_what_to_write(name: str, text: str) -> None:
    line = refusal(**{name: text})
    assert line.startswith(f"LEDGER_{name} cannot be '{text}': write ")


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_OWNER_URL", "NATS_URL", "SEALING_KEY"])
def test_a_malformed_secret_is_not_shown(name: str) -> None:
    line = refusal(**{name: "mysql://me:hunter2@db"})
    assert line.startswith(f"LEDGER_{name} is malformed: write ")
    assert "hunter2" not in line


def test_a_key_of_another_length_is_refused() -> None:
    assert "32 random bytes" in refusal(SEALING_KEY=base64.b64encode(KEY[:16]).decode())


def test_an_owner_without_a_database_is_refused() -> None:
    assert "set both" in refusal(DATABASE_OWNER_URL="postgresql://owner@db/ledger")


def test_the_description_masks_secrets_and_says_where_a_value_comes_from() -> None:
    key = base64.b64encode(KEY).decode()
    lines = describe(
        load(
            {
                "LEDGER_DATABASE_URL": "postgresql://app:hunter2@db/ledger",
                "LEDGER_SEALING_KEY": key,
                "LEDGER_PORT": "8000",
            }
        )
    )
    by_name = {line.variable: line for line in lines}

    assert by_name["LEDGER_DATABASE_URL"].value == "postgresql://app:***@db/ledger"
    assert by_name["LEDGER_SEALING_KEY"].value == "***"
    assert by_name["LEDGER_PORT"].source == "environment"
    assert by_name["LEDGER_HOST"].source == "default"
    assert by_name["LEDGER_NATS_URL"].value == "(embedded)"
    assert all(line.meaning for line in lines)
    assert len(lines) == len(Settings.__struct_fields__) - 1  # all but ``given``
    assert "hunter2" not in str(lines)
    assert key not in str(lines)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app@db/x", "postgresql://app@db/x"),
        ("postgresql://app:a@b:c/d@db/x?a=b@c", "postgresql://app:***@db/x?a=b@c"),
        (
            "postgresql://db/x?password=p&sslpassword=q",
            "postgresql://db/x?password=***&sslpassword=***",
        ),
        ("postgresql:///ledger?host=/run", "postgresql:///ledger?host=/run"),
        ("nats://token@h:4222", "nats://***@h:4222"),
        ("nats://u:p,q@a:1,nats://u:r@b:2", "nats://u:***@a:1,nats://u:***@b:2"),
        ("nats://h:4222", "nats://h:4222"),
    ],
)
def test_no_password_and_no_token_is_left_in_a_url(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = load({"LEDGER_HOME": str(tmp_path / "home")})

    key = sealing_key(settings)

    assert len(key) == 32
    assert sealing_key(settings) == key
    assert stat.S_IMODE((settings.home / "sealing.key").stat().st_mode) == 0o600
    assert [path.name for path in settings.home.iterdir()] == ["sealing.key"]


def test_a_damaged_or_open_key_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    settings = load({"LEDGER_HOME": str(tmp_path)})
    file = tmp_path / "sealing.key"
    for damaged in (b"", b"!!!", base64.b64encode(KEY[:31])):
        file.write_bytes(damaged)
        file.chmod(0o600)
        with pytest.raises(SettingsError, match=r"sealing\.key does not hold 32 bytes"):
            sealing_key(settings)
        assert file.read_bytes() == damaged

    file.write_bytes(base64.b64encode(KEY))
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        sealing_key(settings)


def test_a_home_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(SettingsError, match="LEDGER_SEALING_KEY"):
        sealing_key(load({"LEDGER_HOME": str(tmp_path / "home")}))
