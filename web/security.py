"""What holds for every request and every answer: who may be asked for, and what a browser may do with it."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

_OWN_HOSTS = {"127.0.0.1", "localhost", "::1"}
"""Until there is sign-in the pages are for this machine alone; a foreign name here is DNS rebinding."""

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # Bootstrap draws the arrow of a select with a data: image
        "font-src 'self'",
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
    """Check every request and protect every answer."""
    app.before_request(refuse_foreign_hosts)
    app.after_request(protect)


def refuse_foreign_hosts() -> None:
    """Answer 400 unless the request names this machine (Flask's TRUSTED_HOSTS cannot hold an IPv6 address)."""
    try:
        host = urlsplit("//" + request.host).hostname
    except ValueError:
        host = None
    if host not in _OWN_HOSTS:
        abort(400, "This tracker answers on its own machine only, under 127.0.0.1 or localhost.")


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
