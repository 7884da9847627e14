"""What holds for every request and every answer: who may be asked for, and what a browser may do with it."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from web import access
from web.desk import desk

_OWN_HOSTS = {"127.0.0.1", "localhost", "::1"}
"""The pages are for this machine alone, unless the settings name others; a foreign name here is DNS rebinding."""

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # Bootstrap draws the arrow of a select with a data: image
        "font-src 'self'",
        "connect-src 'self'",  # htmx asks for parts of pages
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def install(app: Flask) -> None:
    """Check every request and protect every answer; a form is taken only from a page of this tracker's own."""
    app.secret_key = desk(app).secret.derive("session")
    app.config.update(
        SESSION_COOKIE_NAME="tracker",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",  # a link in a mail must find whoever is signed in
        SESSION_COOKIE_SECURE=desk(app).settings.is_https,
        WTF_CSRF_TIME_LIMIT=None,  # a page may lie open for a day; its token ends with the session
        WTF_CSRF_SSL_STRICT=False,  # it asks for the referrer, which our pages never send
    )
    if desk(app).settings.behind_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    app.before_request(refuse_foreign_hosts)
    app.before_request(access.check)
    app.before_request(refuse_what_is_no_text)
    app.after_request(protect)
    CSRFProtect(app)


def refuse_foreign_hosts() -> None:
    """Answer 400 unless the request names this machine, or a host of the settings.

    Flask's TRUSTED_HOSTS cannot hold an IPv6 address.
    """
    if not names_this_tracker():
        abort(400, "This tracker answers under its own names only: 127.0.0.1, localhost, and those in TRACKER_HOSTS.")


def refuse_what_is_no_text() -> None:
    """Answer 400 for a NUL in an address or a form: one of the databases takes none, and nobody can type it."""
    given = [*request.args.values(), *(value for values in request.form.listvalues() for value in values)]
    if any("\0" in value for value in given):
        abort(400, "What was sent holds a character that is not text.")


def names_this_tracker() -> bool:
    """Whether the request was sent to the tracker under one of its own names."""
    return _asked_host() in _OWN_HOSTS | desk().settings.hosts


def names_this_machine() -> bool:
    """Whether it was sent to this very machine, and by nobody in front of it."""
    return _asked_host() in _OWN_HOSTS


def _asked_host() -> str:
    try:
        return urlsplit("//" + request.host).hostname or ""
    except ValueError:
        return ""


def protect(response: Response) -> Response:
    """Set the headers; pages are never kept by a browser or a proxy, static files are."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if not _is_static(response):
        response.headers["Cache-Control"] = "no-store"
    return response


def _is_static(response: Response) -> bool:
    endpoint = request.endpoint or ""
    return endpoint.rpartition(".")[2] == "static" and response.status_code in (200, 304)
