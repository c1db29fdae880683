from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from emoscale.config.robustness import Babble, Band, Reverberation, WhiteNoise
from emoscale.evaluation.robustness import ROBUSTNESS, robustness_table
from emoscale.evaluation.speakers import count_predictions, unweighted_accuracy

CLASSES = ["anger", "neutral"]
CONDITIONS = {
    "hall": Reverberation(reverberation_seconds=1.5),
    "phone": Band(band="telephone"),
    "loud": WhiteNoise(noise="white", snr_db=0),
    "room": Reverberation(reverberation_seconds=0.3),
    "soft": WhiteNoise(noise="white", snr_db=20),
    "party": Babble(noise="babble", snr_db=5),
}


def predictions_in(condition: str, accuracy: float) -> pl.DataFrame:
    generator = np.random.default_rng(3)  # the same utterances are difficult in every condition
    rows = []
    for number in range(400):
        speaker = number % 10
        difficulty = generator.random() * (0.6 + 0.08 * speaker)
        label = CLASSES[number // 10 % 2]
        predicted = label if difficulty < accuracy else CLASSES[1 - number // 10 % 2]
        rows.append({"utterance": f"s{speaker}_{number}", "label": label, "predicted": predicted})
    return pl.DataFrame(rows).with_columns(
        pl.lit(condition).alias("condition"), pl.lit(0).alias("repeat"),
        pl.lit("mfcc").alias("experiment"), pl.lit("all").alias("size"),
    )  # fmt: skip


def example_table() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    clean = predictions_in("clean", 0.6)
    perturbed = [predictions_in(name, 0.4) for name in CONDITIONS]
    speaker_of = clean.select("utterance", speaker=pl.col("utterance").str.split("_").list[0])
    result = robustness_table(
        pl.concat([*perturbed, clean]), CONDITIONS, speaker_of, CLASSES, seed=1
    )
    return result, clean, speaker_of


def test_conditions_are_sorted_by_kind_and_severity() -> None:
    result, _, _ = example_table()
    assert result.columns == ROBUSTNESS.names
    assert result.select("condition", "kind", "level", "unit").rows() == [
        ("clean", "clean", None, ""),
        ("soft", "white noise", 20.0, "dB"),
        ("loud", "white noise", 0.0, "dB"),
        ("party", "babble", 5.0, "dB"),
        ("room", "reverberation", 0.3, "s"),
        ("hall", "reverberation", 1.5, "s"),
        ("phone", "telephone", None, ""),
    ]


def test_drops_are_paired_with_clean_audio() -> None:
    result, clean, speaker_of = example_table()
    first, second = result.row(0, named=True), result.row(1, named=True)
    assert first["ua"] == unweighted_accuracy(count_predictions(clean, speaker_of, CLASSES))
    assert (first["drop"], first["drop_low"], first["drop_high"]) == (0.0, 0.0, 0.0)
    assert second["drop"] == pytest.approx(first["ua"] - second["ua"])
    assert 0 < second["drop_low"] < second["drop"] < second["drop_high"]
    # Speakers vary alike in both conditions, so the interval of the drop is narrower.
    paired = second["drop_high"] - second["drop_low"]
    assert paired < second["ua_high"] - second["ua_low"]
    assert second["test_utterances"] == 400
    assert second["speakers"] == 10
