"""What the server believes of a request, before the pages see it."""

from collections.abc import Iterator
from io import BytesIO

import pytest
from gunicorn.http import RequestParser

from web.server import _Server


class Wire:
    """A connection that has received some bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = BytesIO(content)

    def recv(self, size: int) -> bytes:
        return self._content.read(size)


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /elsewhere", "PATH_INFO: /elsewhere", "X-Forwarded-Proto: https"])
def test_headers_of_a_proxy_are_not_believed_from_anybody(header: str) -> None:
    settings = _Server(5000, with_scheduler=False).cfg
    raw = f"GET /cases HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n\r\n".encode()
    requests: Iterator[object] = RequestParser(settings, Wire(raw), ("127.0.0.1", 50000))
    request = next(requests)
    assert (request.path, request.scheme) == ("/cases", "http")
    assert header.partition(":")[0] not in dict(request.headers)
