"""Mail: the outbox with all its bookkeeping, against Postfix's smtp-source and Django's send_mass_mail.

The receiver is Postfix's smtp-sink for all of them. Both tools are looked for on the path and in POSTFIX_TOOLS; without
them, or without Django, the comparison is left out and says so.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import text

from tests.benchmarks.ground import NOW, Installation, installation, ratio, report
from tracker import digests, outbox
from tracker.digests import Sender
from tracker.mail.digest import DigestItem, Letter, compose
from tracker.mail.places import smtp_server
from tracker.mail.smtp import Smtp
from tracker.models import Clinic, Digest, OutboxMessage

MESSAGES = 500


def mail_against_peers() -> None:
    """One connection each, the same number of messages of the same size."""
    source, sink = _tool("smtp-source"), _tool("smtp-sink")
    if source is None or sink is None:
        print("mail: smtp-source and smtp-sink (Debian: postfix) are not here; not measured")
        return
    with ExitStack() as stack:
        place = stack.enter_context(installation())
        port = stack.enter_context(_sink(sink))
        size = _fill(place)
        limit = [source, "-s", "1", "-d", "-m", str(MESSAGES), "-l", str(size), f"127.0.0.1:{port}"]

        def ours() -> None:
            _deliver(place, port)

        def bare() -> None:
            subprocess.run(limit, check=True, capture_output=True, env=_with_libraries(source))

        measured = ratio(bare, ours)
        report(
            f"{MESSAGES} mails of {size} bytes: smtp-source to the outbox (share of the limit)", "goal ≥ 0.6", measured
        )
        if find_spec("django") is None:
            print("mail: Django is not here; not compared")
            return
        report(f"{MESSAGES} mails: Django's send_mass_mail to the outbox", "goal ≥ 1.5", ratio(_django(port), ours))


def _tool(name: str) -> str | None:
    return shutil.which(
        name, path=os.pathsep.join((os.environ.get("POSTFIX_TOOLS", ""), os.environ["PATH"], "/usr/sbin"))
    )


def _with_libraries(tool: str) -> dict[str, str]:
    """Postfix's own libraries lie beside it, also where the package was only unpacked."""
    return os.environ | {"LD_LIBRARY_PATH": str(Path(tool).parent.parent / "lib" / "postfix")}


@contextmanager
def _sink(tool: str) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    server = subprocess.Popen([tool, *user, f"127.0.0.1:{port}", "100"], env=_with_libraries(tool))
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        server.kill()
        server.wait()


def _fill(place: Installation) -> int:
    """Digests of three items, one a person; gives the size of each."""
    items = [DigestItem(n, "visit", "due", NOW.date(), 0) for n in range(3)]
    with place.database.writing() as session:
        session.add(Clinic(id=1, name="North", timezone="UTC"))
        session.flush()
        for n in range(1, MESSAGES + 1):
            to, key = f"nav{n:03}@example.org", f"{n:064}"
            letter = Letter("t@example.org", to, digests.message_id(key), "http://x", NOW.date(), NOW, items)
            session.add(
                Digest(id=n, key=key, clinic_id=1, recipient=to, on=NOW.date(), composed_at=NOW, items=3, reminders=0)
            )
            session.flush()
            session.add(
                OutboxMessage(
                    key=key,
                    digest_id=n,
                    message_id=letter.message_id,
                    sender=letter.sender,
                    recipient=to,
                    content=compose(letter),
                    created_at=NOW,
                    next_try_at=NOW,
                )
            )
    return len(compose(letter))


def _deliver(place: Installation, port: int) -> None:
    with place.database.writing() as session:
        session.execute(text("UPDATE outbox_message SET state = 'queued', settled_at = NULL"))
    transport = Smtp(smtp_server(f"smtp://127.0.0.1:{port}?tls=none"))
    sender = Sender("t@example.org", "http://x", b"k" * 32)
    done = outbox.deliver(place.database, transport, sender, NOW + timedelta(minutes=1))
    transport.close()
    assert done.sent == MESSAGES


def _django(port: int):  # type: ignore[no-untyped-def]
    from django.conf import settings
    from django.core.mail import send_mass_mail

    settings.configure(EMAIL_HOST="127.0.0.1", EMAIL_PORT=port)
    body = "Follow-ups that need you.\n" * 40
    messages = [(f"Follow-ups {n}", body, "t@example.org", [f"nav{n:03}@example.org"]) for n in range(MESSAGES)]

    def send() -> None:
        assert send_mass_mail(messages) == MESSAGES

    return send
