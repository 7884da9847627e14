"""An IMAP server with one mailbox, which answers what a journal asks, or what it is told to."""

import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Mailbox:
    """The Message-IDs in a mailbox, and which commands are refused, or end the connection."""

    ids: set[str]
    refused: set[str] = field(default_factory=set)
    ends_at: str = ""
    heard: list[str] = field(default_factory=list)

    def answer(self, command: str, rest: str) -> str:
        if command == "CAPABILITY":
            return "* CAPABILITY IMAP4rev1\r\n"
        if command == "SEARCH":
            wanted = re.search(r'HEADER Message-ID "(.*)"', rest)
            assert wanted is not None
            return f"* SEARCH{' 1' if wanted[1] in self.ids else ''}\r\n"
        return "* 1 EXISTS\r\n" if command == "EXAMINE" else ""


@contextmanager
def imap_server(mailbox: Mailbox, context: ssl.SSLContext) -> Iterator[int]:
    """The port of a server for as long as the block lasts."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"* OK ready\r\n")
            for line in self.rfile:
                tag, command, rest = [*line.decode().strip().split(" ", 2), ""][:3]
                mailbox.heard.append(f"{command} {rest}".strip())
                if command == mailbox.ends_at:
                    return
                status = "NO" if command in mailbox.refused else "OK"
                said = "" if status == "NO" else mailbox.answer(command, rest)
                self.wfile.write(f"{said}{tag} {status} done\r\n".encode())
                if command == "LOGOUT":
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def get_request(self) -> tuple[ssl.SSLSocket, object]:
            sock, address = super().get_request()
            sock.settimeout(10)
            return context.wrap_socket(sock, server_side=True), address

    with suppress(OSError), Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()
