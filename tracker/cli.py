"""``tracker``: the command line. Commands are found by name and imported when they are called.

Exit 0: done. 1: refused or found wanting, with the reasons. 2: wrong usage.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

import click

_COMMANDS = {
    "init": ("tracker.commands.setup:init", "Make the database and its key file, or bring them up to date."),
    "demo": ("tracker.commands.setup:demo", "Fill the database with a made-up cohort."),
    "run": ("tracker.commands.serve:run", "Start web and scheduler in one process."),
    "web": ("tracker.commands.serve:web", "Start the web pages alone."),
    "scheduler": ("tracker.commands.serve:scheduler", "Start the scheduler alone."),
    "tick": ("tracker.commands.serve:tick", "Raise what has come due, send digests, once."),
    "due": ("tracker.commands.due:due", "What is overdue, due and upcoming, and why."),
    "case": ("tracker.commands.case:case", "List cases, or show one."),
    "clinic": ("tracker.commands.people:clinic", "List clinics, or set who hears of theirs and when."),
    "person": ("tracker.commands.people:person", "Digest days; who is away, who stands in, who is back."),
    "user": ("tracker.commands.user:user", "Accounts: who may sign in, as what in which clinic."),
    "replay": ("tracker.commands.exchange:replay", "Apply a journal file, all or nothing."),
    "import": ("tracker.commands.exchange:import_", "Import cases from elsewhere."),
    "export": ("tracker.commands.exchange:export", "Write what is recorded to standard output."),
    "pathway": ("tracker.commands.pathway:pathway", "Look at, check and publish pathways."),
    "mail": ("tracker.commands.mail:mail", "Try out the way that mail takes."),
    "doctor": ("tracker.commands.doctor:doctor", "Look everything over; say what is wrong and how to mend it."),
    "verify": ("tracker.commands.proof:verify", "Fold every event again and compare every row."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="net-case-tracker")
def tracker() -> None:
    """Follow patients with neuroendocrine tumours: who is due, for what, and why."""


def main() -> None:
    """Run the command line; what a user can cause ends in words, never in a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # a document is UTF-8 whatever the terminal says
    try:
        _refuse_unfit_arguments()
        code = tracker.main(standalone_mode=False)  # a command that ends early gives its exit code
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        _drop_output()
    except Exception as error:  # noqa: BLE001  (the last resort, so that nobody is shown a traceback)
        _fail(error)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _refuse_unfit_arguments() -> None:
    from workflows.limits import is_fit

    if not all(is_fit(word) for word in sys.argv[1:]):
        raise click.UsageError("an argument holds a character that is not text")


def _fail(error: Exception) -> None:
    from tracker.errors import TrackerError
    from workflows.errors import Refused

    in_words = isinstance(error, TrackerError | Refused)
    if os.environ.get("TRACKER_DEBUG") == "1" and not in_words:
        raise error
    reasons = error.reasons if isinstance(error, TrackerError | Refused) else (_unexpected(error),)
    for reason in reasons:
        click.echo(f"tracker: {reason}", err=True)
    if isinstance(error, OSError):
        _drop_output()
    sys.exit(1)


def _drop_output() -> None:
    """What could not be written would be tried, and complained of, once more at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: Exception) -> str:
    """A fault in words, without the data that its message may carry."""
    from sqlalchemy.exc import InternalError, OperationalError

    if isinstance(error, OperationalError | InternalError):  # the latter: PostgreSQL, where it may only be read
        return "the database is busy or cannot be written to; nothing was changed; try again"
    if isinstance(error, OSError) and error.strerror:
        return f"a file could not be read or written: {error.strerror}"
    return f"something went wrong inside the program ({type(error).__name__}); TRACKER_DEBUG=1 shows where"
