"""Decoding of containers and spans, and refusal of damaged recordings."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoscale.audio.decoding import check_recording, read_recording, read_waveform
from emoscale.config.corpus import AudioChecks
from emoscale.runtime.errors import AudioError
from tests.conftest import WriteWav


def reason_of(path: Path, start: float | None = None, end: float | None = None) -> str:
    with pytest.raises(AudioError) as caught:
        check_recording(read_recording(path, start, end), AudioChecks(), path.name)
    assert path.name in str(caught.value)
    return caught.value.reason


def test_mono_16_khz_files_are_decoded_exactly(write_wav: WriteWav) -> None:
    path = write_wav(subtype="PCM_16")
    raw, _ = soundfile.read(path, dtype="int16")
    assert np.array_equal(read_waveform(path), raw.astype(np.float32) / 32768)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_sample_rates_and_channels_are_converted(
    write_wav: WriteWav, rate: int, channels: int
) -> None:
    path = write_wav(rate=rate, channels=channels, seconds=1.0)
    recording = read_recording(path)
    assert (recording.sample_rate, recording.channels) == (rate, channels)
    waveform = recording.waveform()
    assert len(waveform) == 16_000
    assert waveform.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(waveform))
    assert np.argmax(spectrum) == 440  # the frequency of the tone
    assert np.abs(waveform[2000:-2000]).max() == pytest.approx(0.3, abs=0.03)


FORMATS = [
    ("WAV", "PCM_16", "LITTLE"),
    ("WAV", "PCM_16", "BIG"),
    ("WAV", "PCM_24", "FILE"),
    ("WAV", "FLOAT", "FILE"),
    ("WAV", "MS_ADPCM", "FILE"),
    ("WAV", "GSM610", "FILE"),
    ("WAVEX", "PCM_16", "FILE"),
    ("RF64", "PCM_16", "FILE"),
    ("AIFF", "PCM_16", "FILE"),
    ("NIST", "PCM_16", "FILE"),
    ("FLAC", "PCM_16", "FILE"),
    ("OGG", "VORBIS", "FILE"),
    ("MP3", "MPEG_LAYER_III", "FILE"),
]


def write_format(path: Path, file_format: tuple[str, str, str]) -> Path:
    time = np.arange(16_000) / 16_000
    samples = 0.3 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(
        path, samples, 16_000, format=file_format[0], subtype=file_format[1], endian=file_format[2]
    )
    return path


@pytest.mark.parametrize("file_format", FORMATS, ids="-".join)
def test_formats(tmp_path: Path, file_format: tuple[str, str, str]) -> None:
    path = write_format(tmp_path / "tone.audio", file_format)
    recording = read_recording(path)
    assert recording.seconds == pytest.approx(1.0, abs=0.05)
    check_recording(recording, AudioChecks(), path.name)
    span = read_recording(path, 0.25, 0.5)
    np.testing.assert_allclose(span.samples, recording.samples[4000:8000], atol=1e-6)


@pytest.mark.parametrize(
    "file_format", [name for name in FORMATS if name[0] != "MP3"], ids="-".join
)
@pytest.mark.parametrize("fraction", [0.4, 0.7, 0.999])
def test_truncation_is_detected_in_every_container(
    tmp_path: Path, file_format: tuple[str, str, str], fraction: float
) -> None:
    path = write_format(tmp_path / "tone.audio", file_format)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    assert reason_of(path) in {"truncated", "unreadable"}


@pytest.mark.parametrize("file_format", ["W64", "AU", "CAF"])
def test_containers_whose_truncation_cannot_be_detected_are_refused(
    tmp_path: Path, file_format: str
) -> None:
    path = write_format(tmp_path / "tone.audio", (file_format, "PCM_16", "FILE"))
    assert reason_of(path) == "unreadable"


@pytest.mark.parametrize("file_format", [FORMATS[0], FORMATS[10], FORMATS[12]], ids="-".join)
def test_incorrect_headers_cost_no_memory_and_raise_audio_errors(
    tmp_path: Path, file_format: tuple[str, str, str]
) -> None:
    path = write_format(tmp_path / "tone.audio", file_format)
    content = path.read_bytes()
    for offset in range(4, 60):
        for value in (0, 127, 255, content[offset] ^ 1):
            path.write_bytes(content[:offset] + bytes([value]) + content[offset + 1 :])
            with contextlib.suppress(AudioError):
                assert len(read_recording(path).samples) <= 64_000


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 2**31 - 1])
def test_implausible_sample_rates_are_refused(write_wav: WriteWav, rate: int) -> None:
    """At 1 Hz, a kilobyte would become 16 MB when resampled."""
    path = write_wav()
    content = path.read_bytes()
    path.write_bytes(content[:24] + struct.pack("<I", rate) + content[28:])
    assert reason_of(path) == "unreadable"


def test_flac_written_to_a_pipe_states_no_length_and_is_accepted(tmp_path: Path) -> None:
    path = write_format(tmp_path / "tone.flac", ("FLAC", "PCM_16", "FILE"))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the sample count: 36 bits of STREAMINFO
    content[22:26] = bytes(4)
    path.write_bytes(bytes(content))
    assert len(read_recording(path).samples) == 16_000
    assert len(read_recording(path, 0.25, 0.5).samples) == 4_000
    assert reason_of(path, 0.5, 9.0) == "outside the file"


def test_missing(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "no.wav") == "missing"


def test_folder_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    assert reason_of(tmp_path / "folder.wav") == "unreadable"


def test_empty(tmp_path: Path, write_wav: WriteWav) -> None:
    (tmp_path / "zero.wav").write_bytes(b"")
    assert reason_of(tmp_path / "zero.wav") == "empty"
    assert reason_of(write_wav("header.wav", seconds=0.0)) == "empty"


@pytest.mark.parametrize(
    "content", [b"not audio at all", b"RIFF", bytes(1000), b"\x00\x05\x16\x07"]
)
def test_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    assert reason_of(tmp_path / "bad.wav") == "unreadable"


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.99])
def test_truncated_wav(write_wav: WriteWav, fraction: float) -> None:
    path = write_wav()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    assert reason_of(path) == "truncated"


def test_truncated_flac(write_wav: WriteWav, tmp_path: Path) -> None:
    samples, rate = soundfile.read(write_wav(seconds=2.0))
    path = tmp_path / "cut.flac"
    soundfile.write(path, samples, rate)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert reason_of(path) in {"truncated", "unreadable"}


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFF00, 0x80000000])
def test_wav_written_to_a_pipe_states_no_length_and_is_accepted(
    write_wav: WriteWav, size: int
) -> None:
    path = write_wav()
    content = bytearray(path.read_bytes())
    offset = content.index(b"data") + 4
    content[offset : offset + 4] = struct.pack("<I", size)
    path.write_bytes(bytes(content))
    assert read_recording(path).seconds == pytest.approx(0.5)


def test_silent_and_too_short(write_wav: WriteWav) -> None:
    assert reason_of(write_wav("silent.wav", level=0.0)) == "silent"
    assert reason_of(write_wav("short.wav", seconds=0.05)) == "too short"


def test_channels_that_cancel_are_silent(tmp_path: Path, write_wav: WriteWav) -> None:
    samples, rate = soundfile.read(write_wav())
    path = tmp_path / "cancel.wav"
    soundfile.write(path, np.stack([samples, -samples], axis=1), rate, subtype="FLOAT")
    assert reason_of(path) == "silent"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(tmp_path: Path, bad: float) -> None:
    samples = np.full(8000, 0.1, dtype=np.float32)
    samples[100] = bad
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    assert reason_of(tmp_path / "nan.wav") == "not finite"


def test_samples_far_out_of_range(tmp_path: Path) -> None:
    samples = np.full(8000, 0.1, dtype=np.float32)
    samples[100] = 1e20
    soundfile.write(tmp_path / "huge.wav", samples, 16_000, subtype="FLOAT")
    assert reason_of(tmp_path / "huge.wav") == "out of range"


def test_unusual_file_names_are_refused(write_wav: WriteWav, tmp_path: Path) -> None:
    write_wav("tone.wav").rename(tmp_path / "tone.raw")
    for name in ("tone.raw", "a\0b.wav"):
        with pytest.raises(AudioError) as caught:
            read_recording(tmp_path / name)
        assert caught.value.reason == "unreadable"


def test_spans(write_wav: WriteWav) -> None:
    path = write_wav(seconds=1.0)
    waveform = read_waveform(path)
    assert np.array_equal(read_waveform(path, 0.25, 0.75), waveform[4000:12000])
    assert np.array_equal(read_waveform(path, 0.25), waveform[4000:])
    assert np.array_equal(read_waveform(path, None, 0.75), waveform[:12000])
    for start, end in ((0.5, 0.5), (0.7, 0.2), (2.0, 3.0), (0.5, 1.5)):
        assert reason_of(path, start, end) == "outside the file"


def test_digest_depends_on_the_samples_only(write_wav: WriteWav, tmp_path: Path) -> None:
    path = write_wav()
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(tmp_path / "same.flac", samples, rate, subtype="PCM_16")
    digest = read_recording(path).sha256()
    assert read_recording(tmp_path / "same.flac").sha256() == digest
    samples[10] += 1
    soundfile.write(tmp_path / "other.wav", samples, rate, subtype="PCM_16")
    assert read_recording(tmp_path / "other.wav").sha256() != digest


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        ("4294967295", "truncated"),
        ("9" * 30, "truncated"),
        ("16000", "truncated"),
        ("-1", None),
        ("0", None),
        ("nan", None),
        ("", None),
    ],
)
def test_incorrect_sphere_headers_cost_no_memory(
    tmp_path: Path, count: str, reason: str | None
) -> None:
    """The file is refused, or its actual samples are read."""
    path = tmp_path / "a.sph"
    soundfile.write(path, np.full(8_000, 0.1), 16_000, "PCM_16", format="NIST")
    content = path.read_bytes()
    (line,) = [line for line in content.split(b"\n") if line.startswith(b"sample_count")]
    changed_line = b"sample_count -i " + count.encode()
    header = content[:1024].replace(line, changed_line).ljust(1024, b" ")[:1024]
    path.write_bytes(header + content[1024:])
    if reason is not None:
        assert reason_of(path) == reason
    else:
        with contextlib.suppress(AudioError):
            assert len(read_recording(path).samples) <= 8_100


def test_small_files_that_decode_to_gigabytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "zeros.flac"
    soundfile.write(path, np.zeros(3_000_000, np.float32), 48_000)
    assert path.stat().st_size < 30_000
    assert len(read_recording(path).samples) == 3_000_000
    monkeypatch.setattr("emoscale.audio.decoding._MAX_VALUES", 2_000_000)
    assert reason_of(path) == "too long"
    assert len(read_recording(path, 1.0, 2.0).samples) == 48_000
