"""That Snakemake reruns just what the invalidation table says, key by key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import yaml

from emoscale.corpus.survey import shard_of
from tests.workflow.invalidation.effects import (
    EVERYTHING,
    SMALL_DECLARED,
    SMALL_TEXTS,
    TABLES,
    Job,
    extracted,
)
from tests.workflow.invalidation.keys import KEYS, keys_of
from tests.workflow.invalidation.page import page
from tests.workflow.invalidation.row import Row
from tests.workflow.invalidation.studies import SMALL, STUDY, changed
from tests.workflow.small_releases import write_releases
from tests.workflow.touched_study import TouchedStudy

WHO = {
    "extract_features": 1,
    "index_features": 1,
    "fetch_checkpoint": 1,
    "train": 1,
    "test_robustness": 1,
    "extract_perturbed": 1,
    "index_perturbed": 1,
}
"""Where in an output's path, below the study's folder, is what a rule works for."""

Studies = dict[str, TouchedStudy]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """Finished studies by what they have instead of the common one; made when they are needed."""
    return {}


def finished(studies: Studies, row: Row, tmp_path_factory: pytest.TempPathFactory) -> TouchedStudy:
    name = f"{row.small} {sorted(row.given.items())}"
    if name not in studies:
        config = SMALL if row.small else STUDY
        for path, value in row.given.items():
            config = changed(config, path, value)
        folder = tmp_path_factory.mktemp("study")
        write_releases(folder)
        studies[name] = TouchedStudy(folder, config)
        studies[name].finish()
        assert studies[name].pending() == {}
    return studies[name]


def jobs(pending: dict[str, list[str]]) -> set[Job]:
    """Rules, and what they work for, of outputs that would be made again."""
    found = set()
    for rule, outputs in pending.items():
        for output in outputs:
            parts = PurePosixPath(output).parts[2:]
            who = PurePosixPath(parts[WHO[rule]]).stem if rule in WHO else ""
            found.add((rule, who))
    return found


def test_every_key_has_a_row() -> None:
    assert sorted(KEYS) == sorted(keys_of())


@pytest.mark.parametrize(("key", "row"), KEYS.items(), ids=KEYS)
def test_a_changed_key_reruns_what_the_table_says(
    studies: Studies, key: str, row: Row, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, row, tmp_path_factory)
    found = jobs(study.pending(changed(study.config, row.path or key, row.to)))
    assert found == row.effect, (sorted(found - row.effect), sorted(row.effect - found))


def test_everything_is_everything(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The table's widest effect is all that a new study does, but for what it is generated from."""
    study = TouchedStudy(tmp_path_factory.mktemp("new"), STUDY)
    assert jobs(study.pending()) == EVERYTHING | {("generate_demo", "")}


def test_the_page_is_what_the_table_says(project: Path) -> None:
    assert (project / "docs" / "invalidation.md").read_text() == page()


def test_an_experiment_that_is_removed_shrinks_the_tables(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    fewer = {name: each for name, each in STUDY["experiments"].items() if name != "early"}
    assert jobs(study.pending({**STUDY, "experiments": fewer})) == TABLES


@pytest.fixture
def small(studies: Studies, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TouchedStudy]:
    """The small study on a table of recordings, which is written anew afterwards."""
    study = finished(studies, KEYS["corpus(CsvCorpus).table"], tmp_path_factory)
    yield study
    write_releases(study.folder)


def test_a_touched_corpus_reruns_nothing(small: TouchedStudy) -> None:
    for path in (small.folder / "recordings").iterdir():
        os.utime(path, (2_000_000_000, 2_000_000_000))
    assert small.pending() == {}


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [(",words", ",other words", SMALL_TEXTS), (",angry,", ",sad,", SMALL_DECLARED)],
    ids=["transcript", "label"],
)
def test_a_corrected_row(small: TouchedStudy, old: str, new: str, effect: frozenset[Job]) -> None:
    table = small.folder / "recordings" / "utterances.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    assert jobs(small.pending()) == effect


def test_a_changed_recording_is_read_with_its_shard(small: TouchedStudy) -> None:
    path = small.folder / "recordings" / "0angry.wav"
    before = path.stat()
    path.write_text("sound")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    pending = small.pending()
    shard = f"{shard_of('0angry', 2):02d}"
    assert {Path(output).stem for output in pending["read_shard"]} == {shard}
    assert jobs(pending) >= {("extract_features", "mfcc"), ("train", "mfcc"), ("read_corpus", "")}


def test_weights_of_the_users_own_that_are_replaced(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    weights = study.folder / "vq.pt"
    weights.write_bytes(b"weights")
    assert jobs(study.pending()) == extracted("vq") | extracted("roberta")
    weights.unlink()
    assert study.pending() == {}


def test_how_the_file_is_written_is_nothing(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    turned = dict(reversed(STUDY.items()))
    turned["experiments"] = dict(STUDY["experiments"])
    text = yaml.safe_dump(turned, sort_keys=False, default_flow_style=True, width=40)
    assert study.pending_of("# a comment\n\n" + text) == {}
