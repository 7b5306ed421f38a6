"""/session/oidc: consultants sign in with the agency's identity provider, if one is set.

OpenID Connect, authorization code with PKCE: we send the browser to the provider with a challenge,
and take it back with a code that only whoever holds the answer can redeem. What the provider says
of them is believed if its signature is; who they are is found by their verified e-mail address.

Who comes back in vain is led to where one signs in, and told there why in a sentence. As a guess
counts only what the provider takes for no code of its own: a clock that is wrong keeps nobody out
who has a password. Why it was is a code of ours; what others wrote is in no log.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx
import msgspec
import structlog
from litestar import Request, Response, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from ledger_crm.commands import signing_in
from ledger_crm.domain.login import Login
from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Ledger

from .caller import Callers, Terms
from .problems import (
    AddressNotVerified,
    AddressUnknown,
    NoSuchPage,
    ProviderAway,
    ProviderNotBelieved,
    SignInCancelled,
    SignInIsOver,
    SignInRefused,
    TooManyGuesses,
)
from .session import guessed, must_not_guess, signed_in
from .snapshots import Pool

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
KNOWN_S = 3600.0  # where the provider's endpoints are; its keys are asked for each time
WITHIN_S = 600  # from leaving to coming back
ANSWER_S = 10.0
LEEWAY_S = 60

NOBODY_CAME = frozenset(
    ("access_denied", "login_required", "consent_required", "interaction_required",
     "account_selection_required")
)  # fmt: skip
COMPLAINTS = frozenset(
    ("invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope",
     "server_error", "temporarily_unavailable")
)  # fmt: skip
"""What a provider may say as it sends a browser back (RFC 6749, 4.1.2.1)."""
OURS = frozenset(("invalid_client", "unauthorized_client", "unsupported_grant_type"))
"""And when asked for a token, of how we are set up and not of the code (5.2)."""

WRONG = {
    "ExpiredSignatureError": "clock",
    "ImmatureSignatureError": "clock",
    "InvalidIssuedAtError": "clock",
    "InvalidAudienceError": "audience",
    "InvalidIssuerError": "issuer",
    "InvalidSignatureError": "signature",
    "InvalidKeyError": "key",
    "PyJWKSetError": "key",
    "IndexError": "key",
}
"""By what the library raises. All else: the token is none."""

TOLD = {
    each.code: each.sentence
    for each in (
        SignInCancelled, SignInIsOver, AddressUnknown, AddressNotVerified, ProviderNotBelieved,
        ProviderAway, TooManyGuesses,
    )
}  # fmt: skip
"""On the page where one signs in, by what stands in its address: nobody makes it say another."""

log = structlog.get_logger("ledger_crm.oidc")

Text = Annotated[str | None, QueryParameter(max_length=4_000)]


class Endpoints(msgspec.Struct, frozen=True):
    """What its discovery document says, as far as we need it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class Complaint(msgspec.Struct, frozen=True):
    error: str = ""


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
                raise ProviderAway(why="issuer")
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

    async def email_of(self, code: str, leaving: Leaving) -> str:
        """That is verified. Raises SignInIsOver if it is no code, ProviderNotBelieved,
        AddressNotVerified."""
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
        except (jwt.PyJWTError, LookupError, TypeError, ValueError, ArithmeticError) as fault:
            why = WRONG.get(type(fault).__name__, "token")
            raise ProviderNotBelieved(why=why) from None
        if said.get("azp", self.terms.oidc_client_id) != self.terms.oidc_client_id:
            raise ProviderNotBelieved(why="audience")
        nonce = str(said.get("nonce", "")).encode(errors="surrogatepass")
        if not hmac.compare_digest(nonce, leaving.nonce.encode()):
            raise ProviderNotBelieved(why="nonce")
        if said.get("email_verified") is not True or not said.get("email"):
            raise AddressNotVerified(why="address")
        return str(said["email"])

    async def _asked(
        self, method: str, where: str, type_: Any, form: dict[str, str] | None = None
    ) -> Any:
        auth = (self.terms.oidc_client_id, self.terms.oidc_client_secret) if form else None
        try:
            async with httpx.AsyncClient(timeout=ANSWER_S) as client:
                answer = await client.request(method, where, data=form, auth=auth)
                if form and answer.status_code in (400, 401):
                    raise _refused(answer.content)
                answer.raise_for_status()
                return msgspec.json.decode(answer.content, type=type_)
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError):
            raise ProviderAway(why="away") from None


def _refused(said: bytes) -> Refusal:
    """By the provider: the code, or us."""
    try:
        error = msgspec.json.decode(said, type=Complaint).error
    except msgspec.DecodeError:
        error = ""
    return ProviderAway(why=error) if error in OURS else SignInIsOver(why="code")


@get("/session/oidc", include_in_schema=False, status_code=303)
async def leave_for_provider(
    request: Request[Any, Any, Any], provider: NamedDependency[Provider]
) -> Response[None]:
    """Sign in with the identity provider: there the browser goes"""
    _must_be_set(provider)
    try:
        where, leaving = await provider.leave()
    except ProviderAway as refusal:
        log.warning("no sign-in by the identity provider", why=refusal.facts["why"])
        return _back(request, refusal)
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
    error: Text = None,
) -> Response[None]:
    """And from there it comes back"""
    _must_be_set(provider)
    leaving = _kept(request.cookies.get(provider.cookie, ""))
    try:
        code, leaving = _came_back(leaving, asked_state or "", code or "", error or "")
        login = await _who(request, ledger, pool, callers, provider, code, leaving)
    except (SignInRefused, ProviderAway) as refusal:
        why = refusal.facts["why"]
        log.warning("no sign-in by the identity provider", why=why)
        if why != "code":  # that is counted, and told
            callers.visited(request, None, "sign_in_failed", f"oidc:{why}")
        back = _back(request, refusal)
        if why != "state":  # what was used is over: to come once more is no guess
            back.set_cookie(_gone(provider))
        return back
    except TooManyGuesses as refusal:
        return _back(request, refusal)
    _, cookie = await signed_in(request, pool, callers, login, "oidc")
    answer: Response[None] = Response(
        None,
        status_code=303,
        headers={"Location": "/sign-in", "Set-Cookie": cookie},
        media_type="text/plain",
    )
    answer.set_cookie(_gone(provider))  # beside the other one
    return answer


def _came_back(leaving: Leaving | None, state: str, code: str, error: str) -> tuple[str, Leaving]:
    """The code, and what the browser kept. Raises SignInIsOver, which counts for nothing: any site
    may send a browser here; SignInCancelled, ProviderAway."""
    if not leaving or not hmac.compare_digest(leaving.state.encode(), state.encode()):
        raise SignInIsOver(why="state")
    if error in NOBODY_CAME:
        raise SignInCancelled(why="cancelled")
    if error or not code:
        raise ProviderAway(why=error if error in COMPLAINTS else "error")
    return code, leaving


async def _who(
    request: Request[Any, Any, Any],
    ledger: Ledger,
    pool: Pool,
    callers: Callers,
    provider: Provider,
    code: str,
    leaving: Leaving,
) -> Login:
    """Raises as ``Provider.email_of``, AddressUnknown, TooManyGuesses."""
    about = await must_not_guess(request, pool, callers)
    try:
        email = await provider.email_of(code, leaving)
    except SignInIsOver:
        await guessed(request, pool, callers, *about, why="oidc:code")
        raise
    login = await signing_in.login_by_email(ledger, email)
    if login is None:
        raise AddressUnknown(why="nobody")
    return login


def _back(request: Request[Any, Any, Any], refusal: Refusal) -> Response[None]:
    """To where one signs in, if it is a browser that asks. Raises the refusal, if it is not."""
    if request.accept.best_match(["application/json", "text/html"]) != "text/html":
        raise refusal
    where = {"Location": f"/sign-in?why={refusal.code}"}
    return Response(None, status_code=303, headers=where, media_type="text/plain")


def _must_be_set(provider: Provider) -> None:
    """Raises NoSuchPage."""
    if not provider.terms.oidc_issuer:
        raise NoSuchPage()


def _cookie(provider: Provider, value: str, lasts_s: int) -> str:
    secure = "; Secure" if provider.terms.secure else ""
    return f"{provider.cookie}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lasts_s}{secure}"


def _gone(provider: Provider) -> Cookie:
    """As it was set, or a browser does not take it."""
    return Cookie(
        provider.cookie, path="/", value="", max_age=0, httponly=True, samesite="lax",
        secure=provider.terms.secure,
    )  # fmt: skip


def _kept(text: str) -> Leaving | None:
    try:
        document = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(document, type=Leaving)
    except ValueError:  # of base64, and of msgspec
        return None


HANDLERS: list[Any] = [leave_for_provider, return_from_provider]
