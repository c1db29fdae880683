"""`scripts/list_speakers.py` lists recordings with their speakers and audio digests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl

from emoscale.tables.parquet import dataframe_of, read_table, write_table
from emoscale.tables.schemas import RECORDING_SPEAKERS, SHARD
from tests.audit.speech import write_corpus
from tests.conftest import PROJECT
from tests.workflow.small_study import ROWS


def speakers(folder: Path, shard: list[dict[str, Any]]) -> pl.DataFrame:
    path, output = folder / "shard.parquet", folder / "speakers.parquet"
    write_table(dataframe_of(shard, SHARD), path, SHARD)
    corpus = json.dumps({"reader": "csv", "root": str(folder / "recordings")})
    program = [sys.executable, str(PROJECT / "scripts" / "list_speakers.py"), "--corpus", corpus]
    subprocess.run([*program, "--output", str(output), str(path)], check=True, text=True)
    return read_table(output, RECORDING_SPEAKERS)


def test_a_recording_of_the_same_length_with_other_audio_changes_the_table(tmp_path: Path) -> None:
    write_corpus(tmp_path / "recordings", ROWS)
    shard = [
        {
            "utterance": Path(row["file"]).stem,
            "audio": row["file"],
            "start": None,
            "end": None,
            "seconds": 0.6,
            "sample_rate": 16_000,
            "channels": 1,
            "audio_sha256": f"{number}",
        }
        for number, row in enumerate(ROWS)
    ]
    before = speakers(tmp_path, shard)
    assert sorted(before["speaker"].unique()) == ["1F", "1M", "2F", "2M"]
    after = speakers(tmp_path, [{**shard[0], "audio_sha256": "other"}, *shard[1:]])
    assert not after.equals(before)
    assert after.drop("audio_sha256").equals(before.drop("audio_sha256"))
