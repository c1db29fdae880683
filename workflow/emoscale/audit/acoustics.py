"""What can be measured of a recording without knowing what is said: level, clipping, silence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.audio.decoding import SAMPLE_RATE, Recording
from emoscale.audit.fingerprint import frame_blocks
from emoscale.tables.schemas import schema_field

WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
SILENCE_DB = -40.0
"""A frame this far below the loudest one is silence."""

QUIETEST_SHARE = 0.1
"""The noise is read from this share of the frames."""

_DIGITAL_SILENCE = 1e-10  # power; -100 dB of full scale, less than 16 bits can say
_FEWEST_FRAMES = 10
_FLAT = 1.0 - 2.0**-15  # of the peak: what 16 bits cannot tell from it
_CLIPPED_RUN = 3

ACOUSTICS = pa.schema(
    [
        schema_field("utterance", pa.string(), "unique key"),
        schema_field("peak", pa.float64(), "largest sample of any channel, full scale 1"),
        schema_field("rms_dbfs", pa.float64(), "root mean square, dB of full scale 1"),
        schema_field(
            "clipped_fraction",
            pa.float64(),
            "share of samples in runs of three or more that stay at the recording's own peak",
        ),
        schema_field(
            "silence_fraction",
            pa.float64(),
            "share of 25 ms frames that are 40 dB or more below the loudest one",
        ),
        schema_field(
            "leading_silence_seconds", pa.float64(), "before the first frame that is louder"
        ),
        schema_field("trimmed_seconds", pa.float64(), "from the first to the last louder frame"),
        schema_field(
            "snr_db",
            pa.float64(),
            "estimated signal-to-noise ratio, dB: mean power against the quietest tenth of the "
            "frames; null: nothing but digital silence beside the signal, or too short",
            null=True,
        ),
    ]
)
"""A row an utterance."""


@dataclass(frozen=True)
class Acoustics:
    """Measures of one recording; units as in `ACOUSTICS`."""

    peak: float
    rms_dbfs: float
    clipped_fraction: float
    silence_fraction: float
    leading_silence_seconds: float
    trimmed_seconds: float
    snr_db: float | None

    def row(self, utterance: str) -> dict[str, Any]:
        """A row of `ACOUSTICS`."""
        return {"utterance": utterance, **asdict(self)}


def measure(recording: Recording, waveform: NDArray[np.float32]) -> Acoustics:
    """Measure a recording; `waveform` is its own [samples] at 16 kHz, one channel.

    Level and clipping are those of the file's samples, because resampling hides flat tops.
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
        clipped_fraction=_clipped_share(recording.samples, peak),
        silence_fraction=1 - len(loud) / len(powers),
        leading_silence_seconds=first * HOP_SAMPLES / SAMPLE_RATE,
        trimmed_seconds=((last - first) * HOP_SAMPLES + WINDOW_SAMPLES) / SAMPLE_RATE,
        snr_db=signal_to_noise(powers),
    )


def signal_to_noise(powers: NDArray[np.float64]) -> float | None:
    """Signal-to-noise ratio, dB, from the mean power of each frame, [frames].

    The noise is the power below which the quietest tenth of the frames lies, the signal is what
    the mean has above it: in the manner of NIST's `stnr` (Speech Quality Assurance package), which
    reads the noise off the histogram of frame energies. An utterance without any pause looks
    noisier than it is. Frames of digital silence say nothing of the room and do not count.
    """
    heard = powers[powers > _DIGITAL_SILENCE]
    if len(heard) < _FEWEST_FRAMES:
        return None
    noise = float(np.quantile(heard, QUIETEST_SHARE))
    signal = float(heard.mean()) - noise
    return 10 * float(np.log10(signal / noise)) if signal > 0 else None


def _clipped_share(samples: NDArray[np.float32], peak: float) -> float:
    """A clipped wave has a flat top; one that was turned down afterwards still has."""
    clipped = 0
    for channel in np.abs(samples).T:
        flat = np.concatenate([[False], channel >= _FLAT * peak, [False]])
        begins, ends = np.flatnonzero(np.diff(flat.astype(np.int8))).reshape(-1, 2).T
        lengths = ends - begins
        clipped += int(lengths[lengths >= _CLIPPED_RUN].sum())
    return clipped / samples.size
