"""The expected work of each shard is that of its utterances, from metadata and file sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emoscale.config.corpus import CsvCorpus, DemoCorpus, SeveralCorpora
from emoscale.corpus.digests import CorpusDigests, compute_corpus_digests
from emoscale.runtime.file_digests import FileDigests

RATE = 16_000


def seconds_of_shards(root: Path, lines: list[str], shards: int = 4) -> tuple[float, ...]:
    """Expected seconds of each shard of a table with the columns file, start and end."""
    rows = ["file,start,end,speaker,emotion", *(f"{line},a,x" for line in lines)]
    (root / "utterances.csv").write_text("\n".join(rows) + "\n")
    corpus = CsvCorpus(reader="csv", root=str(root))
    return compute_corpus_digests(corpus, shards, FileDigests(root / "digests")).audio_seconds


def write(path: Path, seconds: float) -> None:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.zeros(round(seconds * RATE)), RATE, subtype="PCM_16")


def test_segments_count_their_own_durations(tmp_path: Path) -> None:
    """A long recording is not counted again by each shard that has a segment of it."""
    write(tmp_path / "long.wav", 120.0)
    lines = [f"long.wav,{start},{start + 2.5}" for start in range(0, 118, 3)]
    seconds = seconds_of_shards(tmp_path, lines)
    assert all(0 < each < 60 for each in seconds)
    assert sum(seconds) == pytest.approx(2.5 * len(lines))


def test_a_segment_without_a_start_begins_with_the_file(tmp_path: Path) -> None:
    write(tmp_path / "long.wav", 60.0)
    assert sum(seconds_of_shards(tmp_path, ["long.wav,,5"])) == 5.0


def test_whole_files_count_their_size_over_their_utterances(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / f"{number}.wav", 3.0)
    whole = seconds_of_shards(tmp_path, [f"{number}.wav,," for number in range(8)])
    assert sum(whole) == pytest.approx(8 * 3.0, rel=0.001)
    to_the_end = seconds_of_shards(tmp_path, ["0.wav,0,", "0.wav,1,"])
    assert sum(to_the_end) == pytest.approx(3.0, rel=0.001)


def test_a_missing_file_counts_nothing(tmp_path: Path) -> None:
    assert sum(seconds_of_shards(tmp_path, ["missing.wav,,"])) == 0


def test_a_generated_corpus_counts_with_its_settings_before_it_exists(tmp_path: Path) -> None:
    write(tmp_path / "own" / "0.wav", 3.0)
    (tmp_path / "own" / "utterances.csv").write_text("file,speaker,emotion\n0.wav,a,x\n")

    def digests_with(**changes: Any) -> CorpusDigests:
        demo = {"reader": "demo", "root": "generated", "sessions": 2, **changes}
        corpora = {"own": {"reader": "csv", "root": "own"}, "demo": demo}
        corpus = SeveralCorpora.model_validate(
            {"reader": "several", "root": str(tmp_path), "corpora": corpora}
        )
        return compute_corpus_digests(corpus, 1, FileDigests(tmp_path / "digests"))

    first = digests_with()
    assert sum(first.audio_seconds) == pytest.approx(3.0 + 2 * 180 * 3.0, rel=0.001)
    assert digests_with(name="other", root="elsewhere") == first
    changed = digests_with(seed=2)
    for part in ("audio", "texts", "speakers", "declared"):
        assert getattr(changed, part) != getattr(first, part)
    alone = DemoCorpus(reader="demo", root="generated")
    assert compute_corpus_digests(alone, 2, FileDigests(tmp_path / "digests")).audio_seconds == (
        5 * 180 * 1.5,
        5 * 180 * 1.5,
    )
