"""Downloads of files from a server that simulates failures of servers and networks."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emoscale.config.checkpoints import DownloadedFile
from emoscale.representations.weights import fetching
from emoscale.representations.weights.fetching import cached_path, fetch_checkpoint, is_in_cache
from emoscale.representations.weights.local_checkpoint import LocalCheckpoint
from emoscale.runtime.errors import CheckpointError
from tests.representations.weights.file_server import FileServer, serving

CONTENT = np.random.default_rng(1).bytes(250_000)
OTHER_CONTENT = np.random.default_rng(2).bytes(250_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT)) as server:
        yield server


@pytest.fixture(autouse=True)
def no_proxy_and_no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def fetch(
    server: FileServer,
    cache: Path,
    sha256: str | None = None,
    path: str = "/models/weights.pt",
    offline: bool = False,
) -> LocalCheckpoint:
    settings = DownloadedFile(url=server.url(path), sha256=sha256)
    return fetch_checkpoint("speech", settings, cache, offline)


def file_suffixes(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir()}


def test_file_is_downloaded_once(server: FileServer, tmp_path: Path) -> None:
    settings = DownloadedFile(url=server.url())
    assert not is_in_cache(settings, tmp_path)
    first = fetch(server, tmp_path)
    assert first.path.read_bytes() == CONTENT
    assert first.path.name == "weights.pt"
    assert first.path.is_absolute()
    assert first.path.stat().st_mode & 0o777 == first.path.parent.stat().st_mode & 0o666
    assert first.sha256 == SHA256
    assert first.pretrained_weights == f"weights.pt, sha256 {SHA256[:8]}…"
    assert fetch(server, tmp_path) == first
    assert fetch(server, tmp_path, SHA256, offline=True) == first
    assert is_in_cache(settings, tmp_path)
    assert len(server.requests) == 1
    assert file_suffixes(first.path.parent) == {".pt", ".sha256"}


def test_different_addresses_have_different_paths(server: FileServer, tmp_path: Path) -> None:
    first, second = (fetch(server, tmp_path, path=path) for path in ("/a/w.pt", "/b/w.pt"))
    assert first.path != second.path


def test_redirects_are_followed(server: FileServer, tmp_path: Path) -> None:
    assert fetch(server, tmp_path, path="/moved/models/weights.pt").sha256 == SHA256
    assert server.requests == ["/moved/models/weights.pt", "/models/weights.pt"]


def test_lost_connection_and_busy_server_are_retried(server: FileServer, tmp_path: Path) -> None:
    server.drop_after, server.failures = [100_000], [503]
    assert fetch(server, tmp_path).sha256 == SHA256
    assert len(server.requests) == 3


def test_incomplete_download_is_discarded(server: FileServer, tmp_path: Path) -> None:
    server.drop_after = [100_000] * (fetching.RETRIES + 1)
    with pytest.raises(
        CheckpointError,
        match=r"^checkpoints\.speech: http.*pt cannot be downloaded \(.*100000 bytes read.*"
        r"and run again, or put the file at .*weights\.pt$",
    ):
        fetch(server, tmp_path)
    assert file_suffixes(cached_path(server.url(), tmp_path).parent) == set()
    assert fetch(server, tmp_path).sha256 == SHA256


def test_download_with_another_digest_is_removed(server: FileServer, tmp_path: Path) -> None:
    expected = hashlib.sha256(OTHER_CONTENT).hexdigest()
    with pytest.raises(CheckpointError) as caught:
        fetch(server, tmp_path, expected)
    assert str(caught.value) == (
        f"checkpoints.speech: {server.url()} has sha256 {SHA256}, not {expected} as in the "
        "configuration; the downloaded file was removed: if it is the correct one, correct sha256, "
        "and run again"
    )
    assert file_suffixes(cached_path(server.url(), tmp_path).parent) == set()
    server.content = OTHER_CONTENT
    assert fetch(server, tmp_path, expected).sha256 == expected


def test_digest_of_the_first_download_is_required_later(server: FileServer, tmp_path: Path) -> None:
    path = fetch(server, tmp_path).path
    path.unlink()
    server.content = OTHER_CONTENT
    with pytest.raises(
        CheckpointError, match=r"not \w+ as at the first download.* remove .*256, and"
    ):
        fetch(server, tmp_path)
    path.with_name("weights.pt.sha256").unlink()
    assert fetch(server, tmp_path).path.read_bytes() == OTHER_CONTENT


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_damaged_file_in_the_cache_is_refused(
    server: FileServer, tmp_path: Path, sha256: str | None
) -> None:
    path = fetch(server, tmp_path, sha256).path
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(
        CheckpointError, match=r"it is damaged or was changed; remove it and run again to download"
    ):
        fetch(server, tmp_path, sha256)
    path.unlink()
    assert fetch(server, tmp_path, sha256).path.read_bytes() == CONTENT


def test_offline_error_names_the_path_for_the_file(server: FileServer, tmp_path: Path) -> None:
    path = cached_path(server.url(), tmp_path)
    with pytest.raises(CheckpointError) as caught:
        fetch(server, tmp_path, offline=True)
    assert str(caught.value) == (
        f"checkpoints.speech: {server.url()} is not in the cache and nothing is "
        f"downloaded offline; put the file at {path}, or run without offline"
    )
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert fetch(server, tmp_path, offline=True) == fetch(server, tmp_path, SHA256)
    path.write_bytes(OTHER_CONTENT)
    with pytest.raises(CheckpointError, match="damaged or was changed"):
        fetch(server, tmp_path, offline=True)
    assert server.requests == []


def test_message_of_a_failed_download(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"w\.pt cannot be downloaded \(404 .*Not Found"):
        fetch(server, tmp_path, path="/missing/w.pt")
    with pytest.raises(
        CheckpointError, match=r"cannot be downloaded \(No connection adapters.*ftp"
    ):
        fetch(server, tmp_path, path="/elsewhere/w.pt")
    with pytest.raises(
        CheckpointError, match=r"cannot be downloaded \(.*not a valid host.*\); correct the add"
    ):
        fetch_checkpoint("speech", DownloadedFile(url="http://127.0.0.1:port/w.pt"), tmp_path)
    server.content = b"\n<!DOCTYPE html><html>Log in</html>"
    with pytest.raises(CheckpointError, match=r"is a web page, not a file of weights; correct"):
        fetch(server, tmp_path)
    assert file_suffixes(cached_path(server.url(), tmp_path).parent) == set()


def test_unreachable_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(
        CheckpointError, match=r"cannot be downloaded \(.*\); correct the address or c"
    ):
        fetch(FileServer(b"", port=port), tmp_path)


def test_cache_that_is_not_writable(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(
        CheckpointError, match=r"cache.*; the cache needs free space and write perm"
    ):
        fetch(server, tmp_path / "cache")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/models/wav2vec_large.pt", "wav2vec_large.pt"),
        ("https://example.org/w.pt?name=../../w.sh#part", "w.pt"),
        ("https://example.org/a/..", "weights"),
        ("https://example.org/a/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "_.._etc_passwd"),
        ("https://example.org/.bashrc", "bashrc"),
        ("https://example.org/a%00b\\c:d.pt", "a_b_c_d.pt"),
        ("https://example.org/models/", "weights"),
        ("https://example.org", "weights"),
        ("https://example.org/" + 300 * "a" + ".pt", 97 * "a" + ".pt"),
    ],
)
def test_file_name_from_an_address_is_safe(tmp_path: Path, url: str, name: str) -> None:
    path = cached_path(DownloadedFile(url=url).url, tmp_path)
    assert path.name == name
    assert path.parent.parent == tmp_path
    assert path.resolve() == path
