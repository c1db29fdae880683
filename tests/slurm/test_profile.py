"""The SLURM profile, tested without a cluster."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
import yaml

from emoscale.config.resources import BUCKETS
from tests.audit.speech import write_corpus
from tests.conftest import PROJECT
from tests.workflow.small_study import ROWS, STUDY, snakemake, write_config
from tests.workflow.touched_study import TouchedStudy


def test_the_slurm_profile_includes_the_default_profile() -> None:
    default, slurm = (
        yaml.safe_load((PROJECT / "profiles" / name / "config.yaml").read_text())
        for name in ("default", "slurm")
    )
    assert default.pop("resources") == ["gpu=1"]  # the GPUs of one machine
    assert default.items() <= slurm.items()


def test_checkpoints_can_be_fetched_first(tmp_path: Path) -> None:
    """On the login node, before all else: compute nodes may have no network."""
    (tmp_path / "recordings").mkdir()
    table = tmp_path / "recordings" / "utterances.csv"
    table.write_text("file,speaker,emotion\na.wav,anna,happy\n")
    study = {
        **STUDY,
        "checkpoints": {"tiny": {"untrained": "wav2vec2"}},
        "execution": {"checkpoint_cache": "cache"},
        "representations": {"tiny": {"kind": "transformers_audio", "model": "tiny"}},
        "experiments": {"tiny": {"representations": ["tiny"], "model": "svm"}},
    }
    ran = snakemake(tmp_path, write_config(tmp_path, study), "--until", "fetch_checkpoint")
    assert ran.returncode == 0, ran.stdout
    results = tmp_path / "results" / "small"
    files = [path for path in results.rglob("*") if path.is_file() and path.suffix != ".log"]
    digests = results / "corpus" / "digests.json"
    assert sorted(files) == [results / "checkpoints" / "tiny.json", digests]
    assert any((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("bucket", BUCKETS)
def test_short_trainings_share_jobs_of_ten_minutes(bucket: int) -> None:
    profile = yaml.safe_load((PROJECT / "profiles" / "slurm" / "config.yaml").read_text())
    steps = dict(each.split("=") for each in profile["group-components"])
    assert int(steps[f"train_{bucket}s"]) == 600 // bucket


def test_500_small_cells_are_at_most_40_jobs(tmp_path: Path) -> None:
    pytest.importorskip(
        "snakemake_executor_plugin_slurm", reason="needs the optional dependencies slurm"
    )
    study = {
        **STUDY,
        "protocol": {**STUDY["protocol"], "folds": 2},
        "sizes": list(range(8, 258)),
        "models": {"pooled": {"kind": "pooled"}},
        "training": {"maximum_steps": 100},
        "experiments": {"mfcc": {"representations": ["mfcc"], "model": "pooled"}},
    }
    write_corpus(tmp_path / "recordings", ROWS)
    config = write_config(tmp_path, study)
    profile = ("--workflow-profile", str(PROJECT / "profiles" / "slurm"))
    ran = snakemake(tmp_path, config, "--dry-run", "--verbose", *profile)
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"^train +500$", ran.stdout, flags=re.MULTILINE)
    assert 0 < len(re.findall(r"Group job train_\w+", ran.stdout)) <= 40


def test_a_pre_training_on_several_gpus_is_one_job_on_one_node(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without `nodes`, SLURM may choose GPUs of several nodes, and torchrun uses those of one."""
    profile = yaml.safe_load((PROJECT / "profiles" / "slurm" / "config.yaml").read_text())
    assert profile["default-resources"]["nodes"] == 1
    assert "gpu" not in {each.partition("=")[0] for each in profile["resources"]}
    partitions = yaml.safe_load((PROJECT / "profiles" / "slurm" / "partitions.yaml").read_text())
    limits = partitions["partitions"]["gpu"]
    (tmp_path / "unlabelled").mkdir()
    (tmp_path / "unlabelled" / "a.wav").write_text("")
    write_corpus(tmp_path / "recordings", ROWS)
    study = {
        **STUDY,
        "execution": {"device": "cuda", "pretraining_processes": 4},
        "checkpoints": {
            name: {
                "pretrain": "wav2vec",
                "architecture": "wav2vec_large",
                "speech": {"reader": "folder", "root": "unlabelled"},
                "steps": steps,
            }
            for name, steps in (("untrained", 0), ("learned", 100_000))
        },
        "representations": {
            name: {"kind": "wav2vec", "checkpoint": name} for name in ("untrained", "learned")
        },
        "experiments": {
            name: {"representations": [name], "model": "svm"} for name in ("untrained", "learned")
        },
    }
    with caplog.at_level(logging.INFO):
        TouchedStudy(tmp_path, study).plan()
    records = [vars(record) for record in caplog.records]
    jobs = {
        record["wildcards"]["checkpoint"]: {**record["resources"], "threads": record["threads"]}
        for record in records
        if record.get("rule_name") == "pretrain"
    }
    learned, untrained = jobs["learned"], jobs["untrained"]
    # Four cores for each process, which decodes beside the GPU; the plan is for eight.
    assert (learned["threads"], learned["gpu"], learned["device"]) == (8, 4, "cuda")
    assert learned["gpu"] <= limits["max_gpu"]
    assert learned["mem_mb"] <= limits["max_mem_mb"]
    assert learned["runtime"] <= 24 * 60 * int(limits["max_runtime"].removesuffix("d"))
    assert (untrained["threads"], untrained["gpu"], untrained["device"]) == (1, 0, "cpu")
