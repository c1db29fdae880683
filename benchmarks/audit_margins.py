"""Measure the margins of duplicate detection on a corpus, and the duration of an audit.

    python benchmarks/audit_margins.py /path/to/emodb [--step 5] [--utterances 10000]

For every recording (or every fifth, with `--step 5`) and every kind of modified copy
(tests/audit/speech.py): the similarity of the fingerprints, the correlation of the waveforms and
that of their frames. Of all pairs of different recordings: the highest similarity and correlation,
and how many pairs each step of the search leaves. With `--utterances`, that many recordings are
generated (two recordings of the corpus in a row, each at a random speed), written as WAV, and
audited as in the workflow.
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

from emoscale.audio.decoding import read_recording, read_waveform
from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.audit.alignment import (
    CORRELATION_THRESHOLD,
    FRAME_CORRELATION_THRESHOLD,
    frame_correlation,
    match_waveforms,
)
from emoscale.audit.duplicates import SIMILARITY_THRESHOLD, similar_pairs
from emoscale.audit.fingerprint import HIGHEST_HZ, LOWEST_HZ, fingerprint
from emoscale.audit.measurement import find_corpus_duplicates, measure_shard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.audit.speech import COPIES

THRESHOLDS = (SIMILARITY_THRESHOLD, CORRELATION_THRESHOLD, FRAME_CORRELATION_THRESHOLD)

Waves = list[NDArray[np.float32]]


def _telephone(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    band = signal.butter(4, [300, 3400], "band", fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(band, wave), np.float32)


def _reverberate(wave: NDArray[np.float32], seconds: float = 0.3) -> NDArray[np.float32]:
    """Convolve with noise that decays by 60 dB in `seconds`, after direct sound of equal energy."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    response = np.random.default_rng(1).normal(size=len(time)) * 10 ** (-3 * time / seconds)
    response[0] += np.sqrt(np.sum(np.square(response)))
    return np.asarray(signal.fftconvolve(wave, response), np.float32)


def _slow_down(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(soxr.resample(wave, SAMPLE_RATE, 1.01 * SAMPLE_RATE), np.float32)


def _cut(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    return wave[len(wave) // 5 : -len(wave) // 5]


HARD_TO_FIND = {
    "telephone band": _telephone,
    "reverberation of 0.3 s": _reverberate,
    "the middle 60 %": _cut,
    "1 % slower": _slow_down,
}


@click.command(help=__doc__)
@click.argument("root", type=click.Path(path_type=Path, exists=True))
@click.option("--step", default=1, help="Modify one recording in this many only.")
@click.option("--utterances", default=0, help="Audit this many generated recordings, too.")
def main(root: Path, step: int, utterances: int) -> None:
    paths = sorted(path for kind in ("flac", "ogg", "wav") for path in root.rglob(f"*.{kind}"))
    waves = [read_waveform(path) for path in paths]
    prints = np.stack([fingerprint(wave) for wave in waves])
    click.echo(
        f"{len(waves)} recordings; thresholds of similarity, correlation and frame correlation: "
        f"{THRESHOLDS}"
    )
    _report_different_recordings(prints, waves, [path.stem for path in paths])
    for name, copy in (COPIES | HARD_TO_FIND).items():
        measured = []
        for original, wave in zip(prints[::step], waves[::step], strict=True):
            changed = copy(wave)
            match = match_waveforms(wave, changed)
            frames = frame_correlation(wave, changed, match)
            measured.append((float(original @ fingerprint(changed)), match.correlation, frames))
        table = np.array(measured)
        detected = int(np.sum(np.all(table >= THRESHOLDS, axis=1)))
        lowest = ", ".join(f"{value:.4f}" for value in table.min(axis=0))
        click.echo(f"{name}: {detected} of {len(table)} detected; lowest {lowest}")
    if utterances:
        _report_speed(waves, utterances)


def _report_different_recordings(
    prints: NDArray[np.float32], waves: Waves, names: list[str]
) -> None:
    """Print the most similar and the most correlated pair of different recordings."""
    similarity = np.triu(prints @ prints.T, 1)
    first, second = np.unravel_index(similarity.argmax(), similarity.shape)
    highest = similarity[first, second]
    click.echo(f"different: similarity up to {highest:.4f} ({names[first]}, {names[second]})")
    pairs = similar_pairs(prints).tolist()
    matches = [match_waveforms(waves[row], waves[other]) for row, other in pairs]
    frames = [
        frame_correlation(waves[row], waves[other], match)
        for (row, other), match in zip(pairs, matches, strict=True)
        if match.correlation >= CORRELATION_THRESHOLD
    ]
    copies = sum(correlation >= FRAME_CORRELATION_THRESHOLD for correlation in frames)
    click.echo(f"{len(pairs)} similar pairs, {len(frames)} also correlated, {copies} copies")
    spectra = _band_spectra(waves)
    best, pair = 0.0, (0, 0)
    for row, spectrum in enumerate(spectra[:-1]):
        correlations = np.abs(np.fft.irfft(spectra[row + 1 :] * np.conj(spectrum), axis=1))
        peaks = correlations.max(axis=1)
        if peaks.max() > best:
            best, pair = float(peaks.max()), (row, row + 1 + int(peaks.argmax()))
    click.echo(f"different: correlation up to {best:.4f} ({names[pair[0]]}, {names[pair[1]]})")


def _band_spectra(waves: Waves) -> NDArray[np.complex64]:
    """Return normalised spectra [recordings, bins] of the compared band, for lags at 8 kHz."""
    size = 1 << int(np.ceil(np.log2(2 * max(map(len, waves)))))
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    inside = (frequencies >= LOWEST_HZ) & (frequencies <= HIGHEST_HZ)
    spectra = []
    for wave in waves:
        spectrum = (np.fft.rfft(wave, size) * inside)[: size // 4 + 1].astype(np.complex64)
        # irfft divides by its length and counts each bin twice
        spectra.append(spectrum * np.sqrt(size / 4 / np.sum(np.abs(spectrum) ** 2)))
    return np.stack(spectra)


def _report_speed(waves: Waves, utterances: int) -> None:
    """Print the duration of an audit of generated recordings."""
    generator = np.random.default_rng(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(utterances):
            resampled = [
                soxr.resample(waves[index], SAMPLE_RATE, SAMPLE_RATE * generator.uniform(0.8, 1.25))
                for index in generator.integers(len(waves), size=2)
            ]
            wave = np.concatenate(resampled)
            soundfile.write(Path(folder) / f"{number}.wav", wave, SAMPLE_RATE, subtype="PCM_16")
            rows.append((f"{number:06d}", f"{number}.wav", len(wave) / SAMPLE_RATE))
        table = pl.DataFrame(rows, ["utterance", "audio", "seconds"], orient="row").with_columns(
            start=pl.lit(None, pl.Float64),
            end=pl.lit(None, pl.Float64),
            audio_sha256=pl.Series(
                [read_recording(Path(folder) / row[1]).sha256() for row in rows]
            ),
        )
        wall, cpu = time.perf_counter(), time.process_time()
        pairs = find_corpus_duplicates(table, measure_shard(table, Path(folder)), Path(folder))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    hours = float(table["seconds"].sum()) / 3600
    click.echo(
        f"{utterances} generated recordings, {hours:.1f} hours, one thread: {wall:.0f} s, of which "
        f"{cpu:.0f} s of CPU time; pairs of duplicates: {len(pairs)}"
    )


if __name__ == "__main__":
    main()
