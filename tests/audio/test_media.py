"""Audio in MP4, M4A, WebM and Matroska files, and recordings that Git LFS did not download."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from emoscale.audio.decoding import check_recording, read_recording
from emoscale.config.corpus import AudioChecks
from emoscale.runtime.errors import AudioError, UserError
from tests.damage import check_reading, damaged_bytes

av = pytest.importorskip("av", reason="PyAV is optional")

RATE = 48_000
CONTAINERS = {"clip.mp4": "aac", "clip.m4a": "aac", "clip.webm": "libopus", "clip.mkv": "pcm_s16le"}


def tone(channels: int = 1, seconds: float = 1.0) -> NDArray[np.float32]:
    """Tone of 440 Hz that is louder in each further channel."""
    time = np.arange(round(seconds * RATE)) / RATE
    levels = 0.1 * np.arange(1, channels + 1)
    return (levels[:, None] * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def write_media(
    path: Path, codec: str, samples: NDArray[np.float32] | None, layout: str = "mono"
) -> Path:
    """Write a file with one second of black video and, unless `samples` is None, audio."""
    faststart = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=faststart) as media:
        sound = None
        if samples is not None:
            sound = media.add_stream(codec, rate=RATE, layout=layout)
        if path.suffix != ".m4a":
            video = media.add_stream("libvpx" if path.suffix == ".webm" else "mpeg4", rate=10)
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
            for _ in range(10):
                image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                media.mux(video.encode(image))
            media.mux(video.encode(None))
        if sound is not None and samples is not None:
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate = RATE
            media.mux(sound.encode(frame))
            media.mux(sound.encode(None))
    return path


def reason_of(path: Path, start: float | None = None, end: float | None = None) -> str:
    with pytest.raises(AudioError) as caught:
        read_recording(path, start, end)
    assert path.name in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(("name", "codec"), CONTAINERS.items())
def test_audio_of_containers(tmp_path: Path, name: str, codec: str) -> None:
    path = write_media(tmp_path / name, codec, tone(2), "stereo")
    recording = read_recording(path)
    assert (recording.sample_rate, recording.channels) == (RATE, 2)
    assert recording.seconds == pytest.approx(1.0, abs=0.05)
    check_recording(recording, AudioChecks(), name)
    peaks = np.abs(recording.samples[10_000:30_000]).max(axis=0)
    np.testing.assert_allclose(peaks, [0.1, 0.2], atol=0.02)
    spectrum = np.abs(np.fft.rfft(recording.waveform()[:16_000]))
    assert np.argmax(spectrum) == 440
    np.testing.assert_array_equal(
        read_recording(path, 0.25, 0.5).samples, recording.samples[12_000:24_000]
    )
    np.testing.assert_array_equal(read_recording(path, 0.9).samples, recording.samples[43_200:])
    for start, end in ((0.5, 0.5), (-1.0, 0.5), (2.0, None), (0.5, 1.5)):
        assert reason_of(path, start, end) == "outside the file"


def test_surround_sound_has_all_its_channels(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4", "aac", tone(6), "5.1")
    recording = read_recording(path)
    assert recording.channels == 6
    assert np.abs(recording.waveform()).max() == pytest.approx(0.35, abs=0.1)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm"])
def test_video_without_audio_is_refused(tmp_path: Path, name: str) -> None:
    assert reason_of(write_media(tmp_path / name, "", None)) == "no audio"


@pytest.mark.parametrize(("name", "codec"), CONTAINERS.items())
@pytest.mark.parametrize("fraction", [0.4, 0.7, 0.999])
def test_truncated_files_are_refused(
    tmp_path: Path, name: str, codec: str, fraction: float
) -> None:
    path = write_media(tmp_path / name, codec, tone())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    assert reason_of(path) in {"truncated", "unreadable"}


def test_without_pyav_the_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_media(tmp_path / "clip.mp4", "aac", tone())
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"clip.mp4: .*pip install .*\.\[containers\]"):
        read_recording(path)


@pytest.mark.parametrize(("name", "codec"), CONTAINERS.items())
def test_damaged_files(tmp_path: Path, name: str, codec: str) -> None:
    path = write_media(tmp_path / name, codec, tone(seconds=0.2))
    intact = path.read_bytes()

    def read() -> None:
        recording = read_recording(path)
        check_recording(recording, AudioChecks(), path.name)
        recording.waveform()

    @settings(max_examples=40)
    @given(content=damaged_bytes(intact, 96) | damaged_bytes(intact))
    def read_damaged(content: bytes) -> None:
        path.write_bytes(content)
        check_reading(tmp_path, read, [path.name])

    read_damaged()


def test_pointers_of_git_lfs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "1001_DFA_ANG_XX.wav"
    path.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 72750\n"
    )
    with pytest.raises(AudioError, match=r"is a Git LFS pointer.*git lfs pull") as caught:
        read_recording(path)
    assert caught.value.reason == "not downloaded"
