"""One written form per contact point: what is compared is what tells two people apart."""

from __future__ import annotations

from typing import Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_crm.domain.contact import (
    NotADomain,
    NotAnAddressOnTheWeb,
    NotAnEmailAddress,
    NotAPhoneNumber,
    normalised,
)
from ledger_crm.domain.refusals import Invalid

Kind = Literal["email", "phone", "url", "domain"]
points: st.SearchStrategy[Kind] = st.sampled_from(get_args(Kind))


@pytest.mark.parametrize(
    ("point", "said", "kept"),
    [
        ("email", "ada@example.org", "ada@example.org"),
        ("email", "  Ada.Byron+crm@EXAMPLE.org\n", "ada.byron+crm@example.org"),
        ("email", "ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("email", "ADA@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("phone", "+44 20 7946 0958", "+442079460958"),
        ("phone", "+44 (0)20 7946-0958", "+442079460958"),
        ("phone", " +1-202-555-0143 ", "+12025550143"),
        ("url", "https://www.Example.org/in/Ada/", "https://example.org/in/Ada"),
        ("url", "http://example.org/in?id=1#top", "https://example.org/in?id=1"),
        ("url", "https://www.linkedin.com/in/Ada?trk=x", "https://linkedin.com/in/ada"),
        ("url", "example.org/in/Ada", "https://example.org/in/Ada"),
        ("url", " example.org ", "https://example.org"),
        ("domain", "Example.org", "example.org"),
        ("domain", "example.org.", "example.org"),
        ("domain", "https://www.example.org/about", "example.org"),
        ("domain", "www.bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_contact_point_has_one_form(point: Kind, said: str, kept: str) -> None:
    assert normalised(point, said) == kept


@pytest.mark.parametrize(
    ("point", "said", "refusal"),
    [
        ("email", "", NotAnEmailAddress),
        ("email", "ada", NotAnEmailAddress),
        ("email", "ada@", NotAnEmailAddress),
        ("email", "ada@example.org, ben@example.org", NotAnEmailAddress),
        ("phone", "", NotAPhoneNumber),
        ("phone", "020 7946 0958", NotAPhoneNumber),
        ("phone", "+44 1", NotAPhoneNumber),
        ("phone", "call me", NotAPhoneNumber),
        ("url", "", NotAnAddressOnTheWeb),
        ("url", "example", NotAnAddressOnTheWeb),
        ("url", "ftp://example.org", NotAnAddressOnTheWeb),
        ("url", "javascript://example.org/%0aalert(1)", NotAnAddressOnTheWeb),
        ("url", "https://example.org/a b", NotAnAddressOnTheWeb),
        ("url", "https://[::1", NotAnAddressOnTheWeb),
        ("url", "https://exam\tple.org", NotAnAddressOnTheWeb),
        ("domain", "", NotADomain),
        ("domain", "engines", NotADomain),
        ("domain", "ada@engines.example", NotADomain),
        ("domain", "a b.example", NotADomain),
        ("domain", "a?.#b", NotADomain),
        ("domain", "acme\t.example", NotADomain),
        ("domain", "-acme.example", NotADomain),
    ],
)
def test_what_is_none_is_refused(point: Kind, said: str, refusal: Any) -> None:
    with pytest.raises(refusal):
        normalised(point, said)


tricky = st.text("aB1.@/:?#% \n\t[]éßİ-_+", max_size=25)


@given(
    points,
    st.text(max_size=60)
    | tricky
    | tricky.map(lambda text: f"https://www.{text}")
    | tricky.map(lambda text: f"{text}@example.org")
    | tricky.map(lambda text: f"example.org{text}")
    | st.from_regex(r"\+[0-9() -]{6,18}", fullmatch=True),
)
def test_any_text_has_one_form_or_is_refused_without_being_repeated(point: Kind, said: str) -> None:
    try:
        kept = normalised(point, said)
    except Invalid as refused:
        refusal = refused
    else:
        # of made-up numbers like +31 0000 phonenumbers takes one trunk zero at a time
        assert point == "phone" or normalised(point, kept) == kept, "the one form is its own form"
        assert kept == kept.strip()
        return
    assert str(refusal) == str(type(refusal)()), "the same words, whatever was said"


@given(
    st.from_regex(r"[a-z0-9]{1,10}(\+[a-z]{1,5})?@[a-z]{1,10}\.example", fullmatch=True),
    st.booleans(),
)
def test_the_same_address_written_otherwise_is_the_same(address: str, upper: bool) -> None:
    other = f" {address.upper()} " if upper else f"{address}\n"
    assert normalised("email", other) == normalised("email", address) == address
