"""Files at an address, from a server that fails in the ways that servers and networks do."""

from __future__ import annotations

import hashlib
import multiprocessing
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoscale.config.checkpoints import DownloadedFile
from emoscale.representations.weights.downloads import cached_path, fetch_file
from emoscale.representations.weights.origin import Weights
from emoscale.runtime.errors import CheckpointError
from tests.representations.weights.file_server import FileServer, serving

CONTENT = np.random.default_rng(1).bytes(250_000)
OTHER = np.random.default_rng(2).bytes(250_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
AT_ONCE = (0.0,) * 3


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT)) as made:
        yield made


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def fetch(
    server: FileServer,
    cache: Path,
    sha256: str | None = None,
    path: str = "/models/weights.pt",
    offline: bool = False,
    pauses: tuple[float, ...] = AT_ONCE,
    timeout_seconds: float = 5.0,
) -> Weights:
    settings = DownloadedFile(url=server.url(path), sha256=sha256)
    return fetch_file(settings, cache, offline, pauses, timeout_seconds)


def left_in(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir()}


def test_it_is_downloaded_once(server: FileServer, tmp_path: Path) -> None:
    first = fetch(server, tmp_path)
    assert first.path.read_bytes() == CONTENT
    assert first.path.name == "weights.pt"
    assert first.path.is_absolute()
    assert first.sha256 == SHA256
    assert first.phrase == f"weights.pt, sha256 {SHA256[:8]}…"
    assert fetch(server, tmp_path) == first
    assert fetch(server, tmp_path, SHA256, offline=True) == first
    assert len(server.requests) == 1
    assert left_in(first.path.parent) == {".pt", ".sha256", ".lock"}


def test_another_address_is_another_file(server: FileServer, tmp_path: Path) -> None:
    one, two = fetch(server, tmp_path, path="/a/w.pt"), fetch(server, tmp_path, path="/b/w.pt")
    assert one.path != two.path


def test_redirects_are_followed(server: FileServer, tmp_path: Path) -> None:
    assert fetch(server, tmp_path, path="/moved/models/weights.pt").sha256 == SHA256
    assert [path for path, _ in server.requests] == [
        "/moved/models/weights.pt",
        "/models/weights.pt",
    ]


def test_a_dropped_connection_goes_on_where_it_ended(server: FileServer, tmp_path: Path) -> None:
    server.drop_after = [100_000, 50_000]
    assert fetch(server, tmp_path).sha256 == SHA256
    assert server.sent_bytes == len(CONTENT)
    assert [headers.get("Range") for _, headers in server.requests] == [
        None,
        "bytes=100000-",
        "bytes=150000-",
    ]
    assert server.requests[1][1]["If-Range"] == '"first"'


def test_another_run_goes_on_where_one_ended(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.drop_after = [100_000]
    with pytest.raises(
        CheckpointError,
        match=r"could not be downloaded in 1 tries \(the connection ended after 100,000 of 250,000 "
        r"bytes\); run again to go on from what is there, or put the file at .*weights\.pt$",
    ):
        fetch(server, tmp_path, pauses=())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert server.sent_bytes == len(CONTENT)
    assert "weights.pt from 0 MB on: 0 of 0 MB" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"etag": '"second"'},
        {"honours_range": False},
        # Gives the rest of another file, whatever If-Range asks: its ETag tells.
        {"etag": '"second"', "honours_if_range": False},
    ],
    ids=["changed", "no ranges", "changed, and If-Range unknown"],
)
def test_a_file_that_cannot_go_on_starts_anew(
    server: FileServer, tmp_path: Path, change: dict[str, Any]
) -> None:
    server.content, server.drop_after = OTHER, [100_000]
    with pytest.raises(CheckpointError):
        fetch(server, tmp_path, pauses=())
    server.content = CONTENT
    for name, value in change.items():
        setattr(server, name, value)
    assert fetch(server, tmp_path).path.read_bytes() == CONTENT


def test_a_date_tells_a_file_too(server: FileServer, tmp_path: Path) -> None:
    server.etag, server.last_modified = None, "Mon, 15 Jul 2019 12:00:00 GMT"
    server.drop_after = [100_000]
    assert fetch(server, tmp_path).sha256 == SHA256
    assert server.requests[1][1]["If-Range"] == server.last_modified
    assert server.sent_bytes == len(CONTENT)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_etag_it_starts_anew(
    server: FileServer, tmp_path: Path, etag: str | None
) -> None:
    server.etag, server.drop_after = etag, [100_000]
    assert fetch(server, tmp_path).sha256 == SHA256
    assert [headers.get("Range") for _, headers in server.requests] == [None, None]


def test_a_part_that_is_longer_than_the_file_starts_anew(
    server: FileServer, tmp_path: Path
) -> None:
    path = cached_path(server.url(), tmp_path)
    path.parent.mkdir()
    path.with_name("weights.pt.part").write_bytes(CONTENT + b"more")
    path.with_name("weights.pt.part.etag").write_text('"first"')
    assert fetch(server, tmp_path).sha256 == SHA256
    assert len(server.requests) == 2


def test_a_server_that_is_busy_is_asked_again(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.failures = [503, 429]
    assert fetch(server, tmp_path, pauses=(0.0, 0.01)).sha256 == SHA256
    told = capsys.readouterr().err
    assert "the server answers 503 Service Unavailable; trying again in 0 s" in told
    assert "trying again in 0.01 s" in told


def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = FileServer(b"", port=silent.getsockname()[1])
        with pytest.raises(CheckpointError, match=r"downloaded in 1 tries \(timed out\)"):
            fetch(server, tmp_path, pauses=(), timeout_seconds=0.1)


def test_a_server_that_stalls_is_not_waited_for(server: FileServer, tmp_path: Path) -> None:
    server.piece_pause_seconds = 0.5
    with pytest.raises(CheckpointError, match=r"downloaded in 1 tries \(timed out\)"):
        fetch(server, tmp_path, pauses=(), timeout_seconds=0.1)


def test_a_wrong_length_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.extra_length = 1_000
    with pytest.raises(CheckpointError, match=r"250,000 of 251,000 bytes"):
        fetch(server, tmp_path, pauses=())
    assert not cached_path(server.url(), tmp_path).exists()


def test_without_a_length_the_digest_must_be_known(server: FileServer, tmp_path: Path) -> None:
    server.says_length = False
    with pytest.raises(CheckpointError, match=r"does not say how long .* give its sha256$"):
        fetch(server, tmp_path)
    assert fetch(server, tmp_path, SHA256).sha256 == SHA256


def test_a_file_that_comes_in_chunks_goes_on_too(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.chunked, server.drop_after = True, [100_000]
    assert fetch(server, tmp_path, SHA256).sha256 == SHA256
    assert server.sent_bytes == len(CONTENT)
    assert "weights.pt: the connection ended too early; trying" in capsys.readouterr().err


def test_a_wrong_digest_is_refused_and_removed(server: FileServer, tmp_path: Path) -> None:
    wanted = hashlib.sha256(OTHER).hexdigest()
    with pytest.raises(CheckpointError) as caught:
        fetch(server, tmp_path, wanted)
    assert str(caught.value) == (
        f"{server.url()} gave a file of sha256 {SHA256}, not {wanted} as the configuration says; "
        "it is removed: mend sha256 where the file is right, or run again"
    )
    assert left_in(cached_path(server.url(), tmp_path).parent) == {".lock"}
    server.content = OTHER
    assert fetch(server, tmp_path, wanted).sha256 == wanted


def test_the_first_download_decides(server: FileServer, tmp_path: Path) -> None:
    path = fetch(server, tmp_path).path
    path.unlink()
    server.content = OTHER
    with pytest.raises(CheckpointError, match=r"not \w+ as at the first download.* remove .*256 "):
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
        f"{server.url()} is not in the cache and nothing is downloaded offline; put the file at "
        f"{path}, or run without offline"
    )
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert fetch(server, tmp_path, offline=True) == fetch(server, tmp_path, SHA256)
    path.write_bytes(OTHER)
    with pytest.raises(CheckpointError, match="damaged or was changed"):
        fetch(server, tmp_path, offline=True)
    assert server.requests == []


def test_what_another_try_does_not_help_is_one_sentence(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"w\.pt: the server answers 404 Not Found; mend"):
        fetch(server, tmp_path, path="/missing/w.pt")
    with pytest.raises(CheckpointError, match=r"cannot be asked \(unknown url type: ftp\); mend"):
        fetch(server, tmp_path, path="/elsewhere")
    assert len(server.requests) == 2
    server.content_type = "text/html; charset=utf-8"
    with pytest.raises(CheckpointError, match=r"gives a page, not a file of weights; mend"):
        fetch(server, tmp_path)
    for url in ("http://127.0.0.1:port/w.pt", "http://127.0.0.1/ü.pt"):
        with pytest.raises(CheckpointError, match="is no address that can be asked; mend it"):
            fetch_file(DownloadedFile(url=url), tmp_path)


def test_a_host_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    settings = DownloadedFile(url="http://weights.invalid/w.pt")
    with pytest.raises(
        CheckpointError,
        match=r"the host's name is not known \(Name or service not known\); mend the address",
    ):
        fetch_file(settings, tmp_path)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(CheckpointError, match=r"in 4 tries \(Connection refused\)"):
        fetch(FileServer(b"", port=port), tmp_path)


def test_a_full_disk(server: FileServer, tmp_path: Path) -> None:
    path = cached_path(server.url(), tmp_path)
    path.parent.mkdir()
    path.with_name("weights.pt.part").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match=r"weights\.pt: No space left on device; the cache n"):
        fetch(server, tmp_path)


def test_a_cache_that_cannot_be_written(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CheckpointError, match=r"Not a directory; the cache needs room and the ri"):
        fetch(server, tmp_path / "cache")


def test_of_two_processes_one_downloads(server: FileServer, tmp_path: Path) -> None:
    server.piece_pause_seconds = 0.01
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [
        context.Process(target=lambda: results.put(fetch(server, tmp_path).sha256))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    assert {results.get(timeout=20) for _ in processes} == {SHA256}
    for process in processes:
        process.join()
    assert len(server.requests) == 1


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
