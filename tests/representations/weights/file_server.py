"""A local HTTP server that simulates failures of servers and networks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FileServer:
    """Server of `content` at every path except those below /moved/, /elsewhere/ and /missing/."""

    content: bytes
    drop_after: list[int] = field(default_factory=list)
    """Number of bytes after which the connection is dropped, for each of the next requests."""

    failures: list[int] = field(default_factory=list)
    """HTTP status such as 503, for each of the next requests."""

    requests: list[str] = field(default_factory=list)
    port: int = 0

    def url(self, path: str = "/models/weights.pt") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextlib.contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):  # the client closed the connection
                _respond(self, server)

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


def _respond(request: BaseHTTPRequestHandler, server: FileServer) -> None:
    server.requests.append(request.path)
    request.close_connection = True
    if request.path.startswith(("/moved/", "/elsewhere/")):
        new_path = request.path.removeprefix("/moved")
        location = "ftp://127.0.0.1/weights.pt" if new_path == request.path else new_path
        request.send_response(302)
        request.send_header("Location", location)
        request.send_header("Connection", "close")
        request.send_header("Content-Length", "0")
        request.end_headers()
    elif request.path.startswith("/missing/") or server.failures:
        request.send_error(server.failures.pop(0) if server.failures else 404)
    else:
        request.send_response(200)
        request.send_header("Content-Length", str(len(server.content)))
        request.end_headers()
        end = server.drop_after.pop(0) if server.drop_after else None
        request.wfile.write(server.content[:end])
