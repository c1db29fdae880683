"""Perturbation conditions: reproducibility, and the choice of talkers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from emoscale.audio.conditions import Condition, PerturbedReader, generator_of
from emoscale.audio.noise import BabbleMixer
from emoscale.audio.speech_level import active_speech_rms
from emoscale.config.robustness import Babble, Band, Reverberation, WhiteNoise
from emoscale.runtime.errors import ConfigurationError
from tests.audio.signals import decibels, root_mean_square, speech_like

CONDITIONS: list[Condition] = [
    WhiteNoise(noise="white", snr_db=10),
    Babble(noise="babble", snr_db=5, talkers=3),
    Reverberation(reverberation_seconds=0.4),
    Band(band="telephone"),
]


def corpus(root: Path, speakers: int = 4) -> pl.DataFrame:
    """Two utterances per speaker, of several durations."""
    rows = []
    for number in range(2 * speakers):
        speech = speech_like(0.6 + 0.15 * number, number)
        soundfile.write(root / f"u{number}.wav", speech, 16_000, subtype="FLOAT")
        rows.append(
            {
                "utterance": f"u{number}",
                "audio": f"u{number}.wav",
                "start": None,
                "end": None,
                "seconds": len(speech) / 16_000,
                "speaker": f"s{number // 2}",
            }
        )
    return pl.DataFrame(rows, schema_overrides={"start": pl.Float64, "end": pl.Float64})


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.kind)
def test_perturbation_does_not_depend_on_the_reading_order(
    tmp_path: Path, condition: Condition
) -> None:
    utterances = corpus(tmp_path)
    rows = utterances.to_dicts()
    reader = PerturbedReader(condition, utterances, tmp_path)
    waveforms = [reader(row, tmp_path) for row in rows]
    reversed_reader = PerturbedReader(condition, utterances.reverse(), tmp_path)
    again = [reversed_reader(row, tmp_path) for row in reversed(rows)][::-1]
    for row, one, two in zip(rows, waveforms, again, strict=True):
        assert (one == two).all()
        assert one.dtype == np.float32
        assert len(one) == round(row["seconds"] * 16_000)
        assert np.abs(one - soundfile.read(tmp_path / row["audio"])[0]).max() > 1e-3


def test_noise_is_the_same_at_every_snr(tmp_path: Path) -> None:
    utterances = corpus(tmp_path)
    row = utterances.row(0, named=True)
    clean = soundfile.read(tmp_path / row["audio"], dtype="float32")[0]
    for settings in ({"noise": "white"}, {"noise": "babble", "talkers": 2}):
        kind: Any = WhiteNoise if settings["noise"] == "white" else Babble
        added = [
            PerturbedReader(kind(snr_db=snr, **settings), utterances, tmp_path)(row, tmp_path)
            - clean
            for snr in (0, 20)
        ]
        assert added[0] == pytest.approx(10 * added[1], abs=1e-5)
        ratio = active_speech_rms(clean) / root_mean_square(added[0])
        assert decibels(ratio) == pytest.approx(0.0, abs=1e-3)


def test_utterances_have_independent_noise() -> None:
    white = CONDITIONS[0]
    one, two = (generator_of(white, key).standard_normal(1000) for key in ("u1", "u2"))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1


def test_talkers_are_other_speakers_without_repetition_if_possible(tmp_path: Path) -> None:
    utterances = corpus(tmp_path, speakers=4)
    mixer = BabbleMixer(utterances, lambda row: speech_like(0.5))
    speaker_of = dict(utterances.select("utterance", "speaker").iter_rows())
    sampled = set()
    for seed in range(40):
        for key, speaker in speaker_of.items():
            rows = mixer.sample_talkers(key, 3, np.random.default_rng(seed))
            names = [speaker_of[row["utterance"]] for row in rows]
            assert speaker not in names
            assert len(set(names)) == 3
            sampled |= {row["utterance"] for row in rows}
    assert sampled == set(speaker_of)
    many = mixer.sample_talkers("u0", 7, np.random.default_rng(0))
    assert {speaker_of[row["utterance"]] for row in many} == {"s1", "s2", "s3"}
    assert len(many) == 7


def test_babble_of_one_talker_is_a_looped_utterance(tmp_path: Path) -> None:
    speech = speech_like(0.5, seed=9)
    mixer = BabbleMixer(corpus(tmp_path, speakers=2), lambda row: speech)
    mixed = mixer.mix("u0", 20_000, 1, np.random.default_rng(1)) * active_speech_rms(speech)
    assert mixed[:8000] == pytest.approx(mixed[8000:16_000])
    spectrum, expected = (np.abs(np.fft.rfft(signal)) for signal in (mixed[:8000], speech))
    assert spectrum == pytest.approx(expected, abs=1e-3)


def test_babble_needs_another_speaker(tmp_path: Path) -> None:
    mixer = BabbleMixer(corpus(tmp_path, speakers=1), lambda row: speech_like(0.5))
    with pytest.raises(
        ConfigurationError, match="needs other speakers, but the corpus has only s0"
    ):
        mixer.sample_talkers("u0", 2, np.random.default_rng(0))
