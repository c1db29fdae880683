"""A small results folder with every table of a report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.evaluation.ceiling import CEILING
from emoscale.evaluation.comparisons import COMPARISONS, COMPARISONS_BY_SIZE
from emoscale.evaluation.corpus_pairs import CORPUS_PAIRS
from emoscale.evaluation.efficiency import EFFICIENCY
from emoscale.evaluation.forecast import FORECAST
from emoscale.evaluation.layer_weights import LAYER_WEIGHTS
from emoscale.evaluation.published import PUBLISHED_TABLE
from emoscale.evaluation.robustness import ROBUSTNESS
from emoscale.evaluation.runs import runs_schema
from emoscale.evaluation.scores import CONFUSION, scores_schema
from emoscale.evaluation.slices import SLICE_GAPS, SLICES
from emoscale.evaluation.trials import TRIALS
from emoscale.pretraining.history import HISTORY
from emoscale.tables.parquet import dataframe_of, write_table
from emoscale.tables.schemas import REJECTED

CLASSES = ["anger", "calm"]
SIZES = {"10": 10.0, "100": 100.0}
AWKWARD = 'wav2vec <b>&"large"</script>'
"""A name that must be escaped on every page."""

UA = {"mfcc": (0.60, 0.70), AWKWARD: (0.72, 0.82), "fusion": (None, 0.85)}
NOTE = "a note with <i>markup</i>"


def score_rows(
    ua: Mapping[str, tuple[float | None, ...]] = UA,
    *,
    corpus: str = "demo (synthetic speech)",
    notes: str = NOTE,
    weights: str = "untrained: random weights of seed 1",
    intervals: bool = True,
) -> pl.DataFrame:
    """Return a table of scores; UA per experiment and size, None: not trained at this size."""
    rows = []
    for experiment, values in ua.items():
        for (size, labels), value in zip(SIZES.items(), values, strict=False):
            if value is None:
                continue
            rows.append(
                {
                    **{"study": "tiny", "corpus": corpus, "experiment": experiment},
                    **{"representations": "mfcc", "modality": "audio"},
                    "pretrained_weights": weights if experiment == AWKWARD else "",
                    **{"chunked_utterances": 0, "model": "pooled", "size": size},
                    "training_utterances_mean": labels,
                    **{"training_utterances_minimum": 9, "training_utterances_maximum": 101},
                    **{"folds": 3, "repeats": 2, "test_utterances": 120},
                    **{"ua": value, "ua_repeat_std": 0.011},
                    **{"ua_fold_mean": value, "ua_fold_std": 0.05},
                    **{"wa": value - 0.01, "macro_f1": value - 0.02},
                    **{f"recall_{name}": value for name in CLASSES},
                    **{"chance_ua": 0.5, "seconds": 12.5, "peak_memory_megabytes": 400.0},
                    "notes": notes,
                    **(
                        {"ua_low": value - 0.06, "ua_high": value + 0.05, "ece": 0.08}
                        if intervals
                        else {}
                    ),
                }
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def comparison_rows() -> list[dict[str, Any]]:
    """Return comparisons: fusion and wav2vec are significantly better than mfcc only."""
    pairs = [("mfcc", AWKWARD, "10 100"), (AWKWARD, "fusion", "100"), ("mfcc", "fusion", "100")]
    rows = []
    for (experiment, other, sizes), significant in zip(pairs, (1, 0, 1), strict=True):
        indices = [list(SIZES).index(size) for size in sizes.split()]
        ua, other_ua = (
            float(np.mean([UA[name][index] for index in indices])) for name in (experiment, other)
        )
        difference = ua - other_ua
        rows.append(
            {
                **{"experiment": experiment, "other": other, "sizes": sizes},
                **{"ua": ua, "other_ua": other_ua, "difference": difference},
                "difference_low": difference - 0.04,
                "difference_high": difference + 0.04,
                **{"p_value": 0.004, "p_holm": 0.012 if significant else 0.21},
                **{"effect_size": -0.8, "standard_error": 0.016, "speakers": 6},
                **{"family": 3, "clusters": "speakers", "degrees_of_freedom": 5},
                "winner": other if significant else "none",
            }
        )
    return rows


def comparison_rows_by_size() -> list[dict[str, Any]]:
    """Return the descriptions of two pairs at the size 100."""
    return [
        {
            **{"size": "100", "experiment": "mfcc", "other": other, "labels": 100.0},
            **{"ua": 0.7, "other_ua": 0.8, "difference": -0.1, "difference_low": None},
            **{"difference_high": None, "p_value": 0.2},
            **{"clusters": "folds", "degrees_of_freedom": 4},
        }
        for other in (AWKWARD, "fusion")
    ]


def efficiency_rows() -> list[dict[str, Any]]:
    """Return bounds with unbounded intervals, and targets that are not reached."""
    names = ("experiment", "other", "other_size", "other_labels", "ua", "labels")
    factor_names = ("factor", "factor_low", "factor_high", "bound")
    values: list[tuple[Any, ...]] = [
        (AWKWARD, "mfcc", "100", 100.0, 0.70, 10.0, 10.0, 4.2, math.inf, "at least"),
        (AWKWARD, "mfcc", "10", 10.0, 0.60, 10.0, 1.0, 0.6, math.inf, "at least"),
        ("mfcc", AWKWARD, "10", 10.0, 0.72, None, None, None, None, "not reached"),
        ("mfcc", AWKWARD, "100", 100.0, 0.82, None, None, None, None, "not reached"),
    ]
    return [
        dict(zip((*names, *factor_names), row, strict=True))
        | {"at_largest_size": row[2] == "100", "summary": "a sentence", "measured_ua": row[4]}
        for row in values
    ]


def other_rows() -> dict[str, list[dict[str, Any]]]:
    """Return the tables of the remaining sections."""
    experiments = ("mfcc", AWKWARD)
    ends = {"ua_low": 0.6, "ua_high": 0.8}
    return {
        "ceiling": [
            {"experiment": name, "size": size, "target": target, "is_ceiling": target == "label"}
            | {"ua": ua, "ua_low": ua - 0.02, "ua_high": ua + 0.02, "wa": ua}
            | {"difference": None if size is None else ua - 0.5}
            for name, size, ua in (("one more rater", None, 0.5), ("mfcc", "100", 0.7))
            for target in ("other raters", "label")
        ],
        "forecast": [
            {"experiment": name, "kind": kind, "labels": 200.0, "labels_low": None}
            | {"labels_high": None, "ua": 0.75, **ends, "measured_ua": None, "covered": None}
            for name in experiments
            for kind in ("forecast", "held_out", "target")
        ],
        "slices": [
            {"experiment": name, "size": "100", "slice": "sex", "group": group, "utterances": 60}
            | {"speakers": 3, "ua": 0.7, **ends, "wa": 0.69}
            for name in experiments
            for group in ("F", "M")
        ],
        "slice_gaps": [
            {"experiment": name, "size": "100", "slice": "sex", "group": "F", "other": "M"}
            | {"gap": 0.02, "gap_low": -0.05, "gap_high": 0.09}
            for name in experiments
        ],
        "corpus_pairs": [
            {"experiment": name, "size": "100", "training_corpus": trained, "test_corpus": tested}
            | {"training_utterances_mean": 80.0, "utterances": 60, "speakers": 6, "classes": 2}
            | {"ua": (0.8 if trained == tested else 0.6) + 0.05 * number, **ends, "wa": 0.7}
            for number, name in enumerate(UA)
            for trained in ("one", "two")
            for tested in ("one", "two")
        ],
        "robustness": [
            {"experiment": name, "size": "100", "condition": f"babble {level} dB", "kind": "babble"}
            | {"level": float(level), "ua": 0.6, **ends}
            | {"drop": 0.1, "drop_low": 0.05, "drop_high": 0.15}
            for name in experiments
            for level in (0, 10, 20)
        ],
        "published": [
            {"source": "A & B 2020", "system": "s", "task": "4 classes", "metric": "ua"}
            | {"labels": 4000, "value": 0.64, "experiment": None, "our_value": None}
            | {"our_low": None, "our_high": None, "differences": "another corpus"}
        ],
    }


def history_rows(checkpoints: tuple[str, ...] = ("net", AWKWARD)) -> list[dict[str, Any]]:
    """Return the losses of two pre-trainings, of which the first rows have none of training."""
    return [
        {"checkpoint": name, "step": 100 * number, "hours": 0.5 * number, "chance": 1 / 11}
        | {"loss": math.nan if number == 0 else 2.2 - 0.1 * number}
        | {"ranks_first": math.nan if number == 0 else 0.1 * number}
        | {"held_out_loss": 2.3 - 0.1 * number, "held_out_ranks_first": 0.09 + 0.1 * number}
        for name in checkpoints
        for number in range(4)
    ]


def run_rows(number: int = 130) -> list[dict[str, Any]]:
    """Return enough trainings for several pages."""
    settings = '{"model":{"kind":"pooled"},"seed":1}'
    digests = {
        f"{name}_sha256": letter * 64
        for name, letter in (("settings", "a"), ("code", "b"), ("protocol", "c"), ("features", "d"))
    }
    return [
        {
            **{"study": "tiny", "corpus": "demo (synthetic speech)"},
            **{"experiment": list(UA)[repeat % 3], "representations": "mfcc", "modality": "audio"},
            **{"pretrained_weights": "", "chunked_utterances": 0, "model": "pooled"},
            **{"fold": f"fold{repeat % 3 + 1}", "size": "100", "repeat": repeat},
            "training_utterances": 100,
            **{f"training_count_{name}": 50 for name in CLASSES},
            **{"training_speakers": 4, "development_utterances": 40, "test_utterances": 40},
            **{"ua": 0.5 + repeat / 1000, "wa": 0.5, "macro_f1": 0.5},
            **{f"recall_{name}": 0.5 for name in CLASSES},
            **{"best_development_ua": None, "trials": 1, "chosen_trial": 0, "choices": "{}"},
            **{"steps": 40, "best_step": 20, "stop_reason": "budget", "seconds": 0.5 + repeat},
            **{"cell_seconds": 2.0, "peak_memory_megabytes": 300.0, "device": "cpu"},
            **{"execution": "plain", "precision": "float32", "notes": NOTE, "settings": settings},
            **digests,
            "versions": '{"python": "3.11.7", "torch": "2.13.0"}',
        }
        for repeat in range(number)
    ]


SCHEMAS = {
    "comparisons": COMPARISONS,
    "comparisons_by_size": COMPARISONS_BY_SIZE,
    "efficiency": EFFICIENCY,
    "forecast": FORECAST,
    "ceiling": CEILING,
    "slices": SLICES,
    "slice_gaps": SLICE_GAPS,
    "corpus_pairs": CORPUS_PAIRS,
    "robustness": ROBUSTNESS,
    "published": PUBLISHED_TABLE,
    "pretraining": HISTORY,
}
_ZERO = {pa.string(): "", pa.float64(): 0.0, pa.int32(): 0, pa.int64(): 0, pa.bool_(): False}


def filled(rows: list[dict[str, Any]], schema: pa.Schema) -> pl.DataFrame:
    """Return rows with defaults for missing columns: null if allowed, otherwise zero or empty."""
    defaults = {field.name: None if field.nullable else _ZERO[field.type] for field in schema}
    return dataframe_of([{**defaults, **row} for row in rows], schema)


CHECKS = {
    "classes": CLASSES,
    "folds": {
        f"fold{number}": {
            "utterances": {"train": 60, "dev": 20, "test": 40},
            "speakers": {
                "train": ["s1", "s2"],
                "dev": ["s3"],
                "test": [f"t{number}", f"u{number}"],
            },
            "repeated_text": {"scripted": 1.0},
        }
        for number in (1, 2, 3)
    },
    "labels_shuffled": False,
    "development_shares_speakers": False,
    "without_development_set": False,
    "speaker_predicts_label": {"unweighted_accuracy": 0.56, "chance": 0.5},
}


def write_results(folder: Path, *, extras: bool = True, **scores: Any) -> list[Path]:
    """Write the tables, with `extras` those of all sections, and `checks.json`; return paths."""
    table = score_rows(**scores)
    write_table(
        filled(table.to_dicts(), scores_schema(CLASSES)),
        folder / "scores.parquet",
        scores_schema(CLASSES),
    )
    write_table(
        filled(run_rows(), runs_schema(CLASSES)),
        folder / "runs.parquet",
        runs_schema(CLASSES),
    )
    confusion = [
        {"experiment": name, "size": size, "label": a, "predicted": b, "utterances": 30.0}
        | {"fraction": 0.8 if a == b else 0.2}
        for name, size in table.select("experiment", "size").iter_rows()
        for a in CLASSES
        for b in CLASSES
    ]
    write_table(pl.DataFrame(confusion), folder / "confusion.parquet", CONFUSION)
    layers: list[dict[str, object]] = [
        {"experiment": AWKWARD, "fold": fold, "size": "100", "repeat": 0, "representation": "net"}
        | {"layer": layer, "weight": 0.2 + 0.1 * layer}
        for fold in ("fold1", "fold2")
        for layer in range(3)
    ]
    rejected: dict[str, object] = {
        "utterance": None,
        "file": "x.wav",
        "location": None,
        "reason": "silent",
    }
    for name, rows, schema in (
        ("layer_weights", layers if extras else [], LAYER_WEIGHTS),
        ("trials", [], TRIALS),
        ("rejected", [{**rejected, "detail": "digital silence"}], REJECTED),
    ):
        write_table(dataframe_of(rows, schema), folder / f"{name}.parquet", schema)
    if extras:
        for name, rows in {
            "comparisons": comparison_rows(),
            "comparisons_by_size": comparison_rows_by_size(),
            "efficiency": efficiency_rows(),
            **other_rows(),
            "pretraining": history_rows(),
        }.items():
            metadata = {
                "efficiency": {"reference": "mfcc", "left_out": ""},
                "comparisons": {"reference": ""},
            }.get(name, {})
            path = folder / f"{name}.parquet"
            write_table(filled(rows, SCHEMAS[name]), path, SCHEMAS[name], metadata)
    (folder / "checks.json").write_text(json.dumps(CHECKS), encoding="utf-8")
    return sorted(folder.glob("*.parquet"))
