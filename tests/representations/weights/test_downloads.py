"""Files at an address, from a server that fails in the ways that servers and networks do."""

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
from emoscale.representations.weights.origin import Origin
from emoscale.runtime.errors import CheckpointError
from tests.representations.weights.file_server import FileServer, serving

CONTENT = np.random.default_rng(1).bytes(250_000)
OTHER = np.random.default_rng(2).bytes(250_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT)) as made:
        yield made


@pytest.fixture(autouse=True)
def no_proxy_and_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def fetch(
    server: FileServer,
    cache: Path,
    sha256: str | None = None,
    path: str = "/models/weights.pt",
    offline: bool = False,
) -> Origin:
    settings = DownloadedFile(url=server.url(path), sha256=sha256)
    return fetch_checkpoint("speech", settings, cache, offline)


def left_in(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir()}


def test_it_is_downloaded_once(server: FileServer, tmp_path: Path) -> None:
    settings = DownloadedFile(url=server.url())
    assert not is_in_cache(settings, tmp_path)
    first = fetch(server, tmp_path)
    assert first.path.read_bytes() == CONTENT
    assert first.path.name == "weights.pt"
    assert first.path.is_absolute()
    assert first.path.stat().st_mode & 0o777 == first.path.parent.stat().st_mode & 0o666
    assert first.sha256 == SHA256
    assert first.weights == f"weights.pt, sha256 {SHA256[:8]}…"
    assert fetch(server, tmp_path) == first
    assert fetch(server, tmp_path, SHA256, offline=True) == first
    assert is_in_cache(settings, tmp_path)
    assert len(server.requests) == 1
    assert left_in(first.path.parent) == {".pt", ".sha256"}


def test_another_address_is_another_file(server: FileServer, tmp_path: Path) -> None:
    one, two = fetch(server, tmp_path, path="/a/w.pt"), fetch(server, tmp_path, path="/b/w.pt")
    assert one.path != two.path


def test_redirects_are_followed(server: FileServer, tmp_path: Path) -> None:
    assert fetch(server, tmp_path, path="/moved/models/weights.pt").sha256 == SHA256
    assert server.requests == ["/moved/models/weights.pt", "/models/weights.pt"]


def test_a_lost_connection_and_a_busy_server_are_tried_again(
    server: FileServer, tmp_path: Path
) -> None:
    server.drop_after, server.failures = [100_000], [503]
    assert fetch(server, tmp_path).sha256 == SHA256
    assert len(server.requests) == 3


def test_half_a_file_is_not_taken(server: FileServer, tmp_path: Path) -> None:
    server.drop_after = [100_000] * (fetching.RETRIES + 1)
    with pytest.raises(
        CheckpointError,
        match=r"^checkpoints\.speech: http.*pt cannot be downloaded \(.*100000 bytes read.*"
        r"and run again, or put the file at .*weights\.pt$",
    ):
        fetch(server, tmp_path)
    assert left_in(cached_path(server.url(), tmp_path).parent) == set()
    assert fetch(server, tmp_path).sha256 == SHA256


def test_a_wrong_digest_is_refused_and_removed(server: FileServer, tmp_path: Path) -> None:
    wanted = hashlib.sha256(OTHER).hexdigest()
    with pytest.raises(CheckpointError) as caught:
        fetch(server, tmp_path, wanted)
    assert str(caught.value) == (
        f"checkpoints.speech: {server.url()} gave a file of sha256 {SHA256}, not {wanted} as the "
        "configuration says; it is removed: where the new file is right, mend sha256, and run again"
    )
    assert left_in(cached_path(server.url(), tmp_path).parent) == set()
    server.content = OTHER
    assert fetch(server, tmp_path, wanted).sha256 == wanted


def test_the_first_download_decides(server: FileServer, tmp_path: Path) -> None:
    path = fetch(server, tmp_path).path
    path.unlink()
    server.content = OTHER
    with pytest.raises(
        CheckpointError, match=r"not \w+ as at the first download.* remove .*256, and"
    ):
        fetch(server, tmp_path)
    path.with_name("weights.pt.sha256").unlink()
    assert fetch(server, tmp_path).path.read_bytes() == OTHER


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_a_file_that_was_damaged_in_the_cache_is_refused(
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


def test_offline_says_where_to_put_the_file(server: FileServer, tmp_path: Path) -> None:
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
    path.write_bytes(OTHER)
    with pytest.raises(CheckpointError, match="damaged or was changed"):
        fetch(server, tmp_path, offline=True)
    assert server.requests == []


def test_what_cannot_be_had_is_one_sentence(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"w\.pt cannot be downloaded \(404 .*Not Found"):
        fetch(server, tmp_path, path="/missing/w.pt")
    with pytest.raises(
        CheckpointError, match=r"cannot be downloaded \(No connection adapters.*ftp"
    ):
        fetch(server, tmp_path, path="/elsewhere/w.pt")
    with pytest.raises(
        CheckpointError, match=r"cannot be downloaded \(.*not a valid host.*\); mend the add"
    ):
        fetch_checkpoint("speech", DownloadedFile(url="http://127.0.0.1:port/w.pt"), tmp_path)
    server.content = b"\n<!DOCTYPE html><html>Log in</html>"
    with pytest.raises(CheckpointError, match=r"gives a page, not a file of weights; mend"):
        fetch(server, tmp_path)
    assert left_in(cached_path(server.url(), tmp_path).parent) == set()


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        CheckpointError, match=r"cannot be downloaded \(.*\); mend the address or c"
    ):
        fetch(FileServer(b"", port=port), tmp_path)


def test_a_cache_that_cannot_be_written(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CheckpointError, match=r"cache.*; the cache needs room and the right to wr"):
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
def test_a_name_of_an_address_is_safe(tmp_path: Path, url: str, name: str) -> None:
    path = cached_path(DownloadedFile(url=url).url, tmp_path)
    assert path.name == name
    assert path.parent.parent == tmp_path
    assert path.resolve() == path
