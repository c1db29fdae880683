"""Snakemake reruns exactly what the invalidation table states, for every key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import yaml
from snakemake.exceptions import WorkflowError

from emoscale.corpus.shards import shard_index
from tests.workflow.invalidation.effects import (
    EVERYTHING,
    SMALL_METADATA,
    SMALL_TEXTS,
    TABLES,
    Job,
    extraction_jobs,
    jobs_of,
)
from tests.workflow.invalidation.keys import KEYS, keys_of
from tests.workflow.invalidation.page import page
from tests.workflow.invalidation.row import Row
from tests.workflow.invalidation.studies import SMALL, STUDY, changed
from tests.workflow.small_releases import write_releases
from tests.workflow.touched_study import WEIGHTS_SHA256, TouchedStudy

PATH_INDEX = {
    "extract_features": 1,
    "index_features": 1,
    "measure_speakers": 1,
    "fetch_checkpoint": 1,
    "read_speech": 1,
    "pretrain": 1,
    "compare_speech": 1,
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


def _is_slow(row: Row) -> bool:
    """Whether a key needs another finished study than the two that all other keys share."""
    return bool(row.base) and not row.small


@pytest.mark.parametrize(
    ("key", "row"),
    [
        pytest.param(key, row, id=key, marks=[pytest.mark.slow] * _is_slow(row))
        for key, row in KEYS.items()
    ],
)
def test_a_changed_key_has_the_effect_in_the_table(
    studies: Studies, key: str, row: Row, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, row, tmp_path_factory)
    actual = jobs(study.pending(changed(study.config, row.path or key, row.value)))
    assert actual == row.effect, (sorted(actual - row.effect), sorted(row.effect - actual))


def test_everything_is_every_job_of_a_new_study(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The widest effect in the table is all jobs of a new study except generating audio."""
    study = TouchedStudy(tmp_path_factory.mktemp("new"), STUDY)
    write_releases(study.folder)
    assert jobs(study.pending()) == EVERYTHING | jobs_of("generate_demo", "generate_speech")


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


def test_a_changed_recording_changes_all_babble(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    conditions = {name: STUDY["robustness"]["conditions"][name] for name in ("babble", "white")}
    robustness = {"experiments": ["mfcc"], "conditions": conditions}
    row = Row(None, frozenset(), "", base={"robustness": robustness}, small=True)
    study = finished(studies, row, tmp_path_factory)
    (study.folder / "recordings" / "0angry.wav").write_text("sound")
    extracted = study.pending()["extract_perturbed"]
    of_the_shard = f"{shard_index('0angry', 2):02d}"
    assert {Path(path).parts[3] + Path(path).stem for path in extracted} == {
        "babble00",
        "babble01",
        f"white{of_the_shard}",
    }


def test_a_replaced_local_checkpoint_reruns_its_extraction(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    weights = study.folder / "vq.pt"
    weights.write_bytes(b"weights")
    assert jobs(study.pending()) == extraction_jobs("vq") | extraction_jobs("roberta")
    weights.write_bytes(b"")
    assert study.pending() == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "value", "representation"),
    [
        ("representations.vq.checkpoint", "~/own.pt", "vq"),
        ("representations.external.options", {"weights": ["~/own.pt"]}, "external"),
    ],
    ids=["in the home folder", "of an external representation"],
)
def test_replaced_weights_rerun_their_extraction(
    studies: Studies,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    value: object,
    representation: str,
) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    (home / "own.pt").write_bytes(b"weights")
    row = Row(None, frozenset(), "", base={path: value})
    study = finished(studies, row, tmp_path_factory)
    (home / "own.pt").write_bytes(b"others")
    assert jobs(study.pending()) == extraction_jobs(representation)
    (home / "own.pt").write_bytes(b"weights")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "representations.vq.checkpoint",
            "vq_.pt",
            r"the configuration: representations\.vq\.checkpoint: vq_\.pt does not exist and is "
            r"not listed under checkpoints \(available: [\w, ]+\); correct it, or "
            r"list the model there \(.*study\.yaml, line \d+\)",
        ),
        (
            "checkpoints.file.sha256",
            "1" * 64,
            rf"checkpoints\.file\.sha256 is {'1' * 64}, but the study was computed with weights of "
            rf"sha256 {WEIGHTS_SHA256} \(results/wide/checkpoints/file\.json\); correct sha256, or "
            "remove that file to fetch other weights",
        ),
    ],
    ids=["missing", "another digest"],
)
def test_weights_that_are_not_those_of_the_configuration_are_an_error(
    studies: Studies,
    tmp_path_factory: pytest.TempPathFactory,
    path: str,
    value: str,
    message: str,
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    with pytest.raises(WorkflowError, match=f"^{message}$"):
        study.pending(changed(STUDY, path, value))


def test_another_address_may_have_weights_with_another_digest(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    row = KEYS["checkpoints(DownloadedFile).url"]
    config = changed(STUDY, "checkpoints.file", {"url": row.value, "sha256": "1" * 64})
    assert jobs(study.pending(config)) == row.effect


def test_layout_and_order_of_the_file_rerun_nothing(
    studies: Studies, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = finished(studies, KEYS["seed"], tmp_path_factory)
    reordered = dict(reversed(STUDY.items()))
    reordered["experiments"] = dict(STUDY["experiments"])
    text = yaml.safe_dump(reordered, sort_keys=False, default_flow_style=True, width=40)
    assert study.pending_of("# a comment\n\n" + text) == {}
