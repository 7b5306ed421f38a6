"""How a person can be reached: the three kinds of contact point and their one written form.

Two records must not hold the same point, so what is compared is normalised here and nowhere else.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from .refusals import Invalid

Point = Literal["email", "phone", "url"]


class NotAnEmailAddress(Invalid):
    """This is not an e-mail address; write it like ana@example.org."""

    field = "email"


class NotAPhoneNumber(Invalid):
    """This is not a phone number; write it with its country code, like +44 20 7946 0958."""

    field = "phone"


class NotAnAddressOnTheWeb(Invalid):
    """This is not an address on the web; write it like https://example.org/in/ana."""

    field = "profile_url"


def normalised(point: Point, value: str) -> str:
    """E-mail: lower case, domain in ASCII, ``+tags`` kept. Phone: E.164. URL: https, host in lower
    case and ASCII, no ``www.``, fragment or last slash; LinkedIn's in lower case without its query.

    Raises NotAnEmailAddress, NotAPhoneNumber, NotAnAddressOnTheWeb; none of them repeats the value.
    """
    match point:
        case "email":
            return _email(value)
        case "phone":
            return _phone(value)
        case "url":
            return _url(value)


def _email(value: str) -> str:
    try:
        found = validate_email(value.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise NotAnEmailAddress() from None
    return f"{found.local_part.lower()}@{found.ascii_domain or found.domain}"


def _phone(value: str) -> str:
    import phonenumbers  # 22 MB of tables: only who has phones pays for them

    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        raise NotAPhoneNumber() from None
    if not phonenumbers.is_possible_number(number):
        raise NotAPhoneNumber()
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{written};ext={number.extension}" if number.extension else str(written)


def _url(value: str) -> str:
    try:
        parts = urlsplit(value.strip() if "://" in value else f"https://{value.strip()}")
        host = (parts.hostname or "").removeprefix("www.").encode("idna").decode()
    except ValueError:  # UnicodeError is one
        raise NotAnAddressOnTheWeb() from None
    if (
        "." not in host
        or parts.scheme not in ("http", "https")
        or " " in value.strip()
        or len(value) > 2_000
    ):
        raise NotAnAddressOnTheWeb()
    path = parts.path.rstrip("/")
    if host == "linkedin.com" or host.endswith(".linkedin.com"):
        return f"https://{host}{path.lower()}"  # what follows is about where it was clicked
    return f"https://{host}{path}" + (f"?{parts.query}" if parts.query else "")
