"""What a cluster's profile says, without a cluster."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.conftest import PROJECT
from tests.workflow.small_study import STUDY, snakemake, write_config


def test_a_cluster_has_the_settings_of_a_workstation_too() -> None:
    default, slurm = (
        yaml.safe_load((PROJECT / "profiles" / name / "config.yaml").read_text())
        for name in ("default", "slurm")
    )
    assert default.items() <= slurm.items()


def test_checkpoints_can_be_fetched_before_all_else(tmp_path: Path) -> None:
    """On the login node, where the nodes have no network; the corpus need not be there."""
    (tmp_path / "recordings").mkdir()
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
    made = [path for path in results.rglob("*") if path.is_file() and path.suffix != ".log"]
    assert made == [results / "checkpoints" / "tiny.json"]
    assert any((tmp_path / "cache").iterdir())
