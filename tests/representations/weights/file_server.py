"""A local HTTP server that can fail in the ways that servers and networks do."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FileServer:
    """Serves `content` at every path but the special ones; counts what it sends."""

    content: bytes
    etag: str | None = '"first"'
    last_modified: str | None = None
    content_type: str = "application/octet-stream"
    honours_range: bool = True
    honours_if_range: bool = True
    says_length: bool = True
    chunked: bool = False
    extra_length: int = 0
    """Content-Length says this much more than is sent."""

    drop_after: list[int] = field(default_factory=list)
    """For each of the next requests: bytes after which the connection is dropped."""

    failures: list[int] = field(default_factory=list)
    """For each of the next requests: an answer such as 503."""

    piece_pause_seconds: float = 0.0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sent_bytes: int = 0
    port: int = 0

    def url(self, path: str = "/models/weights.pt") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextlib.contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):  # the client has seen enough
                _answer(self, server)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _answer(request: BaseHTTPRequestHandler, server: FileServer) -> None:
    server.requests.append((request.path, dict(request.headers)))
    request.close_connection = True
    if request.path.startswith("/moved/"):
        request.send_response(302)
        request.send_header("Location", request.path.removeprefix("/moved"))
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    if request.path.startswith("/elsewhere"):
        request.send_response(302)
        request.send_header("Location", "ftp://127.0.0.1/weights.pt")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    if request.path.startswith("/missing/") or server.failures:
        request.send_error(server.failures.pop(0) if server.failures else 404)
        return
    begin = _begin(request, server)
    if begin and begin >= len(server.content):
        request.send_error(416)
        return
    request.send_response(206 if begin else 200)
    body = server.content[begin:]
    if begin:
        total = len(server.content)
        request.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
    if server.etag:
        request.send_header("ETag", server.etag)
    if server.last_modified:
        request.send_header("Last-Modified", server.last_modified)
    request.send_header("Content-Type", server.content_type)
    if server.chunked:
        request.send_header("Transfer-Encoding", "chunked")
    elif server.says_length:
        request.send_header("Content-Length", str(len(body) + server.extra_length))
    request.end_headers()
    if server.drop_after:
        body = body[: server.drop_after.pop(0)]
    for start in range(0, len(body), 10_000):
        piece = body[start : start + 10_000]
        if server.chunked:
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        else:
            request.wfile.write(piece)
        server.sent_bytes += len(piece)
        time.sleep(server.piece_pause_seconds)
    if server.chunked and len(body) == len(server.content[begin:]):
        request.wfile.write(b"0\r\n\r\n")


def _begin(request: BaseHTTPRequestHandler, server: FileServer) -> int:
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    if asked is None or not server.honours_range:
        return 0
    if server.honours_if_range and request.headers.get("If-Range") not in (
        server.etag,
        server.last_modified,
    ):
        return 0
    return int(asked[1])
