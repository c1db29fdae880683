"""Noise at an exact level beside the speech: white noise, and babble of the corpus's speakers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from emoscale.audio.decoding import Waveform
from emoscale.audio.speech_level import active_level
from emoscale.runtime.errors import ConfigurationError


def white_noise(samples: int, generator: np.random.Generator) -> Waveform:
    """[samples] of Gaussian noise of standard deviation 1."""
    return generator.standard_normal(samples, dtype=np.float32)


def add_noise(waveform: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Speech [samples] as it is, with `noise` [samples] added at that signal-to-noise ratio.

    The ratio is the active speech level (`active_level`) over the root mean square of all of the
    noise, dB. The sum is louder than the speech; being of floats, it is not clipped.
    """
    loudness = float(np.sqrt(np.mean(noise.astype(np.float64) ** 2)))
    if loudness == 0.0:
        return waveform
    gain = active_level(waveform) / loudness * 10 ** (-snr_db / 20)
    return (waveform + gain * noise.astype(np.float64)).astype(np.float32)


_READ = ("utterance", "audio", "start", "end", "seconds")


class Talkers:
    """Whose utterances babble is made of, and how they are read."""

    def __init__(
        self, utterances: pl.DataFrame, read: Callable[[dict[str, Any]], Waveform]
    ) -> None:
        """`utterances` has the columns of `TALKERS`."""
        self._read = read
        self._speaker_of = dict(utterances.select("utterance", "speaker").iter_rows())
        self._rows_of: dict[str, list[dict[str, Any]]] = {
            str(speaker): own.select(_READ).sort("utterance").to_dicts()
            for (speaker,), own in utterances.group_by("speaker")
        }
        self._levels: dict[str, float] = {}

    def chosen(
        self, utterance: str, talkers: int, generator: np.random.Generator
    ) -> list[dict[str, Any]]:
        """An utterance each of `talkers` other speakers, drawn; one twice only for want of more.

        Raises `ConfigurationError` where the corpus has no other speaker.
        """
        own = self._speaker_of[utterance]
        others = sorted(set(self._rows_of) - {own})
        if not others:
            raise ConfigurationError(
                f"{utterance}: the corpus has no speaker but {own}, so nobody can babble; remove "
                "babble from robustness.conditions"
            )
        rounds = -(-talkers // len(others))
        order = [name for _ in range(rounds) for name in generator.permutation(others)][:talkers]
        return [self._rows_of[name][generator.integers(len(self._rows_of[name]))] for name in order]

    def babble(
        self, utterance: str, samples: int, talkers: int, generator: np.random.Generator
    ) -> Waveform:
        """[samples] of talkers, each as loud as the others (`active_level`).

        Each begins at a place of its utterance that is drawn, and again from its start at its end.
        """
        mixed = np.zeros(samples)
        for row in self.chosen(utterance, talkers, generator):
            speech = self._read(row)
            if row["utterance"] not in self._levels:
                self._levels[row["utterance"]] = active_level(speech)
            begin = int(generator.integers(len(speech)))
            looped = np.resize(np.roll(speech, -begin), samples)
            mixed += looped / max(self._levels[row["utterance"]], 1e-30)
        return mixed.astype(np.float32)
