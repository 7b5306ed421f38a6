"""What is personal is ciphertext in the ledger, cannot be moved, and goes with its key."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    CANDIDACY,
    answered,
    applied,
    as_document,
    closed,
    deal_lost,
    deal_opened,
    employed,
    introduced,
    note,
    opened,
    point,
    replied,
    sourced,
)
from ledger_crm.domain import EVENTS
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import ERASED, Event, sealed_fields
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Intent, Ledger
from ledger_crm.sealing import Keyring, WrongKey, seal, unseal
from ledger_crm.store import Append, Store, Undecodable
from scenario import ANA, COMPANY, KEYRING, PERSON, entries

PERSONAL = [
    sourced(name="Secret Name", origin="Secret Origin", headline="Secret Headline",
            address="Secret Address", born_on="Secret Day"),
    point("secret@secret.example"),
    employed(title="Secret Title"),
    replied(text="Secret Reply"),
    note("Secret \"Note\" é \U0001f510"),
    opened(text="Secret Opening"),
    closed(decider="Secret Decider", text="Secret Closing"),
    introduced(text="Secret Introduction"),
    applied(text="Secret Letter"),
    answered(text="Secret Answer"),
]  # fmt: skip


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    store = Store(database, KEYRING)
    yield store
    store.close()


def write(store: Store, *facts: Event) -> list[StoredEvent]:
    rows, fresh = store.sealed(entries(Person, *facts), {})
    store.append(rows, Append(data_keys=fresh))
    return rows


def test_nothing_personal_is_in_any_byte_of_the_database(store: Store, owner_database: str) -> None:
    """Not as text, nor in the two encodings that a document could hide it in."""
    write(store, *PERSONAL)
    company, fresh = store.sealed(
        entries(Company, deal_opened(), deal_lost(text="Secret Loss"), id=COMPANY), {}
    )
    store.append(
        company, Append(data_keys=fresh, claims=store.claims_of(entries(Person, *PERSONAL)))
    )
    with psycopg.connect(owner_database) as conn:
        tables = conn.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'ledger'"
        ).fetchall()
        written = b"".join(
            os.fsencode(str(text)) + bytes.fromhex(str(text)[2:] if str(text)[:2] == "\\x" else "")
            for (table,) in tables
            for row in conn.execute(f"SELECT * FROM {table}")
            for text in (f"\\x{v.hex()}" if isinstance(v, bytes) else v for v in row)
        )
    assert b"person.sourced" in written, "the scan reads what is there"
    assert b"email" in written
    assert b"secret" not in written.lower()
    for offset in range(3):
        hidden = base64.b64encode(b"\0" * offset + b"Secret ")[4 if offset else 0 : -4]
        assert hidden not in written


def test_every_sealed_field_is_text() -> None:
    """What is sealed is encoded as text and comes back as ERASED: no other type could."""
    for event in EVENTS.values():
        fields = {f.name: f.type for f in msgspec.inspect.type_info(event).fields}  # type: ignore[attr-defined]
        for name in sealed_fields(event):
            assert isinstance(fields[name].type, msgspec.inspect.StrType), (event, name)
            shortest = fields[name].type.min_length or 0
            assert shortest <= len(ERASED), "an erased one still has to decode"
            assert fields[name].type.pattern is None, "an erased one still has to decode"


def test_what_is_sealed_is_marked_where_it_should_be() -> None:
    """A list to be read by a person: free text and what names somebody is on it."""
    sealed = {kind: sorted(sealed_fields(event)) for kind, event in EVENTS.items()}
    assert {kind: names for kind, names in sealed.items() if names} == {
        "person.enrolled": ["override"],
        "person.absorbed": ["text"],
        "company.absorbed": ["text"],
        "company.unmerged": ["text"],
        "person.unmerged": ["text"],
        "person.campaign_stopped": ["text"],
        "person.sourced": ["address", "born_on", "headline", "name", "origin"],
        "person.contact_point_added": ["value"],
        "person.employed": ["title"],
        "person.applied": ["text"],
        "person.screening_answered": ["text"],
        "equal_opportunity.answered": ["answers"],
        "person.profile_changed": [
            "address", "born_on", "headline", "location", "name", "skills",
        ],
        "person.contact_point_removed": ["value"],
        "person.contact_point_preferred": ["value"],
        "person.employment_ended": ["text"],
        "person.message_sent": ["message_id", "override", "text", "thread_id"],
        "person.message_replied": ["message_id", "text", "thread_id"],
        "person.message_opened": ["message_id"],
        "person.link_clicked": ["message_id", "url"],
        "person.message_bounced": ["message_id", "text"],
        "person.meeting_held": ["place", "text"],
        "person.no_answer_needed": ["text"],
        "person.quiet_snoozed": ["text"],
        "company.quiet_snoozed": ["text"],
        "company.call_held": ["text"],
        "company.note_written": ["text"],
        "company.follow_up_promised": ["text"],
        "company.follow_up_done": ["text"],
        "company.follow_up_snoozed": ["text"],
        "person.follow_up_promised": ["text"],
        "person.follow_up_done": ["text"],
        "person.follow_up_snoozed": ["text"],
        "person.pooled": ["text"],
        "person.unpooled": ["text"],
        "person.document_added": ["digest", "name"],
        "company.document_added": ["digest", "name"],
        "company.document_removed": ["text"],
        "person.document_removed": ["text"],
        "person.call_held": ["override", "text"],
        "person.note_written": ["text"],
        "person.consent_given": ["text"],
        "person.consent_withdrawn": ["text"],
        "person.do_not_contact_set": ["text"],
        "person.do_not_contact_lifted": ["text"],
        "person.erasure_requested": ["text"],
        "person.erasure_deferred": ["text"],
        "person.legal_hold_placed": ["text"],
        "person.legal_hold_released": ["text"],
        "person.candidacy_opened": ["text"],
        "person.candidacy_moved": ["text"],
        "person.candidacy_closed": ["decider", "text"],
        "person.candidacy_reopened": ["text"],
        "person.right_to_represent_given": ["text"],
        "person.introduced": ["override", "text"],
        "person.placed": ["override"],
        "person.placement_started": ["text"],
        "person.fell_through": ["text"],
        "person.commission_split": ["text"],
        **{
            f"person.{kind}": ["text"]
            for kind in (
                "interview_arranged", "interview_moved", "interview_called_off",
                "interview_feedback", "offer_made", "offer_changed", "offer_declined",
                "offer_withdrawn",
            )
        },
        "company.deal_moved": ["text"],
        "company.deal_won": ["text"],
        "company.deal_lost": ["text"],
        "company.paper_sent": ["document", "text"],
        "company.fee_agreed": ["text"],

        "company.fee_amended": ["text"],
        "company.fee_ended": ["text"],
        "company.invoice_raised": ["override", "text"],
        "company.invoice_paid": ["text"],
        "company.invoice_credited": ["text"],
        "company.invoice_refunded": ["text"],

        "company.job_order_held": ["text"],
        "company.job_order_lost": ["text"],

        "company.off_limits_agreed": ["text"],
        "company.off_limits_lifted": ["text"],

        "person.presentation_written": ["headline", "text"],
        "person.verdict_given": ["text"],
        "person.client_commented": ["text"],
        "company.shortlist_drawn": ["text"],
        "company.shortlist_shared": ["digest"],
        "company.shortlist_withdrawn": ["text"],
        "company.shortlist_commented": ["text"],
        "person.custom_field_set": ["text"],
        "company.custom_field_set": ["text"],
        "person.referral_received": ["text"],
        "person.referral_given": ["text"],
        "person.referral_fee": ["text"],
        "company.referral_received": ["text"],
        "company.referral_given": ["text"],
        "company.referral_fee": ["text"],
        "person.researched": ["text"],
        "company.target_named": ["text"],
        "company.target_dropped": ["text"],
        "consultant.added": ["name"],
        "consultant.renamed": ["name"],
        "consultant.left": ["text"],
        "consultant.returned": ["text"],
        "key.created": ["digest", "label"],
        "key.revoked": ["reason"],
        "login.opened": ["email"],
        "login.invited": ["digest"],
        "login.password_set": ["hash"],
        "webhook.added": ["label", "secret", "url"],
        "webhook.secret_renewed": ["secret"],
    }  # fmt: skip


PLACE: dict[str, Any] = {
    "topic": "person.note_written",
    "stream": PERSON,
    "version": 2,
    "field": "text",
}


@given(st.text(max_size=200))
def test_what_is_sealed_is_opened_where_it_belongs(text: str) -> None:
    _, key = KEYRING.fresh()
    assert unseal(key, seal(key, text, **PLACE), **PLACE) == text


@pytest.mark.parametrize(
    "elsewhere",
    [{"topic": "person.call_held"}, {"stream": uuid4()}, {"version": 3}, {"field": "texts"}],
    ids=lambda change: next(iter(change)),
)
def test_what_is_sealed_cannot_be_moved(elsewhere: dict[str, Any]) -> None:
    _, key = KEYRING.fresh()
    sealed = seal(key, "secret", **PLACE)
    with pytest.raises(ValueError, match="does not belong here or is damaged") as refused:
        unseal(key, sealed, **PLACE | elsewhere)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("damage", ["", "AAAA", "!", "A" * 40, "é"])
def test_what_is_damaged_is_refused(damage: str) -> None:
    _, key = KEYRING.fresh()
    with pytest.raises(ValueError):  # noqa: PT011  (what matters is that nothing is opened)
        unseal(key, damage, **PLACE)


def test_two_seals_of_one_text_differ() -> None:
    _, key = KEYRING.fresh()
    assert seal(key, "secret", **PLACE) != seal(key, "secret", **PLACE)


def test_a_forked_process_seals_under_nonces_of_its_own() -> None:
    """Two processes with the same ones would give away keys."""
    program = (
        "import os, sys; from ledger_crm.sealing import Keyring, seal; from uuid import UUID\n"
        "_, key = Keyring(bytes(32)).fresh(); place = dict(topic='', version=1, field='')\n"
        "draw = lambda: seal(key, '', stream=UUID(int=1), **place).encode() + b'\\n'\n"
        "draw(); os.fork()\n"
        "sys.stdout.buffer.write(b''.join(draw() for _ in range(600))); sys.stdout.flush()"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    nonces = run.stdout.split()
    assert len(nonces) == 1200
    assert len(set(nonces)) == 1200


def moved_to(row: StoredEvent, **changes: Any) -> StoredEvent:
    fields = {name: getattr(row, name) for name in ("originator_id", "originator_version", "topic")}
    return StoredEvent(**fields | {"state": row.state} | changes)


@pytest.mark.parametrize("to", ["stream", "version", "field", "topic"])
def test_a_moved_ciphertext_stops_the_reader(store: Store, to: str) -> None:
    """By somebody who may write to the ledger, and so could swap what two people said."""
    _, first = write(store, sourced(name="Ada", headline="Secret"), note("Secret"))
    match to:
        case "version":
            moved = moved_to(first, originator_version=3)
        case "stream":
            other, fresh = store.sealed(entries(Person, sourced(), id=COMPANY), {})
            store.append(other, Append(data_keys=fresh))
            moved = moved_to(first, originator_id=COMPANY)
        case "topic":
            document = msgspec.json.decode(first.state)
            document["event"] = as_document(replied(text=""))
            topic, state = "person.message_replied", msgspec.json.encode(document)
            moved = moved_to(first, originator_version=3, topic=topic, state=state)
        case _:
            three = entries(Person, sourced(), note(), sourced(headline="Secret"))
            rows, _ = store.sealed(three, store.load([PERSON])[1])
            document = msgspec.json.decode(rows[2].state)
            sealed = document["sealed"]
            sealed["name"], sealed["headline"] = sealed["headline"], sealed["name"]
            moved = moved_to(rows[2], state=msgspec.json.encode(document))
    store.append([moved], Append())
    with pytest.raises(Undecodable) as stopped:
        store.load([moved.originator_id])
    assert "Secret" not in str(stopped.value)


def erased(fact: Event) -> Event:
    said = {name for name in sealed_fields(type(fact)) if getattr(fact, name)}
    return msgspec.structs.replace(fact, **dict.fromkeys(said, ERASED))


def test_who_is_erased_reads_as_erased_and_still_folds(store: Store) -> None:
    write(store, *PERSONAL)
    store.destroy_key(PERSON)
    found, _ = store.load([PERSON])
    assert [entry.event for entry in found] == [erased(fact) for fact in PERSONAL]
    person: Any = None
    for entry in found:
        person = entry.mutate(person)
    assert person.version == len(PERSONAL)
    assert person.candidacies[CANDIDACY].closed
    assert [entry.event for entry in store.entries(after=0, limit=100)] == [e.event for e in found]


def test_what_is_written_after_an_erasure_is_not_kept(store: Store) -> None:
    write(store, sourced())
    store.destroy_key(PERSON)
    _, keys = store.load([PERSON])
    late = entries(Person, sourced(), note("Secret"))[1:]
    rows, fresh = store.sealed(late, keys)
    assert not fresh, "no second key: who is erased stays erased"
    store.append(rows, Append())
    found, _ = store.load([PERSON])
    assert found[1].event == note(ERASED)


def test_an_erasure_is_for_ever(store: Store) -> None:
    write(store, sourced())
    store.destroy_key(PERSON)
    store.destroy_key(PERSON)
    assert store.data_keys([PERSON]) == {PERSON: None}


@pytest.mark.anyio
async def test_whoever_had_the_key_in_hand_writes_nothing_that_can_be_read(
    ledger: Ledger,
) -> None:
    """An erasure between a decision and its writing."""
    person = Person.source(sourced(), by=ANA)

    async def adding(work: Any) -> Person:
        return work.add(person)  # type: ignore[no-any-return]

    await ledger.decide(adding, intent=Intent(by=ANA))

    async def erased_meanwhile(work: Any) -> Person:
        found: Person = await work.get(Person, person.id)
        found.record(note("Secret"), by=ANA)
        await ledger.destroy_key(person.id)
        return found

    await ledger.decide(erased_meanwhile, intent=Intent(by=ANA))
    assert [e.event for e in await ledger.stream(person.id)] == [sourced(name=ERASED), note(ERASED)]


def test_the_wrong_deployment_key_is_said_plainly(store: Store, database: str) -> None:
    write(store, sourced())
    wrong = Store(database, Keyring(b"w" * 32))
    try:
        for read in (lambda: wrong.load([PERSON]), lambda: wrong.entries(after=0, limit=1)):
            with pytest.raises(WrongKey, match="not the one this database was sealed with"):
                read()
    finally:
        wrong.close()


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_deployment_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"has {length} bytes, not 32"):
        Keyring(bytes(length))


def test_hashes_of_reservations_need_the_deployment_key() -> None:
    """Else whoever reads the table could try addresses on it."""
    one, two = Keyring(b"1" * 32), Keyring(b"2" * 32)
    assert one.hash_of("email", "ada@example.org") != two.hash_of("email", "ada@example.org")
    assert one.hash_of("email", "x") != one.hash_of("phone", "x")


# formats: what an older release wrote under the tests' deployment key

GOLDEN = Path(__file__).parent / "golden" / "sealed.json"


def test_a_row_that_was_sealed_long_ago_opens(store: Store) -> None:
    golden = msgspec.json.decode(GOLDEN.read_bytes())
    row = StoredEvent(
        UUID(golden["stream"]), golden["version"], golden["topic"],
        msgspec.json.encode(golden["state"]),
    )  # fmt: skip
    wrapped = base64.b64decode(golden["wrapped_key"])
    store.append([row], Append(data_keys={row.originator_id: wrapped}))  # type: ignore[dict-item]
    [entry] = store.entries(after=0, limit=1)
    assert entry.event == PERSONAL[0]


def test_a_reservation_made_long_ago_still_holds() -> None:
    golden = msgspec.json.decode(GOLDEN.read_bytes())
    assert KEYRING.hash_of("email", "ada@example.org").hex() == golden["hash_of_ada"]
