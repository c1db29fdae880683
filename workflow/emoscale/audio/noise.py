"""Additive noise at an exact signal-to-noise ratio: white noise, and babble of corpus speakers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from emoscale.audio.speech_level import active_speech_rms
from emoscale.audio.waveform import Waveform
from emoscale.runtime.errors import ConfigurationError


def white_noise(samples: int, generator: np.random.Generator) -> Waveform:
    """Generate Gaussian white noise of standard deviation 1.

    Parameters
    ----------
    samples : int
        Number of samples.
    generator : numpy.random.Generator
        Random generator.

    Returns
    -------
    ndarray
        Noise ``[samples]``.
    """
    return generator.standard_normal(samples, dtype=np.float32)


def add_noise(waveform: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Add noise to unchanged speech at a signal-to-noise ratio.

    The ratio is that of the active speech level (`active_speech_rms`) to the root mean square of
    the whole noise. The sum is not clipped.

    Parameters
    ----------
    waveform : ndarray
        Speech ``[samples]``.
    noise : ndarray
        Noise ``[samples]``, at any level.
    snr_db : float
        Signal-to-noise ratio, dB.

    Returns
    -------
    ndarray
        Noisy speech ``[samples]``.
    """
    noise_rms = float(np.sqrt(np.mean(noise.astype(np.float64) ** 2)))
    if noise_rms == 0.0:
        return waveform
    gain = active_speech_rms(waveform) / noise_rms * 10 ** (-snr_db / 20)
    return (waveform + gain * noise.astype(np.float64)).astype(np.float32)


_READ_COLUMNS = ("utterance", "audio", "start", "end", "seconds")


class BabbleMixer:
    """Mixer of babble noise from utterances of several talkers.

    Parameters
    ----------
    utterances : DataFrame
        Utterances that babble may be made of, with the columns of `RECORDING_SPEAKERS`.
    read : callable
        Reads a row of `utterances` as a waveform ``[samples]`` at 16 kHz.
    """

    def __init__(
        self, utterances: pl.DataFrame, read: Callable[[dict[str, Any]], Waveform]
    ) -> None:
        self._read = read
        self._speaker_of = dict(utterances.select("utterance", "speaker").iter_rows())
        self._rows_of: dict[str, list[dict[str, Any]]] = {
            str(speaker): rows.select(_READ_COLUMNS).sort("utterance").to_dicts()
            for (speaker,), rows in utterances.group_by("speaker")
        }
        self._speech_rms: dict[str, float] = {}

    def sample_talkers(
        self, utterance: str, talkers: int, generator: np.random.Generator
    ) -> list[dict[str, Any]]:
        """Sample one utterance of each of several other speakers.

        A speaker is repeated only if the corpus has fewer other speakers than `talkers`.

        Parameters
        ----------
        utterance : str
            Key of the utterance that babble is added to; its speaker is left out.
        talkers : int
            Number of talkers.
        generator : numpy.random.Generator
            Random generator.

        Returns
        -------
        list of dict
            Rows of the sampled utterances.

        Raises
        ------
        ConfigurationError
            If the corpus has no other speaker.
        """
        speaker = self._speaker_of[utterance]
        others = sorted(set(self._rows_of) - {speaker})
        if not others:
            raise ConfigurationError(
                f"{utterance}: babble needs other speakers, but the corpus has only {speaker}; "
                "remove babble from robustness.conditions"
            )
        rounds = -(-talkers // len(others))
        order = [name for _ in range(rounds) for name in generator.permutation(others)][:talkers]
        return [self._rows_of[name][generator.integers(len(self._rows_of[name]))] for name in order]

    def mix(
        self, utterance: str, samples: int, talkers: int, generator: np.random.Generator
    ) -> Waveform:
        """Mix babble of several talkers at equal active speech levels.

        Each talker's utterance starts at a random position and is repeated in a loop.

        Parameters
        ----------
        utterance : str
            Key of the utterance that babble is added to; its speaker is left out.
        samples : int
            Length of the babble in samples.
        talkers : int
            Number of talkers.
        generator : numpy.random.Generator
            Random generator.

        Returns
        -------
        ndarray
            Babble ``[samples]`` at 16 kHz.

        Raises
        ------
        ConfigurationError
            If the corpus has no other speaker.
        """
        mixed = np.zeros(samples)
        for row in self.sample_talkers(utterance, talkers, generator):
            speech = self._read(row)
            if row["utterance"] not in self._speech_rms:
                self._speech_rms[row["utterance"]] = active_speech_rms(speech)
            start = int(generator.integers(len(speech)))
            looped = np.resize(np.roll(speech, -start), samples)
            mixed += looped / max(self._speech_rms[row["utterance"]], 1e-30)
        return mixed.astype(np.float32)
