"""How people and companies can be reached: contact points, domains, and their one written form.

Two records must not hold the same point, so what is compared is normalised here and nowhere else.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import SplitResult, urlsplit

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


class NotADomain(Invalid):
    """This is not a domain; write it like example.org."""

    field = "domain"


def normalised(point: Point | Literal["domain"], value: str, *, region: str = "") -> str:
    """E-mail: lower case, domain in ASCII, ``+tags`` kept. Phone: E.164, of this country (ISO 3166,
    two letters) where it does not say of which. URL: https, host in lower
    case and ASCII, no ``www.``, fragment or last slash; LinkedIn's in lower case without its query.
    Domain of a company: the same host, also from a whole address.

    Raises NotAnEmailAddress, NotAPhoneNumber, NotAnAddressOnTheWeb, NotADomain; none of them
    repeats the value.
    """
    match point:
        case "email":
            return _email(value)
        case "phone":
            return _phone(value, region)
        case "url":
            return _url(value)
        case "domain":
            return _domain(value)


def _email(value: str) -> str:
    # longer to load than to ask, and most commands have no address
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(value.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise NotAnEmailAddress() from None
    return f"{found.local_part.lower()}@{found.ascii_domain or found.domain}"


def _phone(value: str, region: str) -> str:
    import phonenumbers  # 22 MB of tables: only who has phones pays for them

    try:
        number = phonenumbers.parse(value, region.upper() or None)
    except phonenumbers.NumberParseException:
        raise NotAPhoneNumber() from None
    if not phonenumbers.is_possible_number(number):
        raise NotAPhoneNumber()
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{written};ext={number.extension}" if number.extension else str(written)


def _url(value: str) -> str:
    parts, host = _parts(value, NotAnAddressOnTheWeb)
    path = parts.path.rstrip("/")
    if host == "linkedin.com" or host.endswith(".linkedin.com"):
        return f"https://{host}{path.lower()}"  # what follows is about where it was clicked
    return f"https://{host}{path}" + (f"?{parts.query}" if parts.query else "")


def _domain(value: str) -> str:
    _, host = _parts(value, NotADomain)
    return host


HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def _parts(value: str, refusal: type[Invalid]) -> tuple[SplitResult, str]:
    """Of an address, whose scheme may be missing; the host is as a name is written in the DNS."""
    text = value.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = (parts.hostname or "").removesuffix(".").removeprefix("www.")
        host = host.encode("idna").decode()
    except ValueError:  # UnicodeError is one
        raise refusal() from None
    if (
        not HOST.fullmatch(host)
        or parts.scheme not in ("http", "https")
        or parts.username is not None
        or any(sign.isspace() or not sign.isprintable() for sign in text)  # urlsplit drops some
        or len(text.encode()) > 2_000  # an index takes no longer ones
    ):
        raise refusal()
    return parts, host
