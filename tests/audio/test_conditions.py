from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from emoscale.audio.conditions import Condition, PerturbedReading, generator_of
from emoscale.audio.noise import Talkers
from emoscale.audio.speech_level import active_level
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
    """Two utterances a speaker, of several lengths."""
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


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda each: each.kind)
def test_an_utterance_sounds_the_same_whenever_it_is_read(
    tmp_path: Path, condition: Condition
) -> None:
    utterances = corpus(tmp_path)
    rows = utterances.to_dicts()
    reading = PerturbedReading(condition, utterances, tmp_path)
    first = [reading(row, tmp_path) for row in rows]
    other = PerturbedReading(condition, utterances.reverse(), tmp_path)
    again = [other(row, tmp_path) for row in reversed(rows)][::-1]
    for row, one, two in zip(rows, first, again, strict=True):
        assert (one == two).all()
        assert one.dtype == np.float32
        assert len(one) == round(row["seconds"] * 16_000)
        assert np.abs(one - soundfile.read(tmp_path / row["audio"])[0]).max() > 1e-3


def test_levels_of_one_noise_differ_in_nothing_else(tmp_path: Path) -> None:
    utterances = corpus(tmp_path)
    row = utterances.row(0, named=True)
    clean = soundfile.read(tmp_path / row["audio"], dtype="float32")[0]
    for settings in ({"noise": "white"}, {"noise": "babble", "talkers": 2}):
        kind: Any = WhiteNoise if settings["noise"] == "white" else Babble
        added = [
            PerturbedReading(kind(snr_db=snr, **settings), utterances, tmp_path)(row, tmp_path)
            - clean
            for snr in (0, 20)
        ]
        assert added[0] == pytest.approx(10 * added[1], abs=1e-5)
        ratio = active_level(clean) / root_mean_square(added[0])
        assert decibels(ratio) == pytest.approx(0.0, abs=1e-3)


def test_noises_of_utterances_are_not_alike() -> None:
    white = CONDITIONS[0]
    one, two = (generator_of(white, key).standard_normal(1000) for key in ("u1", "u2"))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1


def test_only_others_babble_and_each_once_while_there_are_enough(tmp_path: Path) -> None:
    utterances = corpus(tmp_path, speakers=4)
    talkers = Talkers(utterances, lambda row: speech_like(0.5))
    speaker_of = dict(utterances.select("utterance", "speaker").iter_rows())
    chosen = set()
    for seed in range(40):
        for key, own in speaker_of.items():
            rows = talkers.chosen(key, 3, np.random.default_rng(seed))
            names = [speaker_of[row["utterance"]] for row in rows]
            assert own not in names
            assert len(set(names)) == 3
            chosen |= {row["utterance"] for row in rows}
    assert chosen == set(speaker_of)
    many = talkers.chosen("u0", 7, np.random.default_rng(0))
    assert {speaker_of[row["utterance"]] for row in many} == {"s1", "s2", "s3"}
    assert len(many) == 7


def test_babble_of_one_is_that_utterance_looped(tmp_path: Path) -> None:
    speech = speech_like(0.5, seed=9)
    talkers = Talkers(corpus(tmp_path, speakers=2), lambda row: speech)
    mixed = talkers.babble("u0", 20_000, 1, np.random.default_rng(1)) * active_level(speech)
    assert mixed[:8000] == pytest.approx(mixed[8000:16_000])
    spectrum, own = (np.abs(np.fft.rfft(each)) for each in (mixed[:8000], speech))
    assert spectrum == pytest.approx(own, abs=1e-3)


def test_a_corpus_of_one_speaker_cannot_babble(tmp_path: Path) -> None:
    talkers = Talkers(corpus(tmp_path, speakers=1), lambda row: speech_like(0.5))
    with pytest.raises(ConfigurationError, match="no speaker but s0, so nobody can babble"):
        talkers.chosen("u0", 2, np.random.default_rng(0))
