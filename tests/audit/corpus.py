"""Tables of a labelled corpus without defects, and functions that plant defects."""

from __future__ import annotations

import numpy as np
import polars as pl

from emoscale.audit.acoustics import ACOUSTICS
from emoscale.audit.duplicates import DUPLICATE_PAIRS
from emoscale.tables.parquet import dataframe_of
from tests.corpus.checked import UTTERANCES_WITH_TEXTS

CLASSES = ["anger", "happiness", "neutral", "sadness"]


def clean_utterances(sessions: int = 5, utterances_per_speaker: int = 24) -> pl.DataFrame:
    """Utterance table with balanced speakers and classes, and a different text per utterance."""
    generator = np.random.default_rng(4)
    rows: list[dict[str, object]] = [
        {
            "utterance": f"s{session}{sex}{number:03d}",
            "corpus": "csv",
            "audio": f"s{session}{sex}{number:03d}.wav",
            "seconds": float(generator.uniform(1.0, 6.0)),
            "sample_rate": 16_000,
            "channels": 1,
            "speaker": f"s{session}{sex}",
            "sex": sex,
            "session": f"s{session}",
            "style": ["improvised", "scripted"][number // 4 % 2],
            "emotion": CLASSES[number % 4],
            "votes": [{"rater": rater, "label": CLASSES[number % 4]} for rater in "abc"],
            "transcript": f"s{session}{sex}{number:03d}",
            "text_key": f"words of s{session}{sex}{number:03d}",
            "audio_sha256": f"s{session}{sex}{number:03d}",
            "label": CLASSES[number % 4],
        }
        for session in range(sessions)
        for sex in "FM"
        for number in range(utterances_per_speaker)
    ]
    return dataframe_of(rows, UTTERANCES_WITH_TEXTS)


def changed(table: pl.DataFrame, where: pl.Expr, **values: object) -> pl.DataFrame:
    """Replace values in the rows where a condition holds."""
    return table.with_columns(
        pl.when(where).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def clean_acoustics(utterances: pl.DataFrame) -> pl.DataFrame:
    """Acoustic measures without clipping, with little silence and little noise."""
    rows: list[dict[str, object]] = [
        {
            "utterance": name,
            "peak": 0.5,
            "rms_dbfs": -20.0,
            "clipped_fraction": 0.0,
            "silence_fraction": 0.1,
            "leading_silence_seconds": 0.1,
            "trimmed_seconds": 1.0,
            "snr_db": 30.0,
        }
        for name in utterances["utterance"]
    ]
    return dataframe_of(rows, ACOUSTICS)


def pairs(*names: tuple[str, str], how: str = "near") -> pl.DataFrame:
    """Table of pairs that are the same recording."""
    rows: list[dict[str, object]] = [
        {
            "utterance": one,
            "other": other,
            "match": how,
            "correlation": 0.99,
            "frame_correlation": 0.98,
            "lag_seconds": 0.1,
            "gain_db": -12.0,
        }
        for one, other in names
    ]
    return dataframe_of(rows, DUPLICATE_PAIRS)
