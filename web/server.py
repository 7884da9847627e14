"""The server: gunicorn with one worker process and threads, the scheduler beside them where it is wanted."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # it carries no types

from tracker import logs, scheduler
from tracker.tick import wakes
from web import create_app
from web.desk import desk

_SETTINGS = {
    "workers": 1,
    "worker_class": "gthread",
    "threads": 8,
    "loglevel": "warning",
    "limit_request_line": 2048,
    "timeout": 60,
    "forwarded_allow_ips": "",  # nobody stands in front; gunicorn would believe this machine's SCRIPT_NAME otherwise
    "forwarder_headers": "",
}


class _Server(BaseApplication):
    """gunicorn, told here what its command line would tell it. It listens on this machine alone."""

    def __init__(self, port: int, *, with_scheduler: bool) -> None:
        self._port = port
        self._with_scheduler = with_scheduler
        super().__init__()

    def load_config(self) -> None:
        for name, value in _SETTINGS.items():
            self.cfg.set(name, value)
        self.cfg.set("bind", f"127.0.0.1:{self._port}")

    def load(self) -> Flask:
        logs.configure()
        app = create_app()
        if self._with_scheduler:
            start_scheduler(app)
        return app


def start_scheduler(app: Flask) -> Callable[[], None]:
    """Tick now and every minute in a thread of this process; returns what stops it."""
    place = desk(app)
    return scheduler.start(wakes(place.database, place.settings, place.secret, place.now))


def serve(port: int, *, with_scheduler: bool) -> None:
    """Serve the pages on this machine alone until stopped."""
    _Server(port, with_scheduler=with_scheduler).run()
