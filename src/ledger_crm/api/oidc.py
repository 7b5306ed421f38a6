"""/session/oidc: consultants sign in with the agency's identity provider, if one is set.

OpenID Connect, authorization code with PKCE: we send the browser to the provider with a challenge,
and take it back with a code that only whoever holds the answer can redeem. What the provider says
of them is believed if its signature is; who they are is found by their verified e-mail address.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx
import msgspec
from litestar import Request, Response, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from ledger_crm.commands import signing_in
from ledger_crm.ledger import Ledger

from .caller import Callers, Terms
from .problems import NoSuchPage, ProviderAway, SignInRefused
from .session import guessed, must_not_guess, signed_in
from .snapshots import Pool

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
KNOWN_S = 3600.0  # where the provider's endpoints are; its keys are asked for each time
WITHIN_S = 600  # from leaving to coming back
ANSWER_S = 10.0
LEEWAY_S = 60

Text = Annotated[str | None, QueryParameter(max_length=4_000)]


class Endpoints(msgspec.Struct, frozen=True):
    """What its discovery document says, as far as we need it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class Leaving(msgspec.Struct, frozen=True):
    """What the browser keeps, until it comes back."""

    state: str
    nonce: str
    verifier: str


class Provider:
    """The one that is set. Raises ProviderAway."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._known: tuple[Endpoints, float] | None = None

    @property
    def cookie(self) -> str:
        return "__Host-ledger_oidc" if self.terms.secure else "ledger_oidc"

    @property
    def comes_back_to(self) -> str:
        return f"{self.terms.url}/session/oidc/callback"

    async def endpoints(self) -> Endpoints:
        if self._known is None or time.monotonic() > self._known[1]:
            where = f"{self.terms.oidc_issuer.rstrip('/')}/.well-known/openid-configuration"
            found = await self._asked("GET", where, Endpoints)
            if found.issuer != self.terms.oidc_issuer:
                raise ProviderAway()
            self._known = found, time.monotonic() + KNOWN_S
        return self._known[0]

    async def leave(self) -> tuple[str, Leaving]:
        """Where to, and what to keep."""
        leaving = Leaving(*(secrets.token_urlsafe(32) for _ in range(3)))
        challenge = hashlib.sha256(leaving.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.terms.oidc_client_id,
            "redirect_uri": self.comes_back_to,
            "scope": "openid email",
            "state": leaving.state,
            "nonce": leaving.nonce,
            "code_challenge": urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        where = (await self.endpoints()).authorization_endpoint
        return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}", leaving

    async def email_of(self, code: str, leaving: Leaving) -> str | None:
        """That is verified; None: it cannot be believed."""
        import jwt

        at = await self.endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.comes_back_to,
            "code_verifier": leaving.verifier,
        }
        told = await self._asked("POST", at.token_endpoint, dict[str, Any], form)
        keys = await self._asked("GET", at.jwks_uri, dict[str, Any])
        try:
            token = str(told.get("id_token", ""))
            kid = jwt.get_unverified_header(token).get("kid")
            usable = [
                key
                for key in jwt.PyJWKSet.from_dict(keys).keys
                if key.public_key_use in (None, "sig") and kid in (None, key.key_id)
            ]
            said = jwt.decode(
                token,
                usable[0],
                algorithms=ALGORITHMS,
                audience=self.terms.oidc_client_id,
                issuer=at.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, IndexError):
            return None
        ours = said.get("azp", self.terms.oidc_client_id) == self.terms.oidc_client_id
        meant = hmac.compare_digest(str(said.get("nonce", "")).encode(), leaving.nonce.encode())
        if not (ours and meant and said.get("email_verified") is True):
            return None
        return str(said.get("email") or "") or None

    async def _asked(
        self, method: str, where: str, type_: Any, form: dict[str, str] | None = None
    ) -> Any:
        auth = (self.terms.oidc_client_id, self.terms.oidc_client_secret) if form else None
        try:
            async with httpx.AsyncClient(timeout=ANSWER_S) as client:
                answer = await client.request(method, where, data=form, auth=auth)
                if form and answer.status_code in (400, 401):  # the code is none, or not ours
                    raise SignInRefused()
                answer.raise_for_status()
                return msgspec.json.decode(answer.content, type=type_)
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError):
            raise ProviderAway() from None


@get("/session/oidc", include_in_schema=False, status_code=303)
async def leave_for_provider(provider: NamedDependency[Provider]) -> Response[None]:
    """Sign in with the identity provider: there the browser goes"""
    _must_be_set(provider)
    where, leaving = await provider.leave()
    kept = urlsafe_b64encode(msgspec.json.encode(leaving)).decode().rstrip("=")
    headers = {"Location": where, "Set-Cookie": _cookie(provider, kept, WITHIN_S)}
    return Response(None, status_code=303, headers=headers, media_type="text/plain")


@get("/session/oidc/callback", include_in_schema=False, status_code=303)
async def return_from_provider(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    pool: NamedDependency[Pool],
    callers: NamedDependency[Callers],
    provider: NamedDependency[Provider],
    code: Text = None,
    asked_state: Annotated[str | None, QueryParameter(name="state", max_length=4_000)] = None,
) -> Response[None]:
    """And from there it comes back"""
    _must_be_set(provider)
    leaving = _kept(request.cookies.get(provider.cookie, ""))
    if not (
        code
        and leaving
        and hmac.compare_digest(leaving.state.encode(), (asked_state or "").encode())
    ):  # not counted: any site may send a browser here
        callers.visited(request, None, "sign_in_failed")
        raise SignInRefused()
    about, email = await must_not_guess(request, pool, callers), None
    with suppress(SignInRefused):
        email = await provider.email_of(code, leaving)
    login = await signing_in.login_by_email(ledger, email) if email else None
    if login is None:
        await guessed(request, pool, callers, *about)
        raise SignInRefused()
    _, cookie = await signed_in(request, pool, callers, login, "oidc")
    answer: Response[None] = Response(
        None,
        status_code=303,
        headers={"Location": "/sign-in", "Set-Cookie": cookie},
        media_type="text/plain",
    )
    answer.set_cookie(  # beside the other one; and as it was set, or a browser does not take it
        Cookie(
            provider.cookie, path="/", value="", max_age=0, httponly=True, samesite="lax",
            secure=provider.terms.secure,
        )
    )  # fmt: skip
    return answer


def _must_be_set(provider: Provider) -> None:
    """Raises NoSuchPage."""
    if not provider.terms.oidc_issuer:
        raise NoSuchPage()


def _cookie(provider: Provider, value: str, lasts_s: int) -> str:
    secure = "; Secure" if provider.terms.secure else ""
    return f"{provider.cookie}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lasts_s}{secure}"


def _kept(text: str) -> Leaving | None:
    try:
        document = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(document, type=Leaving)
    except ValueError:  # of base64, and of msgspec
        return None


HANDLERS: list[Any] = [leave_for_provider, return_from_provider]
