"""The services: web, scheduler, both in one process, and one tick by hand."""

from __future__ import annotations

import errno
import socket
import threading
from datetime import datetime
from importlib import import_module

import click
from sqlmodel import select

from tracker import clock, links
from tracker import tick as ticking
from tracker.commands.common import Desk, Moment, count, desk, json_option, print_json, refuse_fixed_time
from tracker.commands.due import print_items
from tracker.commands.setup import demo_password, fill, is_demo, tell_demo_accounts
from tracker.errors import WrongSetting
from tracker.models import Case
from tracker.queries import due
from tracker.settings import from_environment

_port = click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))


@click.command()
@_port
@click.option("--demo", "with_demo", is_flag=True, help="In an empty database, begin with a made-up cohort.")
def run(port: int, with_demo: bool) -> None:
    """Start web and scheduler in one process, on this machine alone."""
    refuse_fixed_time(from_environment())
    _require_free(port)
    with desk(create=True) as d:
        if with_demo and _is_empty(d):
            click.echo("Making 120 made-up patients ...", err=True)
            fill(d, 120, 1)
        password = demo_password(d) if with_demo and is_demo(d) else None
        ticking.tick(d.database, d.settings, d.secret, d.now)
        _greet(d, port)
        _tell_how_to_sign_in(d, port, password)
    _serve(port, with_scheduler=True)


@click.command()
@_port
def web(port: int) -> None:
    """Start the web pages alone, on this machine alone."""
    refuse_fixed_time(from_environment())
    _require_free(port)
    with desk():
        pass
    _serve(port, with_scheduler=False)


@click.command()
def scheduler() -> None:
    """Start the scheduler alone; it ticks every minute until it is stopped."""
    from tracker.scheduler import start

    refuse_fixed_time(from_environment())
    with desk() as d:
        stop = start(ticking.wakes(d.database, d.settings, d.secret, lambda: clock.now(d.settings)))
        click.echo("Ticking every minute. Ctrl-C stops it.", err=True)
        try:
            threading.Event().wait()
        finally:
            stop()


@click.command()
@click.option("--now", type=Moment(), help="The time to take for now (aware ISO).")
@json_option
def tick(now: datetime | None, as_json: bool) -> None:
    """Raise what has come due, send digests, once. Safe to repeat."""
    with desk() as d:
        report = ticking.tick(d.database, d.settings, d.secret, now or d.now)
    if as_json:
        print_json(report.as_json())
    else:
        click.echo(
            f"{count(report.raised, 'reminder')} raised, {count(report.digests, 'digest')} written, {report.sent} sent."
        )


def _require_free(port: int) -> None:
    """Refuse a port that something else listens on, before its pages are taken for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = "is taken by another program" if error.errno == errno.EADDRINUSE else "cannot be used"
            raise WrongSetting(f"port {port} {reason}; name another, such as --port {port % 65535 + 1}") from error


def _is_empty(d: Desk) -> bool:
    with d.database.reading() as session:
        return session.exec(select(Case.id).limit(1)).first() is None


def _greet(d: Desk, port: int) -> None:
    with d.database.reading() as session:
        items = [item for item in due(session, now=d.now) if item.status == "overdue"]
    click.echo(f"\nOverdue today: {len(items)}, the longest first\n")
    print_items(items[:10])


def _tell_how_to_sign_in(d: Desk, port: int, password: str | None) -> None:
    """The accounts of a demonstration, a link for the very first account, or just the address."""
    site = f"http://127.0.0.1:{port}"
    tell_demo_accounts(password)
    with d.writing() as writing:
        first = links.for_first(writing, d.secret)
    if first:
        click.echo(
            f"\nNobody can sign in yet. Make the first account here, once, within an hour:\n{site}/welcome/{first}"
        )
    click.echo(f"\nSign in: {site}/   (Ctrl-C stops it)\n")


def _serve(port: int, *, with_scheduler: bool) -> None:
    """Hand over to the web room, which this one does not know: it is named, not imported."""
    try:
        server = import_module("web.server")
    except ImportError as error:
        raise WrongSetting("the web pages are not installed") from error
    server.serve(port, with_scheduler=with_scheduler)
