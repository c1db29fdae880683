"""One try to receive a file over HTTP, going on from where an earlier try ended."""

from __future__ import annotations

import email.message
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from emoscale import __version__
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.files import write_text
from emoscale.runtime.progress import WorkProgress

PIECE_BYTES = 1 << 20
MEGABYTE = 1e6

_WORTH_ANOTHER_TRY = (408, 429, 500, 502, 503, 504)


class InterruptedTransferError(Exception):
    """The connection was lost; another try goes on from what is there."""


def receive(url: str, part: Path, timeout_seconds: float, needs_length: bool) -> None:
    """Receive the file at `url` into `part`, which is complete after.

    What `part` already holds is kept where the server still has the same file, by the ETag (or
    date) that was kept beside it, and gives the rest of it (RFC 9110, 13.1.5 and 14). With
    `needs_length`, nothing else can tell whether the file is whole and the right one: a server
    must then say its length, and not give a page for people.

    Raises `InterruptedTransferError` where another try may help, `CheckpointError` where it would
    not, and `OSError` where `part` cannot be written.
    """
    kept = part.with_name(part.name + ".etag")
    validator = kept.read_text(encoding="utf-8") if kept.is_file() else ""
    begun = part.stat().st_size if validator and part.is_file() else 0
    headers = {"User-Agent": f"emoscale/{__version__}"}
    if begun:
        headers |= {"Range": f"bytes={begun}-", "If-Range": validator}
    try:
        response = _ask(url, headers, timeout_seconds)
    except _RangeRefusedError:
        _forget(part, kept)
        raise InterruptedTransferError("the server no longer has the rest of the file") from None
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            begun = 0  # the whole file, since it changed or the server gives no parts
        elif not _goes_on(response.headers, begun, validator):
            _forget(part, kept)
            raise InterruptedTransferError("the server gave another part than was asked for")
        length = response.headers.get("Content-Length")
        if needs_length:
            _refuse_what_cannot_be_checked(url, response.headers)
        with part.open("ab" if begun else "wb") as file:
            if not begun:  # after the old content is gone: it must never stand beside a new ETag
                write_text(kept, _validator(response.headers))
            total = begun + int(length) if length is not None else None
            received = begun
            with _progress(part, begun, total) as progress:
                for piece in _pieces(response):
                    file.write(piece)
                    received += len(piece)
                    done = (received - begun) / MEGABYTE
                    progress.total = max(progress.total, done)
                    progress.advance(done - progress.done)
    if total is not None and received < total:
        raise InterruptedTransferError(
            f"the connection ended after {received:,} of {total:,} bytes"
        )
    kept.unlink(missing_ok=True)


class _RangeRefusedError(Exception):
    """The server has no such part of the file (416)."""


def _opener() -> urllib.request.OpenerDirector:
    """Follows redirects and the environment's proxies; knows HTTP and HTTPS only."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _ask(url: str, headers: dict[str, str], timeout_seconds: float) -> http.client.HTTPResponse:
    try:
        request = urllib.request.Request(url, headers=headers)
        response: http.client.HTTPResponse = _opener().open(request, timeout=timeout_seconds)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and "Range" in headers:
            raise _RangeRefusedError from None
        answer = f"{error.code} {error.reason}".splitlines()[0].strip()
        if error.code in _WORTH_ANOTHER_TRY:
            raise InterruptedTransferError(f"the server answers {answer}") from None
        raise CheckpointError(f"{url}: the server answers {answer}; mend the address") from None
    except urllib.error.URLError as error:
        _refuse_what_stays(url, error.reason)
        raise InterruptedTransferError(_words(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, http.client.InvalidURL):
            raise CheckpointError(f"{url} is no address that can be asked; mend it") from None
        raise InterruptedTransferError(_words(error)) from None
    except ValueError:  # of the parts of an address: a port that is no number, letters not ASCII
        raise CheckpointError(f"{url} is no address that can be asked; mend it") from None


def _refuse_what_stays(url: str, reason: object) -> None:
    if isinstance(reason, socket.gaierror):
        raise CheckpointError(
            f"{url}: the host's name is not known ({_words(reason)}); mend the address, or "
            "connect to a network"
        )
    if isinstance(reason, ssl.SSLCertVerificationError):
        raise CheckpointError(f"{url}: the host's certificate is not trusted ({_words(reason)})")
    if isinstance(reason, str):  # a redirect to another kind of address
        raise CheckpointError(f"{url} cannot be asked ({reason}); mend the address")


def _words(reason: object) -> str:
    if isinstance(reason, http.client.IncompleteRead):
        return "the connection ended too early"
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return (text or type(reason).__name__).splitlines()[0]


def _goes_on(headers: email.message.Message, begun: int, validator: str) -> bool:
    """Whether a part (206) is the rest of the same file."""
    found = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    same = "ETag" not in headers or not begun or _validator(headers) == validator
    return found is not None and int(found[1]) == begun and same


def _validator(headers: email.message.Message) -> str:
    """What tells this content from any other; a weak ETag does not (RFC 9110, 13.1.5)."""
    etag = headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return "" if etag else headers.get("Last-Modified", "")


def _refuse_what_cannot_be_checked(url: str, headers: email.message.Message) -> None:
    if headers.get_content_type() == "text/html":
        raise CheckpointError(
            f"{url} gives a page, not a file of weights; mend the address, or give the file's "
            "sha256 where it is right"
        )
    if "Content-Length" not in headers:
        raise CheckpointError(
            f"{url}: the server does not say how long the file is, so that nothing tells whether "
            "it is whole; give its sha256"
        )


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            piece = response.read1(PIECE_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise InterruptedTransferError(_words(error)) from None
        if not piece:
            return
        yield piece


def _progress(part: Path, begun: int, total: int | None) -> WorkProgress:
    what = part.name.removesuffix(".part")
    if begun:
        what += f" from {begun / MEGABYTE:,.0f} MB on"
    return WorkProgress(what, 0.0 if total is None else (total - begun) / MEGABYTE, "MB")


def _forget(part: Path, kept: Path) -> None:
    part.unlink(missing_ok=True)
    kept.unlink(missing_ok=True)
