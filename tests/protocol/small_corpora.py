"""Small random corpora in one table, for the tests of protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emoscale.config.protocol import ProtocolSettings
from emoscale.corpus.votes import VOTE_SHARES_DTYPE
from emoscale.protocol.orders import make_fold

CLASSES = ["anger", "neutral"]


def several_corpora(seed: int = 0, utterances: int = 14, shared_text: float = 0.2) -> pl.DataFrame:
    """Three corpora of two sessions with two women and two men each.

    Each speaker has both classes; one utterance in seven is outside the study. `shared_text` is
    the fraction of utterances with one of a few texts; of the others some have no transcript, some
    an empty one, and the rest a unique text.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for corpus in "abc":
        for session in (1, 2):
            for sex in "FM":
                for person in (1, 2):
                    speaker = f"{corpus}:s{session}{sex}{person}"
                    for number in range(utterances):
                        key = f"{speaker}_{number:02d}"
                        text: str | None = f"text of {key}"
                        if generator.random() < shared_text:
                            text = f"line {generator.integers(12)}"
                        elif generator.random() < 0.2:
                            text = [None, ""][generator.integers(2)]
                        label = None if number % 7 == 6 else CLASSES[number % 2]
                        rows.append(
                            {
                                "utterance": key,
                                "corpus": corpus,
                                "audio": f"{key}.wav",
                                "start": None,
                                "end": None,
                                "seconds": 3.0,
                                "session": f"{corpus}:s{session}",
                                "split": None,
                                "speaker": speaker,
                                "sex": sex,
                                "label": label,
                                "emotion": label or "other",
                                "text_key": text,
                                "style": None,
                                "audio_sha256": key,
                                "vote_shares": None,
                            }
                        )
    schema: dict[str, Any] = {
        "vote_shares": VOTE_SHARES_DTYPE,
        "split": pl.String,
        "start": pl.Float64,
        "end": pl.Float64,
        "style": pl.String,
        "text_key": pl.String,
        "label": pl.String,
    }
    table = pl.DataFrame(rows, schema_overrides=schema)
    return table.sample(fraction=1.0, shuffle=True, seed=seed)


def write_fold_file(path: Path, rows: list[tuple[object, ...]], *header: str) -> str:
    """Write a table of folds and return its path."""
    lines = [",".join(map(str, row)) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def folds_of(
    table: pl.DataFrame, settings: ProtocolSettings, seed: int = 1
) -> dict[str, pl.DataFrame]:
    """Every fold of a protocol, by name."""
    return {f"fold{n + 1}": make_fold(table, settings, n, seed) for n in range(settings.folds)}


def of_role(fold: pl.DataFrame, role: str, column: str = "utterance") -> set[str]:
    """Values of a column for the utterances of a role, without null."""
    return set(fold.filter(pl.col("role") == role)[column].drop_nulls())
