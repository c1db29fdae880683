"""Utterances under a condition, the same whenever and wherever they are read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emoscale.audio.channels import over_telephone, reverberate
from emoscale.audio.decoding import Waveform
from emoscale.audio.noise import Talkers, add_noise, white_noise
from emoscale.audio.utterances import waveform_of
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
from emoscale.tables.schemas import TALKERS

Condition = WhiteNoise | Babble | Reverberation | Band


class PerturbedReading:
    """Reads utterances as they are heard under a condition.

    What is drawn for an utterance depends on its key and on the condition, but not on how loud a
    noise is: levels of one noise differ in nothing else.
    """

    def __init__(self, condition: Condition, talkers: pl.DataFrame | None, root: Path) -> None:
        """`talkers` (columns of `TALKERS`) are what babble may be made of; needed for that only."""
        self._condition = condition
        if talkers is not None:
            self._talkers = Talkers(talkers, lambda row: waveform_of(row, root))

    def __call__(self, row: dict[str, Any], root: Path) -> Waveform:
        """[samples] at 16 kHz, as many as the utterance (a row of schema `EXTRACTION_INPUTS`) has."""
        waveform = waveform_of(row, root)
        condition, key = self._condition, row["utterance"]
        generator = generator_of(condition, key)
        match condition:
            case WhiteNoise():
                noise = white_noise(len(waveform), generator)
                return add_noise(waveform, noise, condition.snr_db)
            case Babble():
                noise = self._talkers.babble(key, len(waveform), condition.talkers, generator)
                return add_noise(waveform, noise, condition.snr_db)
            case Reverberation():
                return reverberate(waveform, condition.reverberation_seconds, generator)
            case Band():
                return over_telephone(waveform)


def perturbed_reading(condition: str, talkers: Path | None, root: Path) -> PerturbedReading:
    """Of a condition as JSON, and the table of `TALKERS` where it is babble."""
    settings = parse_settings(ConditionSettings, condition, "--condition")
    voices = None if talkers is None else read_table(talkers, TALKERS)
    return PerturbedReading(settings, voices, root)


def generator_of(condition: Condition, utterance: str) -> np.random.Generator:
    """Of what is drawn for an utterance: the same for all levels of one noise."""
    drawn = condition.model_dump(mode="json", exclude={"snr_db"})
    state = hashlib.sha256(canonical_json([drawn, utterance]).encode()).digest()
    return np.random.default_rng(int.from_bytes(state[:16], "big"))
