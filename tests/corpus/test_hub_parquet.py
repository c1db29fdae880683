"""Data sets of the Hugging Face hub, unpacked and then read as a folder with a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from click.testing import CliRunner

from emoscale.audio.decoding import read_recording
from emoscale.config.corpus import CsvCorpus
from emoscale.corpus.hub_parquet import unpack
from emoscale.corpus.readers import CorpusManifest, read_corpus
from emoscale.runtime.errors import CorpusError
from tests.conftest import WriteWav
from tests.test_pins import load_script

AUDIO = pa.struct({"bytes": pa.binary(), "path": pa.string()})
FEATURES = {
    "audio": {"sampling_rate": 16000, "_type": "Audio"},
    "label": {"names": ["angry", "sad"], "_type": "ClassLabel"},
    "speaker_id": {"dtype": "int64", "_type": "Value"},
    "sad_votes": {"dtype": "int64", "_type": "Value"},
}


def write_parquet(
    path: Path, rows: list[dict[str, Any]], features: dict[str, Any] = FEATURES, **types: Any
) -> None:
    """Write rows as the `datasets` library does."""
    table = pa.Table.from_pylist(rows)
    for name, kind in {"audio": AUDIO, **types}.items():
        if name in table.column_names:
            values = pa.array([row[name] for row in rows], kind)
            table = table.set_column(table.column_names.index(name), name, values)
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata if features else None), path)


def row(content: bytes | None, label: int = 0, **columns: Any) -> dict[str, Any]:
    audio = {"bytes": content, "path": columns.pop("path", "one.wav")}
    return {"audio": audio, "label": label, "speaker_id": 7, "sad_votes": 2, **columns}


def read(root: Path, **options: Any) -> CorpusManifest:
    columns = {"speaker": "speaker_id", "emotion": "label", **options.pop("columns", {})}
    return read_corpus(CsvCorpus(reader="csv", root=str(root), columns=columns, **options))


def test_recordings_class_labels_and_splits(tmp_path: Path, write_wav: WriteWav) -> None:
    wav = write_wav().read_bytes()
    flac = tmp_path / "x.flac"
    soundfile.write(flac, *soundfile.read(write_wav("louder.wav", level=0.5)))
    root = tmp_path / "set"
    rows = [row(wav, path="a.wav"), row(flac.read_bytes(), 1, path=None)]
    write_parquet(root / "data" / "train-00000-of-00002.parquet", rows)
    write_parquet(root / "data" / "validation-00000-of-00001-0a1b.parquet", [row(wav, 1)])
    write_parquet(root / "test" / "0000.parquet", [row(wav, -1)])
    unpacked = unpack(root)
    assert (unpacked.rows, unpacked.recordings, unpacked.omitted) == (4, 4, [])
    manifest = read(root, vote_columns={"sad": "sad_votes"})
    assert [(each.emotion, each.split) for each in manifest.utterances] == [
        ("angry", "train"),
        ("sad", "train"),
        ("sad", "dev"),
    ]
    assert [row.detail for row in manifest.rejected] == ["the row has no emotion"]
    first, second, third = manifest.utterances
    assert first.utterance == "unpacked/data/train-00000-of-00002/000000"
    assert (first.speaker, len(first.votes or ())) == ("7", 2)
    assert (root / first.audio).read_bytes() == (root / third.audio).read_bytes() == wav
    assert read_recording(root / second.audio).seconds == 0.5
    by_path = read(root, columns={"utterance": "audio"}).utterances
    assert by_path[0].utterance == "a.wav"


def test_paths_are_relative_to_the_parquet_file(tmp_path: Path) -> None:
    rows = [{"file": "clips/a.wav", "label": "sad", "speaker_id": 1, "split": "x", "bbox": [1, 2]}]
    write_parquet(tmp_path / "train" / "metadata.parquet", rows, features={})
    with pytest.raises(
        CorpusError, match=r"has 0 columns of recordings .* with --audio \(columns: f"
    ):
        unpack(tmp_path)
    unpacked = unpack(tmp_path, "file")
    assert (unpacked.recordings, unpacked.omitted) == (0, ["bbox"])
    assert unpacked.columns == [
        *("file", "split", "original_file", "label", "speaker_id", "original_split")
    ]
    (utterance,) = read(tmp_path, columns={"split": "original_split"}).utterances
    assert (utterance.audio, utterance.split) == ("train/clips/a.wav", "x")


def test_recordings_that_are_not_in_the_file_are_named_by_path(tmp_path: Path) -> None:
    rows = [row(None, path="a.wav"), row(None, path="/home/a.wav"), row(None, path=None)]
    write_parquet(tmp_path / "a.parquet", rows)
    assert unpack(tmp_path).recordings == 0
    manifest = read(tmp_path)
    assert [each.audio for each in manifest.utterances] == ["a.wav"]
    assert [each.reason for each in manifest.rejected] == ["outside the corpus", "empty field"]


def test_an_image_is_no_recording(tmp_path: Path) -> None:
    rows = [row(b"RIFF", picture={"bytes": b"PNG", "path": "a.png"})]
    features = {**FEATURES, "picture": {"_type": "Image"}}
    write_parquet(tmp_path / "a.parquet", rows, features, picture=AUDIO)
    assert unpack(tmp_path).omitted == ["picture"]


def test_folders_that_cannot_be_unpacked(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="has no Parquet files"):
        unpack(tmp_path)
    write_parquet(tmp_path / "a.parquet", [row(b"RIFF")])
    with pytest.raises(CorpusError, match="has no column sound with recordings or paths"):
        unpack(tmp_path, "sound")
    other = {**FEATURES, "label": {"names": ["sad", "angry"], "_type": "ClassLabel"}}
    write_parquet(tmp_path / "b.parquet", [row(b"RIFF")], other)
    with pytest.raises(CorpusError, match=r"b\.parquet has other columns or class labels than a"):
        unpack(tmp_path)
    (tmp_path / "b.parquet").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(CorpusError, match=r"b\.parquet is not a Parquet file .*Git LFS"):
        unpack(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


def test_the_program_does_not_replace_anything(project: Path, tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [row(b"RIFF")])
    program = load_script(project, "unpack_parquet").main
    result = CliRunner().invoke(program, [str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "1 rows, 1 recordings unpacked; columns: file, split, audio, label" in result.output
    (tmp_path / "utterances.csv").unlink()
    result = CliRunner().invoke(program, [str(tmp_path)])
    assert result.exit_code == 1
    assert "unpacked exists; move or remove it to unpack the data set again" in result.output
