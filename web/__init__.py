"""The pages. This room knows ``tracker`` and ``workflows``; neither knows it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Flask
from flask_bootstrap import Bootstrap5

from tracker import clock, db, secret
from tracker.settings import Settings, from_environment
from web import (
    access,
    account,
    acting,
    admin,
    audit,
    calendar,
    cases,
    changes,
    dashboard,
    errors,
    filters,
    hand_over,
    health,
    meeting,
    merging,
    metrics,
    new_patient,
    outbox,
    own_views,
    pathway,
    provider,
    search,
    security,
    shell,
    sign_in,
    worklist,
)
from web.desk import Desk

_MEGABYTE = 1024 * 1024


def create_app(settings: Settings | None = None, now: Callable[[], datetime] | None = None) -> Flask:
    """The web application on one database.

    ``settings`` come from the environment unless given; ``now`` gives an aware time and replaces the clock.
    Raises :class:`tracker.errors.WrongSetting` where the key file, the database or its schema will not do.
    """
    settings = settings or from_environment()
    provider.require(settings)
    app = Flask(__name__)
    app.config.update(
        BOOTSTRAP_SERVE_LOCAL=True,
        MAX_CONTENT_LENGTH=_MEGABYTE,
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    _open(settings, now or (lambda: clock.now(settings))).install(app)
    Bootstrap5(app)
    for part in (security, access, errors, filters, shell):
        part.install(app)
    for family in (
        sign_in,
        provider,
        account,
        admin,
        audit,
        dashboard,
        calendar,
        meeting,
        hand_over,
        new_patient,
        cases,
        changes,
        merging,
        search,
        outbox,
        pathway,
        shell,
        health,
        metrics,
    ):
        app.register_blueprint(family.pages)
    for family in (worklist, acting, own_views):
        app.register_blueprint(family.pages)
    app.register_blueprint(shell.files)
    return app


def _open(settings: Settings, now: Callable[[], datetime]) -> Desk:
    key = secret.load(settings.secret_file)
    database = db.connect(settings, key)
    database.require_schema()
    return Desk(settings, key, database, now)
