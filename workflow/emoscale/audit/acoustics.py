"""Acoustic measures of a recording: level, clipping, silence and signal-to-noise ratio."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.audio.decoding import Recording
from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.audit.fingerprint import frame_blocks
from emoscale.tables.schemas import schema_field

WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
SILENCE_DB = -40.0
"""Level relative to the loudest frame at or below which a frame is silent, dB."""

NOISE_QUANTILE = 0.1
"""Quantile of the frame powers that estimates the power of the noise."""

_DIGITAL_SILENCE = 1e-10  # power; -100 dB of full scale, below the resolution of 16 bits
_MIN_FRAMES = 10
_FLAT_TOP_RATIO = 1.0 - 2.0**-15  # of the peak; 16 bits do not resolve the difference
_MIN_CLIPPED_SAMPLES = 3

ACOUSTICS = pa.schema(
    [
        schema_field("utterance", pa.string(), "unique key"),
        schema_field("peak", pa.float64(), "largest absolute sample of any channel, full scale 1"),
        schema_field("rms_dbfs", pa.float64(), "root mean square, dB relative to full scale 1"),
        schema_field(
            "clipped_fraction",
            pa.float64(),
            "fraction of samples that stay at the recording's peak for three or more in a row",
        ),
        schema_field(
            "silence_fraction",
            pa.float64(),
            "fraction of 25 ms frames that are 40 dB or more below the loudest frame",
        ),
        schema_field(
            "leading_silence_seconds",
            pa.float64(),
            "silence before the first non-silent frame, seconds",
        ),
        schema_field(
            "trimmed_seconds",
            pa.float64(),
            "duration from the first to the last non-silent frame, seconds",
        ),
        schema_field(
            "snr_db",
            pa.float64(),
            "estimated signal-to-noise ratio, dB: mean power against the quietest tenth of the "
            "frames; null: too short, or no noise above digital silence",
            null=True,
        ),
    ]
)
"""Acoustic measures, one row per utterance."""


@dataclass(frozen=True)
class Acoustics:
    """Acoustic measures of one recording, in the units of `ACOUSTICS`."""

    peak: float
    rms_dbfs: float
    clipped_fraction: float
    silence_fraction: float
    leading_silence_seconds: float
    trimmed_seconds: float
    snr_db: float | None

    def row(self, utterance: str) -> dict[str, Any]:
        """Return the measures as a row of `ACOUSTICS`.

        Parameters
        ----------
        utterance : str
            Key of the utterance.

        Returns
        -------
        dict
            Values by column.
        """
        return {"utterance": utterance, **asdict(self)}


def measure_acoustics(recording: Recording, waveform: NDArray[np.float32]) -> Acoustics:
    """Measure level, clipping, silence and signal-to-noise ratio of a recording.

    Level and clipping are measured on the file's samples, because resampling hides flat tops.

    Parameters
    ----------
    recording : Recording
        Recording at the file's sample rate.
    waveform : ndarray
        The same recording ``[samples]`` at 16 kHz, one channel.

    Returns
    -------
    Acoustics
        Acoustic measures.
    """
    peak = float(np.abs(recording.samples).max())
    power = float(np.mean(np.square(recording.samples, dtype=np.float64)))
    powers = np.concatenate(
        [
            np.einsum("fs,fs->f", block, block, dtype=np.float64) / WINDOW_SAMPLES
            for block in frame_blocks(waveform, WINDOW_SAMPLES, HOP_SAMPLES)
        ]
    )
    loud = np.flatnonzero(powers > powers.max() * 10 ** (SILENCE_DB / 10))
    first, last = int(loud[0]), int(loud[-1])
    return Acoustics(
        peak=peak,
        rms_dbfs=10 * float(np.log10(power)),
        clipped_fraction=_clipped_fraction(recording.samples, peak),
        silence_fraction=1 - len(loud) / len(powers),
        leading_silence_seconds=first * HOP_SAMPLES / SAMPLE_RATE,
        trimmed_seconds=((last - first) * HOP_SAMPLES + WINDOW_SAMPLES) / SAMPLE_RATE,
        snr_db=estimate_snr_db(powers),
    )


def estimate_snr_db(powers: NDArray[np.float64]) -> float | None:
    """Estimate the signal-to-noise ratio from the mean power of each frame.

    The power of the noise is the `NOISE_QUANTILE` of the frame powers, and the power of the signal
    is the excess of their mean, in the manner of NIST's `stnr` [1]_, which uses the histogram of
    frame energies. The ratio of an utterance without pauses is underestimated. Frames of digital
    silence are left out, because they do not show the noise of the recording.

    Parameters
    ----------
    powers : ndarray
        Mean power of each frame, ``[frames]``.

    Returns
    -------
    float or None
        Signal-to-noise ratio, dB; None if there are too few frames or no signal above the noise.

    References
    ----------
    .. [1] NIST, Speech Quality Assurance (SPQA) package, `stnr`.
    """
    audible = powers[powers > _DIGITAL_SILENCE]
    if len(audible) < _MIN_FRAMES:
        return None
    noise = float(np.quantile(audible, NOISE_QUANTILE))
    signal = float(audible.mean()) - noise
    return 10 * float(np.log10(signal / noise)) if signal > 0 else None


def _clipped_fraction(samples: NDArray[np.float32], peak: float) -> float:
    """Fraction of samples in flat tops, which remain when a clipped recording is attenuated."""
    clipped = 0
    for channel in np.abs(samples).T:
        flat = np.concatenate([[False], channel >= _FLAT_TOP_RATIO * peak, [False]])
        starts, ends = np.flatnonzero(np.diff(flat.astype(np.int8))).reshape(-1, 2).T
        lengths = ends - starts
        clipped += int(lengths[lengths >= _MIN_CLIPPED_SAMPLES].sum())
    return clipped / samples.size
