"""How far apart copies and different recordings are in a corpus, and how long an audit takes.

    python benchmarks/audit_margins.py /path/to/emodb [--utterances 10000]

For every recording and every kind of copy (tests/audit/speech.py): the fingerprint's similarity
and the waveforms' correlation; against them those of all pairs of different recordings. With
`--utterances`, that many recordings are made from the corpus's (two in a row, each at a speed of
its own), written as WAV, and measured as the workflow does.
"""

import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import polars as pl
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import signal

from emoscale.audio.decoding import SAMPLE_RATE, read_recording, read_waveform
from emoscale.audit.fingerprint import HIGHEST_HZ, LOWEST_HZ, fingerprint
from emoscale.audit.measuring import find_pairs, measure_shard
from emoscale.audit.same_recordings import SAME, SIMILAR, match

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.audit.speech import COPIES

Waves = list[NDArray[np.float32]]


def _telephone(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    band = signal.butter(4, [300, 3400], "band", fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(band, wave), np.float32)


def _room(wave: NDArray[np.float32], seconds: float = 0.3) -> NDArray[np.float32]:
    """White noise that decays by 60 dB in `seconds`, after a direct sound of its own energy."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    response = np.random.default_rng(1).normal(size=len(time)) * 10 ** (-3 * time / seconds)
    response[0] += np.sqrt(np.sum(np.square(response)))
    return np.asarray(signal.fftconvolve(wave, response), np.float32)


def _slower(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(soxr.resample(wave, SAMPLE_RATE, 1.01 * SAMPLE_RATE), np.float32)


HARD_TO_FIND = {
    "a telephone's band": _telephone,
    "in a room of 0.3 s": _room,
    "1 % slower": _slower,
}


@click.command(help=__doc__)
@click.argument("root", type=click.Path(path_type=Path, exists=True))
@click.option("--utterances", default=0, help="Measure this many made recordings, too.")
def main(root: Path, utterances: int) -> None:
    paths = sorted([*root.rglob("*.flac"), *root.rglob("*.wav")])
    waves = [read_waveform(path) for path in paths]
    prints = np.stack([fingerprint(wave) for wave in waves])
    click.echo(f"{len(waves)} recordings; thresholds: similarity {SIMILAR}, correlation {SAME}")
    _different(prints, waves, [path.stem for path in paths])
    for name, copy in COPIES.items():
        similarity, correlation = [], []
        for own, wave in zip(prints, waves, strict=True):
            changed = copy(wave)
            similarity.append(float(own @ fingerprint(changed)))
            correlation.append(match(wave, changed).correlation)
        click.echo(
            f"{name}: similarity from {min(similarity):.4f}, correlation {min(correlation):.4f}"
        )
    for name, change in HARD_TO_FIND.items():
        correlation = [match(wave, change(wave)).correlation for wave in waves[::5]]
        click.echo(f"{name}: correlation {min(correlation):.2f} to {max(correlation):.2f}")
    if utterances:
        _speed(waves, utterances)


def _different(prints: NDArray[np.float32], waves: Waves, names: list[str]) -> None:
    """The most similar and the most correlated pair of different recordings, of all pairs."""
    similarity = np.triu(prints @ prints.T, 1)
    one, other = np.unravel_index(similarity.argmax(), similarity.shape)
    highest = similarity[one, other]
    click.echo(f"different: similarity up to {highest:.4f} ({names[one]}, {names[other]})")
    spectra = _band_spectra(waves)
    best, pair = 0.0, (0, 0)
    for row, spectrum in enumerate(spectra[:-1]):
        courses = np.abs(np.fft.irfft(spectra[row + 1 :] * np.conj(spectrum), axis=1))
        peaks = courses.max(axis=1)
        if peaks.max() > best:
            best, pair = float(peaks.max()), (row, row + 1 + int(peaks.argmax()))
    click.echo(f"different: correlation up to {best:.4f} ({names[pair[0]]}, {names[pair[1]]})")


def _band_spectra(waves: Waves) -> NDArray[np.complex64]:
    """[recordings, bins] of the band that is compared, so that lags are those of 8 kHz."""
    size = 1 << int(np.ceil(np.log2(2 * max(map(len, waves)))))
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    inside = (frequencies >= LOWEST_HZ) & (frequencies <= HIGHEST_HZ)
    kept = []
    for wave in waves:
        spectrum = (np.fft.rfft(wave, size) * inside)[: size // 4 + 1].astype(np.complex64)
        # irfft divides by its length, and sees each bin twice
        kept.append(spectrum * np.sqrt(size / 4 / np.sum(np.abs(spectrum) ** 2)))
    return np.stack(kept)


def _speed(waves: Waves, utterances: int) -> None:
    generator = np.random.default_rng(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(utterances):
            parts = [
                soxr.resample(waves[place], SAMPLE_RATE, SAMPLE_RATE * generator.uniform(0.8, 1.25))
                for place in generator.integers(len(waves), size=2)
            ]
            wave = np.concatenate(parts)
            soundfile.write(Path(folder) / f"{number}.wav", wave, SAMPLE_RATE, subtype="PCM_16")
            rows.append((f"{number:06d}", f"{number}.wav", len(wave) / SAMPLE_RATE))
        table = pl.DataFrame(rows, ["utterance", "audio", "seconds"], orient="row").with_columns(
            start=pl.lit(None, pl.Float64),
            end=pl.lit(None, pl.Float64),
            audio_sha256=pl.Series(
                [read_recording(Path(folder) / row[1]).sha256() for row in rows]
            ),
        )
        wall, processor = time.perf_counter(), time.process_time()
        pairs = find_pairs(table, measure_shard(table, Path(folder)), Path(folder))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    hours = float(table["seconds"].sum()) / 3600
    click.echo(
        f"{utterances} made recordings, {hours:.1f} hours, one thread: {wall:.0f} s, of which the"
    )
    click.echo(f"processor worked {processor:.0f} s; {len(pairs)} pairs were found")


if __name__ == "__main__":
    main()
