"""Snakemake reruns exactly what the invalidation table states, for every key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import yaml

from emoscale.corpus.shards import shard_index
from tests.workflow.invalidation.effects import (
    EVERYTHING,
    SMALL_METADATA,
    SMALL_TEXTS,
    TABLES,
    Job,
    extraction_jobs,
)
from tests.workflow.invalidation.keys import KEYS, keys_of
from tests.workflow.invalidation.page import page
from tests.workflow.invalidation.row import Row
from tests.workflow.invalidation.studies import SMALL, STUDY, changed
from tests.workflow.small_releases import write_releases
from tests.workflow.touched_study import TouchedStudy

PATH_INDEX = {
    "extract_features": 1,
    "index_features": 1,
    "measure_speakers": 1,
    "fetch_checkpoint": 1,
    "train": 1,
    "test_robustness": 1,
    "extract_perturbed": 1,
    "index_perturbed": 1,
    "measure_perturbed_speakers": 1,
}
"""Index of the path component, below the study's folder, that names a rule's subject."""

Studies = dict[str, TouchedStudy]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """Return a cache of finished studies by their changed base settings."""
    return {}


def finished(studies: Studies, row: Row, tmp_path_factory: pytest.TempPathFactory) -> TouchedStudy:
    name = f"{row.small} {sorted(row.base.items())}"
    if name not in studies:
        config = SMALL if row.small else STUDY
        for path, value in row.base.items():
            config = changed(config, path, value)
        folder = tmp_path_factory.mktemp("study")
        write_releases(folder)
        studies[name] = TouchedStudy(folder, config)
        studies[name].finish()
        assert studies[name].pending() == {}
    return studies[name]


def jobs(pending: dict[str, list[str]]) -> set[Job]:
    """Return the jobs (rule and subject) of pending outputs."""
    pending_jobs = set()
    for rule, outputs in pending.items():
        for output in outputs:
            parts = PurePosixPath(output).parts[2:]
            subject = PurePosixPath(parts[PATH_INDEX[rule]]).stem if rule in PATH_INDEX else ""
            pending_jobs.add((rule, subject))
    return pending_jobs


def test_every_key_has_a_row() -> None:
    assert sorted(KEYS) == sorted(keys_of())


@pytest.mark.parametrize(("key", "row"), KEYS.items(), ids=KEYS)
def test_a_changed_key_has_the_effect_in_the_table(
    studies: Studies, key: str, row: Row, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, row, tmp_path_factory)
    actual = jobs(study.pending(changed(study.config, row.path or key, row.value)))
    assert actual == row.effect, (sorted(actual - row.effect), sorted(row.effect - actual))


def test_everything_is_every_job_of_a_new_study(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The widest effect in the table is all jobs of a new study except generating the corpus."""
    study = TouchedStudy(tmp_path_factory.mktemp("new"), STUDY)
    assert jobs(study.pending()) == EVERYTHING | {("generate_demo", "")}


def test_the_page_is_up_to_date(project: Path) -> None:
    assert (project / "docs" / "reference" / "invalidation.md").read_text() == page()


def test_removing_an_experiment_reruns_the_tables(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    fewer = {name: each for name, each in STUDY["experiments"].items() if name != "early"}
    assert jobs(study.pending({**STUDY, "experiments": fewer})) == TABLES


@pytest.fixture
def small(studies: Studies, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TouchedStudy]:
    """Yield the finished small study; its corpus is restored afterwards."""
    study = finished(studies, KEYS["corpus(CsvCorpus).table"], tmp_path_factory)
    yield study
    write_releases(study.folder)


def test_changed_modification_times_rerun_nothing(small: TouchedStudy) -> None:
    for path in (small.folder / "recordings").iterdir():
        os.utime(path, (2_000_000_000, 2_000_000_000))
    assert small.pending() == {}


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [(",words", ",other words", SMALL_TEXTS), (",angry,", ",sad,", SMALL_METADATA)],
    ids=["transcript", "label"],
)
def test_a_corrected_row_of_the_table(
    small: TouchedStudy, old: str, new: str, effect: frozenset[Job]
) -> None:
    table = small.folder / "recordings" / "utterances.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    assert jobs(small.pending()) == effect


def test_a_changed_recording_reruns_its_shard(small: TouchedStudy) -> None:
    path = small.folder / "recordings" / "0angry.wav"
    before = path.stat()
    path.write_text("sound")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    pending = small.pending()
    shard = f"{shard_index('0angry', 2):02d}"
    assert {Path(output).stem for output in pending["read_shard"]} == {shard}
    assert jobs(pending) >= {("extract_features", "mfcc"), ("train", "mfcc"), ("read_corpus", "")}


def test_a_replaced_local_checkpoint_reruns_its_extraction(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    weights = study.folder / "vq.pt"
    weights.write_bytes(b"weights")
    assert jobs(study.pending()) == extraction_jobs("vq") | extraction_jobs("roberta")
    weights.unlink()
    assert study.pending() == {}


def test_layout_and_order_of_the_file_rerun_nothing(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    reordered = dict(reversed(STUDY.items()))
    reordered["experiments"] = dict(STUDY["experiments"])
    text = yaml.safe_dump(reordered, sort_keys=False, default_flow_style=True, width=40)
    assert study.pending_of("# a comment\n\n" + text) == {}
