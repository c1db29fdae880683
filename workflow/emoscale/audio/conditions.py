"""Utterances under a perturbation condition, reproducible wherever and whenever they are read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emoscale.audio.channels import apply_telephone_channel, reverberate
from emoscale.audio.noise import BabbleMixer, add_noise, white_noise
from emoscale.audio.utterances import waveform_of
from emoscale.audio.waveform import Waveform
from emoscale.config import parse_settings
from emoscale.config.robustness import (
    Babble,
    Band,
    ConditionSettings,
    Reverberation,
    WhiteNoise,
)
from emoscale.runtime.provenance import canonical_json
from emoscale.tables.parquet import read_table
from emoscale.tables.schemas import RECORDING_SPEAKERS

Condition = WhiteNoise | Babble | Reverberation | Band


class PerturbedReader:
    """Reader of utterances under a condition.

    The random numbers of an utterance depend on its key and on the condition, but not on the
    signal-to-noise ratio: the same noise is added at every ratio.

    Parameters
    ----------
    condition : Condition
        Perturbation of the audio.
    talkers : DataFrame or None
        Utterances that babble may be made of (columns of `RECORDING_SPEAKERS`); needed for babble
        only.
    root : Path
        Root folder of the corpus.
    """

    def __init__(self, condition: Condition, talkers: pl.DataFrame | None, root: Path) -> None:
        self._condition = condition
        if talkers is not None:
            self._babble_mixer = BabbleMixer(talkers, lambda row: waveform_of(row, root))

    def __call__(self, row: dict[str, Any], root: Path) -> Waveform:
        """Read an utterance and perturb it.

        Parameters
        ----------
        row : dict
            The utterance, a row of schema `EXTRACTION_INPUTS`.
        root : Path
            Root folder of the corpus.

        Returns
        -------
        ndarray
            Perturbed waveform ``[samples]`` at 16 kHz, as long as the utterance.
        """
        waveform = waveform_of(row, root)
        condition, key = self._condition, row["utterance"]
        generator = generator_of(condition, key)
        match condition:
            case WhiteNoise():
                noise = white_noise(len(waveform), generator)
                return add_noise(waveform, noise, condition.snr_db)
            case Babble():
                noise = self._babble_mixer.mix(key, len(waveform), condition.talkers, generator)
                return add_noise(waveform, noise, condition.snr_db)
            case Reverberation():
                return reverberate(waveform, condition.reverberation_seconds, generator)
            case Band():
                return apply_telephone_channel(waveform)


def create_perturbed_reader(condition: str, talkers: Path | None, root: Path) -> PerturbedReader:
    """Create the reader of a condition from command-line options.

    Parameters
    ----------
    condition : str
        Settings of the condition as JSON.
    talkers : Path or None
        Table with the columns of `RECORDING_SPEAKERS`; needed for babble only.
    root : Path
        Root folder of the corpus.

    Returns
    -------
    PerturbedReader
        Reader of utterances under the condition.

    Raises
    ------
    ConfigurationError
        If the settings of the condition are not valid.
    StoreError
        If the table of talkers is missing or damaged.
    """
    settings = parse_settings(ConditionSettings, condition, "--condition")
    talker_table = None if talkers is None else read_table(talkers, RECORDING_SPEAKERS)
    return PerturbedReader(settings, talker_table, root)


def generator_of(condition: Condition, utterance: str) -> np.random.Generator:
    """Create the random generator of an utterance under a condition.

    It is the same for all signal-to-noise ratios of one noise.

    Parameters
    ----------
    condition : Condition
        Perturbation of the audio.
    utterance : str
        Key of the utterance.

    Returns
    -------
    numpy.random.Generator
        Generator seeded by the condition and the utterance.
    """
    seeding = condition.model_dump(mode="json", exclude={"snr_db"})
    state = hashlib.sha256(canonical_json([seeding, utterance]).encode()).digest()
    return np.random.default_rng(int.from_bytes(state[:16], "big"))
