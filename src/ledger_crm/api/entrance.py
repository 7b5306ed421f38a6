"""/sign-in: the page on which people sign in and out, see where else they are signed in, and change
their password. Plain forms: it works without scripts, and loads nothing but a style sheet.

Each form carries a token that no other site knows. Of whoever is signed in it is their session's;
before that it is the one in a cookie of its own, so that nobody is signed in as somebody else by a
form that lies elsewhere.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from ledger_crm import sessions
from ledger_crm.domain.entry import through
from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Ledger
from ledger_crm.sessions import Open

from .caller import Caller, Callers
from .oidc import TOLD, Provider
from .problems import FormIsOld, NoSuchPage, SignInRefused, headers_of, status_of
from .session import SignIn, change_own_password, leave, sign_in_with_password
from .snapshots import Pool, answered

PAGE = "/sign-in"
FIELDS = 10  # of a form, at most
HANDLE = re.compile(r"[a-z0-9_.-]+")
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@get(PAGE, include_in_schema=False, media_type="text/html")
async def entrance(
    request: Request[Any, Any, Any],
    pool: NamedDependency[Pool],
    callers: NamedDependency[Callers],
    provider: NamedDependency[Provider],
) -> Response[str]:
    """Who is signed in here; else, where one signs in, and why one was not by the provider"""
    why = request.query_params.get("why", "")
    return await _page(request, pool, callers, provider, why=TOLD.get(why, ""))


@post(PAGE, include_in_schema=False, media_type="text/html", status_code=303)
async def enter(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    pool: NamedDependency[Pool],
    callers: NamedDependency[Callers],
    provider: NamedDependency[Provider],
) -> Response[str]:
    """One of its forms"""
    form = await _form(request)
    caller = await callers.signed_in(request)
    if caller:
        through.set(caller.through)
        request.scope["state"]["actor"] = caller.holder.actor
    try:
        _must_be_ours(request, callers, caller, form)
        cookie = await _done(request, ledger, pool, callers, caller, form)
    except Refusal as refusal:
        return await _page(request, pool, callers, provider, refusal)
    headers = {"Location": PAGE} | ({"Set-Cookie": cookie} if cookie else {})
    return Response("", status_code=303, headers=headers, media_type="text/html")


async def _done(
    request: Request[Any, Any, Any],
    ledger: Ledger,
    pool: Pool,
    callers: Callers,
    caller: Caller | None,
    form: Mapping[str, str],
) -> str:
    """The header that sets the cookie; "": it stays. Raises Refusal."""
    match form.get("do"), caller:
        case "sign_in", _:
            asked = _sign_in(request, callers, form)
            _, cookie = await sign_in_with_password(
                request, ledger, pool, callers, asked.consultant, asked.password
            )
        case "sign_out", Caller():
            cookie = await leave(request, pool, callers, caller)
        case "change_password", Caller():
            _, cookie = await change_own_password(
                request, ledger, pool, callers, caller, form.get("old", ""), form.get("new", "")
            )
        case "end", Caller():
            with suppress(ValueError):
                id = UUID(form.get("session", ""))
                if await answered(sessions.end(pool.door, id, of=caller.holder.actor)):
                    callers.visited(request, caller, "signed_out", f"session:{id}")
                callers.forget()
            cookie = ""
        case _, None:
            raise SignInRefused()
        case _:
            raise NoSuchPage()
    return cookie


def _sign_in(request: Request[Any, Any, Any], callers: Callers, form: Mapping[str, str]) -> SignIn:
    """As POST /session takes it: whatever else is typed is nobody. Raises SignInRefused."""
    consultant = form.get("consultant", "").strip()
    if HANDLE.fullmatch(consultant):  # people leave out what is the same of all
        consultant = f"consultant:{consultant}"
    told = {"consultant": consultant, "password": form.get("password", "")}
    try:
        return msgspec.convert(told, SignIn)
    except msgspec.ValidationError:
        callers.visited(request, None, "sign_in_failed")
        raise SignInRefused() from None


async def _form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Empty, if it is none."""
    body = await request.body()
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=FIELDS))
    except ValueError:  # of UTF-8, and of too many
        return {}


def _must_be_ours(
    request: Request[Any, Any, Any],
    callers: Callers,
    caller: Caller | None,
    form: Mapping[str, str],
) -> None:
    """Raises FormIsOld."""
    expected = caller.csrf_token if caller else request.cookies.get(_cookie(callers), "")
    if not expected or not hmac.compare_digest(expected.encode(), form.get("token", "").encode()):
        callers.visited(request, caller, "refused", "enter")
        raise FormIsOld()


def _cookie(callers: Callers) -> str:
    return "__Host-ledger_form" if callers.terms.secure else "ledger_form"


async def _page(
    request: Request[Any, Any, Any],
    pool: Pool,
    callers: Callers,
    provider: Provider,
    refusal: Refusal | None = None,
    *,
    why: str = "",
) -> Response[str]:
    """``why``: nobody was signed in; of no interest to who is."""
    caller, headers = await callers.signed_in(request), {}
    if caller and caller.session:
        era, idle_s = caller.session.era, callers.terms.session_idle_s
        opened = await answered(sessions.of(pool.door, caller.holder.actor, era, idle_s=idle_s))
        told = {
            "actor": caller.holder.actor,
            "role": caller.holder.role.replace("_", " "),
            "token": caller.csrf_token,
        }
        listed = _listed(opened, caller)
        content = _filled("signed-in.html", told, sessions=listed)
    else:
        token = request.cookies.get(_cookie(callers), "")
        if not TOKEN.fullmatch(token):
            token = secrets.token_urlsafe(32)
        secure = "; Secure" if callers.terms.secure else ""
        headers["Set-Cookie"] = (
            f"{_cookie(callers)}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"
        )
        elsewhere = '<p><a href="/session/oidc">Sign in with the identity provider</a></p>'
        content = _filled(
            "sign-in.html",
            {"token": token},
            elsewhere=elsewhere if provider.terms.oidc_issuer else "",
        )
    sentence = refusal.sentence if refusal else "" if caller else why
    said = f'<p role="alert">{escape(sentence)}</p>' if sentence else ""
    status = status_of(type(refusal)) if refusal else 200
    return Response(
        _filled("entrance.html", {}, said=said, content=content),
        status_code=status,
        headers=headers | (headers_of(refusal) if refusal else {}),
        media_type="text/html",
    )


def _listed(opened: Sequence[Open], caller: Caller) -> str:
    here = caller.session.id if caller.session else None
    return "\n".join(
        _filled(
            "session.html",
            {
                "began": f"{each.began_at:%Y-%m-%d %H:%M}",
                "seen": f"{each.seen_at:%Y-%m-%d %H:%M}",
                "until": f"{each.until_at:%Y-%m-%d %H:%M}",
                "id": str(each.id),
                "token": caller.csrf_token,
                "which": "this one" if each.id == here else "",
            },
        )
        for each in opened
    )


def _filled(name: str, told: Mapping[str, str], **html: str) -> str:
    """``html``: what is in it as it is; all else is text."""
    text = files(__package__).joinpath("static", name).read_text()
    return Template(text).substitute({key: escape(said) for key, said in told.items()} | html)


HANDLERS: list[Any] = [entrance, enter]
