"""A local replacement of the Hugging Face hub that answers the requests of its client."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123abcd" + 32 * "e"


@dataclass
class ModelHub:
    """One model, `lab/model`, with one branch, `main`; others do not exist or are gated."""

    files: dict[str, bytes]
    drop_at: str = ""
    """A file whose download is interrupted."""

    requests: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def downloaded_files(self) -> set[str]:
        return {line.rpartition("/")[2] for line in self.requests if line.startswith("GET /lab/")}


@contextlib.contextmanager
def serving_hub(hub: ModelHub) -> Iterator[ModelHub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                _respond(self, hub)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    hub.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _respond(request: BaseHTTPRequestHandler, hub: ModelHub) -> None:
    path = unquote(urlsplit(request.path).path)
    hub.requests.append(f"{request.command} {path}")
    if "lab/gated" in path:
        _send(request, 403, {}, {"X-Error-Code": "GatedRepo"})
    elif "lab/model" not in path:
        _send(request, 401, {}, {"X-Error-Code": "RepoNotFound"})
    elif path.startswith("/api/models/lab/model/revision/"):
        if path.rpartition("/")[2] in ("main", COMMIT):
            _send(request, 200, {"id": "lab/model", "sha": COMMIT, "siblings": []})
        else:
            _send(request, 404, {}, {"X-Error-Code": "RevisionNotFound"})
    elif path.startswith("/api/models/lab/model/tree/"):
        entries = [
            {"type": "file", "path": name, "size": len(content), "oid": _etag(content)}
            for name, content in hub.files.items()
        ]
        _send(request, 200, entries)
    else:
        content = hub.files[path.partition(f"/resolve/{COMMIT}/")[2]]
        headers = {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": COMMIT}
        if hub.drop_at and path.endswith(hub.drop_at) and request.command == "GET":
            request.close_connection = True
            return
        _send(request, 200, content, headers)


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def _send(
    request: BaseHTTPRequestHandler, status: int, value: Any, headers: dict[str, str] | None = None
) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    request.send_response(status)
    for name, text in (headers or {}).items():
        request.send_header(name, text)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)
