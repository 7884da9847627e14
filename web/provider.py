"""Signing in through an identity provider: OpenID Connect, the code flow with PKCE, state and nonce.

Everything that a sign-in needs of the provider is asked anew, so that nothing is believed that it has changed. The way
there is a link and not a form: a browser holds the policy ``form-action 'self'`` against where a form's answer leads.
"""

from __future__ import annotations

from typing import Any

import structlog
from flask import Blueprint, abort, redirect, request, session, url_for
from werkzeug.wrappers import Response

from tracker.entrance import Entered
from tracker.errors import WrongSetting
from tracker.provider import Provider, Vouched
from tracker.settings import Settings
from tracker.subjects import Unfit
from web.access import present, public
from web.desk import desk
from web.sign_in import asked_from, entrance, let_in, refuse

pages = Blueprint("provider", __name__, url_prefix="/login/provider")

_log = structlog.get_logger()
_SECONDS = 10
"""For each question to the provider; somebody is waiting."""
_SIGNED_WITH = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures that only the provider can make. It may not talk us into less."""
_OURS = "provider"

_DOWN = "{} cannot be reached at the moment. Sign in with your password, or try again shortly."
_DECLINED = "{} did not sign you in. Begin again, or sign in with your password."
_STALE = "This sign-in with {} was not begun in this browser, or it has been used, or is too old. Begin again."
_DISTRUSTED = (
    "What came in the name of {} could not be trusted, so nobody was let in. Try again; if it happens again, tell"
    " whoever looks after the tracker."
)
_UNFIT = {
    Unfit.UNVERIFIED: (
        "{} does not say that your e-mail address was verified, so it cannot be told which account is yours."
    ),
    Unfit.UNKNOWN: (
        "Nobody here has the e-mail address for which {} vouches. Whoever looks after the tracker makes accounts."
    ),
    Unfit.ANOTHER: (
        "The account with your e-mail address belongs to somebody whom {} knew as another person. Whoever looks after"
        " the tracker can see to it."
    ),
    Unfit.DISABLED: (
        "{} knows you, but your account here may not sign in any more. Ask whoever looks after the tracker."
    ),
}

Answer = Response | tuple[str, int]


def require(settings: Settings) -> None:
    """Refuse to start with a provider, but without what it takes to ask it; raises :class:`WrongSetting`."""
    if settings.provider is None:
        return
    try:
        import authlib.integrations.flask_client  # noqa: F401
    except ImportError:
        raise WrongSetting(
            "TRACKER_OIDC_ISSUER is set, but Authlib is not installed: install requirements/oidc.txt"
        ) from None


@pages.get("")
@public
def begin() -> Answer:
    """Go to the provider. What must come back from there is kept in the browser's cookie."""
    provider = _provider()
    if present() is not None:
        return redirect(url_for("sign_in.page"), 303)
    for key in [key for key in session if key.startswith(f"_state_{_OURS}_")]:
        session.pop(key)
    try:
        there = _client(provider).authorize_redirect(f"{desk().settings.base_url}{url_for('provider.come_back')}")
    except Exception as error:  # noqa: BLE001  (whatever the provider answers, it is said in words)
        return _failed(error)
    return redirect(there.location, 303)


@pages.get("/back")
@public
def come_back() -> Answer:
    """Take what the provider says, once. Whoever is signed in already goes on: this page may be opened anew."""
    provider = _provider()
    if present() is not None:
        return redirect(url_for("sign_in.page"), 303)
    is_begun = f"_state_{_OURS}_{request.args.get('state')}" in session
    try:
        who = _vouched(provider)
    except Exception as error:  # noqa: BLE001  (whatever the provider answers, it is said in words)
        return _failed(error, note=is_begun)
    entered = entrance().by_provider(who, asked_from(), desk().now())
    return let_in(entered) if isinstance(entered, Entered) else refuse(_UNFIT[entered].format(provider.name), 403)


def _provider() -> Provider:
    return desk().settings.provider or abort(404)


# What the provider says ------------------------------------------------------------------------------------


def _client(provider: Provider) -> Any:
    """Authlib's client for one sign-in, with what the provider says of itself just now."""
    from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App

    client = FlaskOAuth2App(
        FlaskIntegration(_OURS),
        name=_OURS,
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        server_metadata_url=provider.issuer.rstrip("/") + "/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email", "code_challenge_method": "S256", "default_timeout": _SECONDS},
    )
    said = client.load_server_metadata()
    if said.get("issuer") != provider.issuer:
        raise ValueError("the provider gives itself another name")
    signed = said.get("id_token_signing_alg_values_supported") or ["RS256"]
    said["id_token_signing_alg_values_supported"] = [one for one in _SIGNED_WITH if one in signed]
    ways = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if "client_secret_basic" not in ways:
        client.client_kwargs["token_endpoint_auth_method"] = "client_secret_post"  # noqa: S105  (its name)
    return client


def _vouched(provider: Provider) -> Vouched:
    """Who has come back, from the signed token; the address may be told apart from it, about the same subject."""
    client = _client(provider)
    token = client.authorize_access_token(
        claims_options={
            "iss": {"essential": True, "value": provider.issuer},
            "aud": {"essential": True, "value": provider.client_id},
            "sub": {"essential": True},
        }
    )
    told = token["userinfo"]
    if "email" not in told and client.server_metadata.get("userinfo_endpoint"):
        more = client.userinfo(token=token)
        if more["sub"] != told["sub"]:
            raise ValueError("the provider speaks of somebody else")
        told = more
    return _read(provider, told)


def _read(provider: Provider, told: dict[str, Any]) -> Vouched:
    subject, email = told["sub"], told.get("email") or ""
    if not isinstance(subject, str) or not isinstance(email, str):
        raise TypeError("a subject and an address are text")
    return Vouched(provider.issuer, subject, email[:254], told.get("email_verified") in (True, "true"))


# What went wrong -------------------------------------------------------------------------------------------


def _failed(error: Exception, *, note: bool = False) -> Answer:
    """The words for what went wrong, and a line in the log: what kind of thing, never what was said.

    ``note``: a sign-in was begun, so that an answer which cannot be trusted belongs in the audit.
    """
    from authlib.integrations.base_client import MismatchingStateError, OAuthError
    from requests import RequestException

    provider = _provider()
    _log.warning("provider.failed", kind=type(error).__name__)
    if isinstance(error, RequestException):
        return refuse(_DOWN.format(provider.name), 503)
    if isinstance(error, MismatchingStateError):
        return refuse(_STALE.format(provider.name), 400)
    if isinstance(error, OAuthError):
        return refuse(_DECLINED.format(provider.name), 401)
    if note:
        entrance().distrusted(provider.issuer, asked_from(), desk().now())
    return refuse(_DISTRUSTED.format(provider.name), 401)
