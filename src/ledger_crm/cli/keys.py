"""``key``: who may talk to the API."""

from __future__ import annotations

import sys
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import cyclopts
import msgspec

from ledger_crm import visits
from ledger_crm.commands import catalogue
from ledger_crm.domain.access import KeyCreated, KeyRevoked
from ledger_crm.domain.clock import today
from ledger_crm.domain.role import KeyRole, Permission
from ledger_crm.ledger import Ledger

from .house import Fault, console, load, opened, print_columns, run

Flag = Annotated[bool, cyclopts.Parameter(negative="")]


key = cyclopts.App(name="key", help="Make, list and revoke API keys.")


@key.command
def create(
    actor: str,
    /,
    *,
    role: KeyRole | None = None,
    scope: tuple[Permission, ...] = (),
    label: str = "",
    until: date | None = None,
    json: Flag = False,
) -> None:
    """Make a key. Its text is shown once and kept nowhere.

    Parameters
    ----------
    actor:
        Whom its holder writes as: consultant:ana, integration:website.
    role:
        What it may; consultant for consultant:..., else integration. none: only what --scope says.
    scope:
        A permission besides; several by --scope again. events.open: /events tells what is sealed.
    label:
        What it is for.
    until:
        The last day on which it opens anything; without it: until it is revoked.
    json:
        Print it as JSON.
    """
    if until and until < today():
        raise Fault(f"--until {until} is over: name a day that is not")
    with opened(load()) as (ledger, _):
        receipt, text = run(
            lambda: catalogue.create_key(
                ledger,
                actor=actor,
                role=role,
                scopes=scope,
                label=label,
                until_on=until,
                of_anybody=False,
            )
        )
    if json:
        _print_json({"id": receipt.id, "actor": actor, "key": text})
    else:
        console().print(f"{text}\nThis is the only time it is shown. Its id: {receipt.id}")


@key.command(name="list")
def list_(*, json: Flag = False) -> None:
    """List the keys: id, whom they write as, what they may, since when, until when, when each was
    used last.

    Parameters
    ----------
    json:
        Print them as JSON.
    """
    with opened(load()) as (ledger, url):
        found, used = run(lambda: _all(ledger)), visits.keys_used(url)
    for each in found:
        each["last_used_on"] = used.get(f"key:{each['id']}")
    if json:
        _print_json(found)
        return
    rows = [
        (
            str(key["id"]),
            key["actor"],
            ", ".join([key["role"] or "all, from before roles", *key["scopes"]]),
            f"{key['created_at']:%Y-%m-%d %H:%M}",
            str(key["until_on"] or ""),
            f"{key['revoked_at']:%Y-%m-%d %H:%M}" if key["revoked_at"] else "",
            str(key["last_used_on"] or ""),
            key["label"],
        )
        for key in found
    ]
    titles = ("id", "writes as", "may", "created", "until", "revoked", "last used", "label")
    print_columns([titles, *rows])


@key.command
def revoke(id: UUID, /, *, reason: str = "") -> None:
    """Revoke a key; what it opened is refused within a second.

    Parameters
    ----------
    id:
        As key list shows it.
    reason:
        Why; kept with the fact.
    """
    with opened(load()) as (ledger, _):
        run(lambda: catalogue.revoke_key(ledger, id, reason=reason))
    console().print(f"{id} is revoked")


async def _all(ledger: Ledger) -> list[dict[str, Any]]:
    """From the ledger itself: it must be right also while no projector runs."""
    keys: dict[UUID, dict[str, Any]] = {}
    for entry in await ledger.of_kinds(KeyCreated, KeyRevoked):
        match entry.event:
            case KeyCreated(actor=actor, role=role, scopes=scopes, label=label):
                keys[entry.originator_id] = {
                    "id": entry.originator_id,
                    "actor": actor,
                    "role": role,
                    "scopes": scopes,
                    "label": label,
                    "created_at": entry.timestamp,
                    "until_on": entry.event.until_on,
                    "revoked_at": None,
                }
            case KeyRevoked():
                keys[entry.originator_id]["revoked_at"] = entry.timestamp
    return list(keys.values())


def _print_json(found: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
