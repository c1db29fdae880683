"""Notes on tested recordings that a pre-training used reach the rows that they concern."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emoscale.config.corpus import RELEASES
from emoscale.evaluation.runs import collect_runs, runs_schema
from emoscale.evaluation.scores import scores_schema
from emoscale.reporting.figures import note_lines
from emoscale.representations.weights.emotion_corpora import (
    EMOTION_TRAININGS,
    emotion_training_notes,
)
from emoscale.tables.parquet import read_metadata, read_table, write_table
from emoscale.tables.schemas import UTTERANCES
from emoscale.training.run_record import CellName
from tests.evaluation.test_tables import (
    CLASSES,
    PROTOCOL,
    SPEAKER_OF,
    TRUTH,
    input_record,
    write_cell,
)
from tests.reporting.results_folder import filled
from tests.scripts.test_programs import invoke

NOTE = "the weights were pre-trained on speech of 3 of 4 tested speakers, with 2 of 6 tested"
OVERLAPS = {
    "net": {"tested": 6, "recordings": 2, "speakers": 3, "tested_speakers": 4, "utterances": []},
    "apart": {"tested": 6, "recordings": 0, "speakers": 0, "tested_speakers": 4, "utterances": []},
}


def reader_of(checkpoint: str) -> dict[str, Any]:
    """Return the input of a run that reads a checkpoint."""
    settings = {"kind": "wav2vec", "checkpoint": checkpoint}
    return {**input_record("wav2vec", "mfcc", f"weights of {checkpoint}"), "settings": settings}


INPUTS = {
    "on_net": [reader_of("net")],
    "fused": [input_record("mfcc", "mfcc"), reader_of("net")],
    "on_apart": [reader_of("apart")],
    "on_path": [reader_of("/weights/net")],
    "trained_on_it": [input_record("a", "transformers_audio", "emotion2vec_base")],
    "mfcc": [input_record("net", "mfcc")],  # a representation of the checkpoint's name
}
CONCERNED = ["on_net", "fused"]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Return the folder of the tables of a study."""
    for experiment, inputs in INPUTS.items():
        for fold in TRUTH:
            write_cell(tmp_path / "runs", fold, experiment, inputs=inputs)
    speakers = dict(SPEAKER_OF.iter_rows())
    rows = [
        {"utterance": key, "speaker": speaker, "corpus": "iemocap"}
        for key, speaker in speakers.items()
    ]
    write_table(filled(rows, UTTERANCES), tmp_path / "utterances.parquet", UTTERANCES)
    (tmp_path / "checks.json").write_text(json.dumps({"warnings": ["few speakers"]}))
    options: list[str] = []
    for name, overlap in OVERLAPS.items():
        path = tmp_path / "checkpoints" / name / "overlap.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(overlap))
        options += ["--overlap", str(path)]
    cells = {"experiments": {name: ["10"] for name in INPUTS}, "folds": list(TRUTH)}
    ran = invoke(
        *("make_tables.py", "--study", "s", "--corpus-name", "csv"),
        *("--runs", str(tmp_path / "runs"), "--cells", json.dumps(cells)),
        *("--protocol", PROTOCOL.model_dump_json()),
        *("--utterances", str(tmp_path / "utterances.parquet")),
        *("--checks", str(tmp_path / "checks.json"), "--output", str(tmp_path / "tables")),
        *options,
    )
    assert ran.exit_code == 0, ran.stderr
    return tmp_path / "tables"


def test_runs_and_scores_have_the_note_of_their_checkpoint_and_no_other(tables: Path) -> None:
    for name, schema in (("runs", runs_schema(CLASSES)), ("scores", scores_schema(CLASSES))):
        table = read_table(tables / f"{name}.parquet", schema)
        for row in table.iter_rows(named=True):
            lines = row["notes"].split("\n")
            assert lines[0] == "few speakers"
            if row["experiment"] in CONCERNED:
                assert lines[1].startswith(f"{row['experiment']}: {NOTE}")
                assert len(lines) == 2
            elif row["experiment"] == "trained_on_it":
                assert "emotion2vec_base were trained on recordings of IEMOCAP" in lines[1]
                assert len(lines) == 2
            else:
                assert lines == ["few speakers"]
    written = pl.read_csv(tables / "scores.csv")
    assert written["notes"].str.contains(NOTE).sum() == len(CONCERNED)


def test_the_page_states_the_note_once(tables: Path) -> None:
    scores = read_table(tables / "scores.parquet", scores_schema(CLASSES))
    lines = note_lines(scores["notes"])
    assert lines[0] == "few speakers"
    assert [line.partition(": ")[0] for line in lines[1:]] == ["on_net, fused", "trained_on_it"]


def test_the_overlap_is_an_input_of_the_tables(tables: Path) -> None:
    inputs = json.dumps(read_metadata(tables / "runs.parquet"))
    assert "net/overlap.json" in inputs


def test_without_an_overlap_there_is_no_note(tmp_path: Path) -> None:
    write_cell(tmp_path, "fold1", "on_net", inputs=INPUTS["on_net"])
    cells = [CellName("on_net", "fold1", "10")]
    for notes in ({}, {"net": ""}, {"other": "a note"}):
        runs = collect_runs(tmp_path, cells, "s", "csv", "", PROTOCOL, weights_notes=notes).runs
        assert set(runs["notes"]) == {""}


def notes_of(folder: Path, inputs: dict[str, Any], corpora: list[str]) -> str:
    """Return the notes of a run on these inputs."""
    write_cell(folder, "fold1", "net", inputs=[inputs])
    cells = [CellName("net", "fold1", "10")]
    runs = collect_runs(folder, cells, "s", "csv", "", PROTOCOL, corpora=corpora).runs
    (notes,) = set(runs["notes"])
    return str(notes)


@pytest.mark.parametrize("corpus", ["msp_podcast", "MSP-Podcast"])
def test_weights_that_were_trained_on_the_corpus_are_noted(tmp_path: Path, corpus: str) -> None:
    hub = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
    inputs = input_record("net", "transformers_audio", f"{hub}, revision main")
    source = f"https://huggingface.co/{hub}"
    assert notes_of(tmp_path, inputs, ["emodb", corpus]) == (
        "net: the weights wav2vec2-large-robust-12-ft-emotion-msp-dim were trained on recordings "
        f"and labels of MSP-Podcast, perhaps on those that are tested ({source})"
    )


def test_weights_of_an_external_representation_are_noted(tmp_path: Path) -> None:
    settings = {"kind": "mine:Emotion2Vec", "options": {"model": "iic/emotion2vec_plus_large"}}
    inputs = {**input_record("net", "mfcc"), "settings": settings}
    notes = notes_of(tmp_path, inputs, ["crema_d", "nemo", "emodb"])
    assert (
        "emotion2vec_plus_large were trained on recordings and labels of CREMA-D, EMO-DB," in notes
    )


@pytest.mark.parametrize(
    ("weights", "corpus"),
    [
        ("audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim, revision main", "emodb"),
        ("me/wav2vec2-large-robust-12-ft-emotion-msp-dim-mine, revision main", "msp_podcast"),
        ("facebook/wav2vec2-large-robust, revision main", "msp_podcast"),
        ("superb/hubert-large-superb-er, revision main", "iemocap"),  # its network is not changed
    ],
)
def test_other_weights_and_corpora_are_not_noted(tmp_path: Path, weights: str, corpus: str) -> None:
    assert notes_of(tmp_path, input_record("net", "transformers_audio", weights), [corpus]) == ""


def test_every_training_on_emotional_corpora_has_a_source() -> None:
    checkpoints = [name for each in EMOTION_TRAININGS for name in each.checkpoints]
    assert len(checkpoints) == len(set(checkpoints))
    for training in EMOTION_TRAININGS:
        assert training.source.startswith("https://")
        assert training.corpora


def test_readers_of_corpora_are_recognised_by_their_names() -> None:
    """EmoBox, whose labels emotion2vec+ learned from, has all corpora but three."""
    others = {"baved", "msp_improv", "nemo"}
    recognised = {
        reader for reader in RELEASES if emotion_training_notes("emotion2vec_plus_seed", [reader])
    }
    assert recognised == {*RELEASES} - others
