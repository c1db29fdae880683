"""A study whose cells train in a second each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import torch

from emoscale.config import parse_settings
from emoscale.config.checkpoints import PredictionSettings, UntrainedModel
from emoscale.config.corpus import AudioChecks, LabelSettings
from emoscale.config.protocol import ProtocolSettings
from emoscale.config.representations import RepresentationSettings
from emoscale.config.training import CellSettings
from emoscale.corpus.labels import add_labels
from emoscale.corpus.readers import CorpusManifest, Utterance
from emoscale.corpus.shards import shard_index
from emoscale.corpus.votes import add_vote_shares
from emoscale.protocol.orders import make_fold
from emoscale.representations.registry import build_representation
from emoscale.representations.weights.fetching import fetch_checkpoint
from emoscale.representations.weights.resolving import resolve_checkpoints
from emoscale.store.extraction import extract_shard
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.speaker_statistics import write_speaker_statistics
from emoscale.tables.parquet import write_table
from emoscale.tables.schemas import EXTRACTION_INPUTS, RECORDINGS, TEXTS
from emoscale.training.cell import train_cell
from emoscale.training.prepared_cell import Cell
from emoscale.training.run_record import CellName
from tests.corpus.checked import check_recordings

SAMPLE_RATE = 22_050  # features are computed at another one
BERT = UntrainedModel(untrained="bert", seed=3)
REPRESENTATIONS: dict[str, Any] = {
    "mfcc": {"kind": "mfcc", "coefficients": 13, "deltas": 1},
    "bert": {"kind": "transformers_text", "model": "tiny_bert", "layer": "all"},
}
MODELS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "pooled": (["mfcc"], {"kind": "pooled", "projection_size": 8}),
    "estimator": (["mfcc"], {"kind": "estimator", "C": [0.01]}),
    "text": (["bert/1"], {"kind": "pooled", "projection_size": 8}),
    "late": (["mfcc", "bert"], {"kind": "late_fusion", "branches": [
        {"kind": "pooled", "projection_size": 8}, {"kind": "recurrent", "hidden_size": 8},
    ]}),
    "aligned": (["mfcc", "bert/2"], {"kind": "aligned_fusion", "hidden_size": 8, "num_heads": 2}),
    "aligned_within_words": (
        ["mfcc", "bert/2"],
        {"kind": "aligned_fusion", "hidden_size": 8, "num_heads": 2, "within_word": True},
    ),
}  # fmt: skip
# Of these, the speakers are needed to predict.
BY_SPEAKER = {
    "pooled_by_speaker": "pooled",
    "estimator_by_speaker": "estimator",
    "aligned_by_speaker": "aligned",
    "late_by_speaker": "late",
}
TRAINING: dict[str, dict[str, Any]] = {
    **{name: {"normalisation": "speaker", "feature_clip": 2.0} for name in BY_SPEAKER},
    "by_utterance": {"normalisation": "utterance"},
}
MODELS |= {
    **{name: MODELS[same] for name, same in BY_SPEAKER.items()},
    "by_utterance": MODELS["pooled"],
}
SENTENCES = ("I am so [LAUGHTER] happy today!", "leave me alone now", "")


@dataclass(frozen=True)
class SmallStudy:
    """The study's folders: results, recordings and pre-trained weights."""

    folder: Path
    corpus: Path
    cache: Path

    def run_folder(self, experiment: str) -> Path:
        return self.folder / "runs" / experiment / "fold1" / "all"

    def predictions(self, experiment: str) -> pl.DataFrame:
        """Return the predictions that the training wrote."""
        return pl.read_parquet(self.run_folder(experiment) / "predictions.parquet")

    def test_recordings(self) -> list[Path]:
        """Return the recordings of the test utterances."""
        keys = self.predictions("pooled")["utterance"].unique().sort()
        return [self.corpus / f"{key}.wav" for key in keys]

    def speakers(self, folder: Path, recordings: Sequence[Path]) -> Path:
        """Write a table of the speakers of recordings."""
        table = folder / "speakers.csv"
        rows = [f"{path},speaker{int(path.stem[1:]) // 2 % 3}" for path in recordings]
        table.write_text("\n".join(["file,speaker", *rows]))
        return table


def _write_corpus(root: Path) -> CorpusManifest:
    """Write tones of two classes (high, low) and three speakers, most with words of the class."""
    manifest = CorpusManifest("csv")
    for number in range(24):
        label, speaker = ("high", "low")[number % 2], f"speaker{number // 2 % 3}"
        generator = np.random.default_rng(number)
        seconds = generator.uniform(0.4, 1.2)
        time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        pitch = {"high": 500.0, "low": 200.0}[label] + 30 * generator.normal()
        samples = 0.3 * np.sin(2 * np.pi * pitch * time) + 0.05 * generator.normal(size=len(time))
        soundfile.write(root / f"u{number:02d}.wav", samples, SAMPLE_RATE, subtype="PCM_16")
        transcript = SENTENCES[number % 2 if number % 5 else 2]
        (root / f"u{number:02d}.txt").write_text(transcript + "\n")
        words = [
            {"word": word, "start": 0.05 * index, "end": 0.05 * index + 0.05}
            for index, word in enumerate(transcript.split())
        ]
        manifest.add(
            Utterance(f"u{number:02d}", f"u{number:02d}.wav", speaker, label,
                      transcript=transcript, words=words or None),  # type: ignore[arg-type]
            "table",
        )  # fmt: skip
    return manifest


def _extract(recordings: pl.DataFrame, study: SmallStudy) -> None:
    checkpoint = fetch_checkpoint("tiny_bert", BERT, study.cache)
    for name, mapping in REPRESENTATIONS.items():
        settings = parse_settings(RepresentationSettings, mapping, name)
        resolved, pretrained_weights = resolve_checkpoints(settings, [checkpoint])
        representation = build_representation(resolved)
        shards = []
        for number in range(2):
            rows = recordings.select(EXTRACTION_INPUTS.names).filter(
                pl.Series([shard_index(key, 2) == number for key in recordings["utterance"]])
            )
            shards.append(study.folder / "features" / name / f"{number:02d}.h5")
            extract_shard(
                rows,
                study.corpus,
                settings,
                representation,
                shards[-1],
                "code",
                pretrained_weights,
            )
        index_shards(shards, shards[0].with_name("index.parquet"))
        store = FeatureStore(shards[0].with_name("index.parquet"))
        write_speaker_statistics(store, dict(recordings.select("utterance", "speaker").iter_rows()))


def _train(study: SmallStudy, fold: pl.DataFrame, experiment: str) -> None:
    references, model = MODELS[experiment]
    stores = []
    for reference in references:
        name, _, layer = reference.partition("/")
        index = study.folder / "features" / name / "index.parquet"
        stores.append(FeatureStore(index, int(layer) if layer else None))
    training = {
        **{"maximum_steps": 20, "steps_between_evaluations": 10, "batch_size": 8},
        **TRAINING.get(experiment, {}),
    }
    settings = parse_settings(
        CellSettings, {"model": model, "training": training, "seed": 5}, experiment
    )
    prediction = PredictionSettings(
        audio=AudioChecks(minimum_seconds=0.2),
        checkpoints={"tiny_bert": BERT},
        checkpoint_cache=str(study.cache),
    )
    run = CellName(experiment, "fold1", "all")
    cell = Cell(run, settings, fold, stores, "code", "protocol", prediction)
    train_cell(cell, study.run_folder(experiment), torch.device("cpu"))


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> SmallStudy:
    root = tmp_path_factory.mktemp("study")
    study = SmallStudy(root / "results" / "small", root / "corpus", root / "cache")
    study.corpus.mkdir()
    recordings, _ = check_recordings(_write_corpus(study.corpus), study.corpus, AudioChecks())
    for name, schema in (("recordings", RECORDINGS), ("texts", TEXTS)):
        path = study.folder / "corpus" / f"{name}.parquet"
        write_table(recordings.select(schema.names), path, schema)
    _extract(recordings, study)
    protocol = ProtocolSettings(fold_unit="speakers", folds=3, repeats=2)
    classes = LabelSettings(classes={name: [name] for name in recordings["emotion"].unique()})
    labelled = add_vote_shares(add_labels(recordings, classes), classes)
    fold = make_fold(labelled, protocol, 0, 1)
    for experiment in MODELS:
        _train(study, fold, experiment)
    return study


ChangeRun = Callable[[str, Sequence[str], Any], Path]


@pytest.fixture
def change_run(small_study: SmallStudy, tmp_path: Path) -> ChangeRun:
    """Return a function that copies a run with one value of its run.json changed."""

    def change(experiment: str, keys: Sequence[str], value: Any) -> Path:
        source, target = small_study.run_folder(experiment), tmp_path / "run"
        target.mkdir()
        run = json.loads((source / "run.json").read_text())
        parent = run
        for key in keys[:-1]:
            parent = parent[int(key) if key.isdigit() else key]
        parent[keys[-1]] = value
        (target / "run.json").write_text(json.dumps(run))
        (target / "model.safetensors").write_bytes((source / "model.safetensors").read_bytes())
        return target

    return change
