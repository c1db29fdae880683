from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from emoscale.config import parse_study
from emoscale.config.corpus import RELEASES
from emoscale.config.evidence import StudyEvidence
from emoscale.corpus.readers import READERS
from emoscale.evaluation.published import PUBLISHED_TABLE, published_curves, published_table
from emoscale.evaluation.published_benchmarks import BENCHMARK_RESULTS
from emoscale.evaluation.published_results import PUBLISHED_RESULTS
from emoscale.tables.parquet import write_table
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def evidence() -> StudyEvidence:
    """Return the evidence settings of the configuration of IEMOCAP."""
    config = yaml.safe_load((PROJECT / "config" / "iemocap.yaml").read_text())
    return StudyEvidence(**json.loads(parse_study(config).evidence_settings()))


def score(experiment: str, size: str, labels: float, pretrained: str = "", **changes: Any) -> dict:
    return {
        "corpus": "IEMOCAP",
        "experiment": experiment,
        "size": size,
        "training_utterances_mean": labels,
        "pretrained_weights": pretrained,
        "ua": 0.61,
        "wa": 0.62,
        "macro_f1": 0.60,
        "ua_low": 0.55,
        "ua_high": 0.66,
        **changes,
    }


SCORES = pl.DataFrame(
    [
        score("mfcc", "1000", 1000.0),
        score("compare_svm", "1000", 1010.0),
        score("wav2vec", "1000", 1000.0, "wav2vec_large.pt, sha256 0123abcd…"),
        score("wav2vec", "all", 4200.0, "wav2vec_large.pt, sha256 0123abcd…"),
        score("wav2vec2_superb", "all", 4200.0, "facebook/wav2vec2-base at 0b5b8e86", wa=0.64),
        score("aligned", "all", 4200.0, "wav2vec_large.pt, sha256 01…; bert-base-uncased at 86b5"),
    ]
)


def rows_of(table: pl.DataFrame, system: str, labels: int | None = None) -> list[dict]:
    same = pl.col("labels").is_null() if labels is None else pl.col("labels") == labels
    return table.filter(pl.col("system") == system, same).to_dicts()


def test_curves_are_the_published_ones() -> None:
    hand, wav2vec = published_curves()
    assert hand.ua.tolist() == [0.516, 0.527, 0.557, 0.562]  # arXiv 2011.05585, figure
    assert wav2vec.ua.tolist() == [0.585, 0.591, 0.630, 0.643]
    assert wav2vec.labels.tolist() == [500, 1000, 2000, 4000]


def test_a_corpus_without_published_results_has_an_empty_table(
    evidence: StudyEvidence, tmp_path: Path
) -> None:
    table = published_table(SCORES.with_columns(corpus=pl.lit("my recordings")), evidence)
    write_table(table, tmp_path / "published.parquet", PUBLISHED_TABLE)
    assert table.is_empty()


def test_results_on_another_corpus(evidence: StudyEvidence, tmp_path: Path) -> None:
    """Only those on it are listed, with the shared speakers, also if nothing is comparable."""
    study = evidence.model_copy(update={"classes": list("abcdefg")})
    scores = pl.DataFrame(
        [
            score("wav2vec2_emobox", "all", 428.0, "facebook/wav2vec2-base at 0b", corpus="EmoDB"),
            score("mfcc", "all", 428.0, corpus="EmoDB"),
        ]
    )
    experiment = evidence.experiments["wav2vec2_superb"]
    model = {**experiment.model, "activation": "relu"}
    experiments = {
        **evidence.experiments,
        "wav2vec2_emobox": experiment.model_copy(update={"model": model}),
    }
    table = published_table(scores, study.model_copy(update={"experiments": experiments}))
    write_table(table, tmp_path / "published.parquet", PUBLISHED_TABLE)
    (base,) = rows_of(table, "wav2vec 2.0 base")
    # leaderboard of EmoBox, EmoDB
    assert (base["value"], base["our_value"]) == (pytest.approx(0.8314), 0.62)
    shared = (
        "test speakers that are also in training or development: published 10 of 10 in each fold, "
        "this study none"
    )
    assert shared in base["differences"]
    (large,) = rows_of(table, "WavLM large")
    assert large["differences"] == (
        f"no experiment of this study has this representation, model and size; {shared}"
    )
    assert table["source"].str.contains("EmoBox").all()


def test_results_with_other_labels_are_not_comparable(evidence: StudyEvidence) -> None:
    six = evidence.model_copy(update={"classes": list("abcdef")})
    for label, comparable in (("voice", False), ("acted", True)):
        table = published_table(
            SCORES.with_columns(corpus=pl.lit(f"CREMA-D (labels: {label})")), six
        )
        reason = "published with acted labels, and this study's are voice; test speakers"
        assert table["differences"].str.starts_with(reason).all() is not comparable
        assert table["differences"].str.contains("91 of 91, this study none").all()


def test_published_corpora_have_a_reader() -> None:
    releases = [import_module(READERS[name]).RELEASE for name in RELEASES]
    labels_of = {release.name: release.labels for release in releases}
    for result in BENCHMARK_RESULTS:
        publication = result.publication
        labels = labels_of[publication.corpus]
        assert publication.label in (labels or [""])


def test_published_values_are_fractions_with_a_source() -> None:
    for result in (*PUBLISHED_RESULTS, *BENCHMARK_RESULTS):
        assert 0.3 < result.value < 1
        assert result.publication.arxiv or result.publication.title.endswith("title not recorded")


def test_other_classes_and_negative_controls_are_not_comparable(evidence: StudyEvidence) -> None:
    three = evidence.model_copy(update={"classes": ["a", "b", "c"]})
    assert "this study has 3" in published_table(SCORES, three)["differences"][0]
    shuffled = evidence.model_copy(
        update={"protocol": {**evidence.protocol, "shuffle_labels": True}}
    )
    assert "negative control" in published_table(SCORES, shuffled)["differences"][0]


def test_same_representation_and_size_are_comparable(evidence: StudyEvidence) -> None:
    table = published_table(SCORES, evidence)
    hand = rows_of(table, "hand-engineered, best set", 1000)
    assert [row["experiment"] for row in hand] == ["mfcc", "compare_svm"]
    (row,) = (row for row in rows_of(table, "wav2vec", 1000))
    assert (row["value"], row["our_value"], row["our_low"], row["our_high"]) == (
        0.591, 0.61, 0.55, 0.66
    )  # fmt: skip
    (unmatched,) = rows_of(table, "wav2vec", 2000)
    assert unmatched["our_value"] is None
    assert "no experiment of this study has this representation" in unmatched["differences"]


def test_same_model_and_metric_are_comparable(evidence: StudyEvidence) -> None:
    table = published_table(SCORES, evidence)
    superb = [row for row in rows_of(table, "wav2vec 2.0 base") if "SUPERB" in row["source"]]
    assert [(row["experiment"], row["our_value"]) for row in superb] == [("wav2vec2_superb", 0.64)]
    # The mean-pooling wav2vec of this study is not SUPERB's head.
    assert [row["experiment"] for row in rows_of(table, "wav2vec")] == [None]
    (fused,) = rows_of(table, "wav2vec and BERT, aligned by attention")
    assert fused["experiment"] == "aligned"


def test_differences_in_protocol_are_described(evidence: StudyEvidence) -> None:
    table = published_table(SCORES, evidence)
    (row,) = (
        row for row in rows_of(table, "wav2vec 2.0 base") if row["experiment"] == "wav2vec2_superb"
    )
    assert "published a random 20 % of the training sessions" in row["differences"]
    assert "this study a random 6 % of the training sessions" in row["differences"]
    assert "folds" not in row["differences"]  # they are the same


def test_name_within_a_longer_name_is_another_network(evidence: StudyEvidence) -> None:
    tuned = SCORES.with_columns(
        pl.col("pretrained_weights").str.replace(
            "wav2vec2-base", "wav2vec2-base-960h", literal=True
        )
    )
    rows = rows_of(published_table(tuned, evidence), "wav2vec 2.0 base")
    assert [row["experiment"] for row in rows if "SUPERB" in row["source"]] == [None]


@pytest.mark.parametrize(
    ("weights", "experiment"),
    [
        ("wav2vec pre-trained on 3.0 hours of speech, 20 steps, from wav2vec_large.pt", None),
        ("copy of wav2vec_large.pt", "wav2vec"),
    ],
)
def test_weights_that_were_trained_further_are_others(
    evidence: StudyEvidence, weights: str, experiment: str | None
) -> None:
    scores = pl.DataFrame([score("wav2vec", "1000", 1000.0, weights)])
    rows = rows_of(published_table(scores, evidence), "wav2vec", 1000)
    assert [row["experiment"] for row in rows] == [experiment]


def test_unsupported_representations_are_reported(evidence: StudyEvidence) -> None:
    (row,) = rows_of(published_table(SCORES, evidence), "emotion2vec")
    assert row["differences"] == "emotion2vec is not a representation of this software"


@pytest.mark.parametrize("normalisation", ["training", "speaker"])
def test_another_normalisation_is_a_difference(evidence: StudyEvidence, normalisation: str) -> None:
    experiment = evidence.experiments["wav2vec2_pepino"]
    changed = experiment.model_copy(update={"normalisation": normalisation})
    study = evidence.model_copy(update={"experiments": {"wav2vec2_pepino": changed}})
    scores = pl.DataFrame([score("wav2vec2_pepino", "all", 4200.0, "facebook/wav2vec2-base at 0b")])
    system = "wav2vec 2.0 base, all layers, learned weights"
    (by_speaker,) = rows_of(published_table(scores, study), system)
    (by_training,) = rows_of(published_table(scores, study), f"{system}, global normalisation")
    assert by_speaker["experiment"] == by_training["experiment"] == "wav2vec2_pepino"
    differs = "normalisation: published by speaker, this study by training"
    assert (differs in by_speaker["differences"]) == (normalisation == "training")
    differs = "normalisation: published by training, this study by speaker"
    assert (differs in by_training["differences"]) == (normalisation == "speaker")
