"""An identity provider of flesh and blood: Authlib's own authorization server, over HTTP, with faults to order.

Whoever comes chooses on its page who they are. It insists on the registered address, the secret, and PKCE with S256.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, abort, jsonify, render_template_string, request
from joserfc.jwk import OctKey, RSAKey
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

CLIENT_ID, CLIENT_SECRET = "the-tracker", "a secret/of:the tracker's".replace(" ", "-")

_PAGE = """<!doctype html><html lang="en"><title>Who are you?</title><h1>Who are you?</h1><form method="post">
{% for subject in people %}<button name="subject" value="{{ subject }}">{{ subject }}</button>{% endfor %}
<button name="subject" value="">No</button></form>"""


@dataclass
class Faults:
    """What the provider does wrong; each test starts with none."""

    claims: dict[str, Any] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)
    key: RSAKey | OctKey | None = None
    algorithm: str = "RS256"
    metadata: dict[str, Any] = field(default_factory=dict)
    token_status: int = 0
    token_text: str = ""
    thin: bool = False
    """Only the subject is in the token; the rest is to be asked for, which no provider does wrong who does it."""
    of_somebody_else: bool = False
    method: str = "client_secret_basic"


@dataclass
class Code(AuthorizationCodeMixin):
    """A code that was handed out, and what it was asked with."""

    redirect_uri: str
    scope: str
    subject: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> None:
        return None

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Tracker(ClientMixin):
    """The tracker, as it is registered with the provider."""

    def __init__(self, provider: RunningProvider) -> None:
        self.provider = provider

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.provider.returns_to

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.provider.faults.method

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class RunningProvider:
    """The provider: whom it knows, what it does wrong, and where it is."""

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.faults = Faults()
        self.returns_to = "http://127.0.0.1:5000/login/provider/back"
        self.issuer = ""
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        """The settings of a tracker that knows this provider."""
        return {
            "TRACKER_OIDC_ISSUER": self.issuer,
            "TRACKER_OIDC_CLIENT_ID": CLIENT_ID,
            "TRACKER_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "TRACKER_OIDC_NAME": "Clinic <login>",
        }

    def told(self, subject: str) -> dict[str, Any]:
        return {"sub": subject} | self.people[subject]


def _app(provider: RunningProvider) -> Flask:  # noqa: C901  (one function for each of its addresses)
    app = Flask("provider")
    server = AuthorizationServer(
        app,
        query_client=lambda name: Tracker(provider) if name == CLIENT_ID else None,
        save_token=lambda token, asked: provider.tokens.update({token["access_token"]: asked.user["sub"]}),
    )

    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

        def save_authorization_code(self, code: str, asked: Any) -> None:
            given = asked.payload.data
            if given.get("code_challenge_method") != "S256":
                raise InvalidRequestError("PKCE with S256 is wanted here")
            provider.codes[code] = Code(
                given["redirect_uri"],
                asked.payload.scope,
                asked.user["sub"],
                given.get("nonce"),
                given["code_challenge"],
                "S256",
            )

        def query_authorization_code(self, code: str, client: Tracker) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            provider.codes = {code: one for code, one in provider.codes.items() if one is not authorization_code}

        def authenticate_user(self, authorization_code: Code) -> dict[str, Any]:
            return provider.told(authorization_code.subject)

    class Identity(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, asked: Any) -> bool:
            return any(code.nonce == nonce for code in provider.codes.values())

        def resolve_client_private_key(self, client: Tracker) -> RSAKey | OctKey:
            return provider.faults.key or provider.key

        def get_client_algorithm(self, client: Tracker) -> str:
            return provider.faults.algorithm

        def get_encode_header(self, client: Tracker) -> dict[str, str]:
            return {"alg": provider.faults.algorithm, "kid": "one"}

        def get_client_claims(self, client: Tracker) -> dict[str, Any]:
            now = int(time.time())
            return {"iss": provider.issuer, "aud": [CLIENT_ID], "iat": now, "exp": now + 300}

        def generate_user_info(self, user: dict[str, Any], scope: str) -> UserInfo:
            told = {"sub": user["sub"]} if provider.faults.thin else user
            return UserInfo(told | provider.faults.claims)

        def encode_id_token(self, token: dict[str, Any], asked: Any) -> str:
            if not provider.faults.without:
                return str(super().encode_id_token(token, asked))
            from joserfc import jwt

            said = self.get_client_claims(asked.client) | {"nonce": asked.authorization_code.nonce} | asked.user
            left = {name: value for name, value in said.items() if name not in provider.faults.without}
            return jwt.encode(self.get_encode_header(asked.client), left, provider.key)

    server.register_grant(Grant, [Identity(require_nonce=True), CodeChallenge(required=True)])

    @app.get("/.well-known/openid-configuration")
    def metadata() -> Response:
        said = {
            "issuer": provider.issuer,
            "authorization_endpoint": f"{provider.issuer}/authorize",
            "token_endpoint": f"{provider.issuer}/token",
            "jwks_uri": f"{provider.issuer}/keys",
            "userinfo_endpoint": f"{provider.issuer}/person",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": [provider.faults.method],
        }
        return jsonify(said | provider.faults.metadata)

    @app.get("/keys")
    def keys() -> Response:
        return jsonify({"keys": [provider.key.as_dict(private=False)]})

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize() -> Any:
        try:
            chosen = request.form.get("subject")
            person = provider.told(chosen) if chosen else None
            grant = server.get_consent_grant(end_user=person)
        except OAuth2Error as error:
            return abort(400, str(error))
        if request.method == "GET":
            return render_template_string(_PAGE, people=provider.people)
        return server.create_authorization_response(grant_user=person, grant=grant)

    @app.post("/token")
    def token() -> Any:
        if provider.faults.token_status:
            return provider.faults.token_text, provider.faults.token_status
        return server.create_token_response()

    @app.get("/person")
    def person() -> Any:
        subject = provider.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if subject is None:
            return abort(401)
        told = provider.told(subject)
        return jsonify(told | ({"sub": secrets.token_hex(4)} if provider.faults.of_somebody_else else {}))

    return app


@contextmanager
def running_provider() -> Iterator[RunningProvider]:
    """The provider on a free port of this machine, while the block lasts; set AUTHLIB_INSECURE_TRANSPORT for it."""
    provider = RunningProvider()
    server = make_server("127.0.0.1", 0, _app(provider), threaded=True)
    provider.issuer = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
