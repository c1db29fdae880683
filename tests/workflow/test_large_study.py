"""Planning of a large study, and running a study in batches."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

import pytest

from tests.audit.speech import write_corpus
from tests.workflow.small_study import ROWS, STUDY, snakemake, write_config


@pytest.mark.slow
def test_a_study_of_many_jobs_can_be_planned(tmp_path: Path, project: Path) -> None:
    """Time and memory of larger ones are measured by `make bench`."""
    path = project / "benchmarks" / "plan_large_study.py"
    spec = importlib.util.spec_from_file_location("plan_large_study", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    jobs, _, _ = module.plan(tmp_path, experiments=16)
    # 16 experiments x 5 folds x 9 sizes; 24 shards read, measured and extracted to 16
    # representations, and their indices; five folds; gathering recordings and texts, labelling,
    # comparing recordings, auditing, checking; tables, comparisons, slices, efficiency, figures,
    # the human ceiling, the report; and the target itself
    assert jobs == 16 * 5 * 9 + (2 + 16) * 24 + 16 + 5 + 14


@pytest.mark.slow
def test_settings_that_grow_with_a_study_are_not_arguments(tmp_path: Path) -> None:
    """Linux limits an argument to 128 KiB, which 470 experiments exceeded after all trainings."""
    write_corpus(tmp_path / "recordings", ROWS)
    names = [f"{'experiment' * 4}{number:04d}" for number in range(700)]
    experiments = dict.fromkeys(names, STUDY["experiments"]["mfcc"])
    study = {**STUDY, "experiments": experiments}
    ran = snakemake(tmp_path, write_config(tmp_path, study), "--dry-run", "--printshellcmds")
    assert ran.returncode == 0, ran.stdout[-2000:]
    for program in ("make_tables", "measure_efficiency", "write_report"):
        (command,) = [
            line for line in ran.stdout.splitlines() if f"/{program}.py" in line.replace('"', "")
        ]
        settings, _, rest = command.partition(" | python ")
        assert "printf %s " in settings[:40]  # a builtin of the shell: no limit
        longest = max(len(word) for word in shlex.split(rest))
        assert longest < 32_000, program
        if program == "measure_efficiency":
            assert len(settings) > 131_072


@pytest.mark.slow
def test_a_study_can_be_run_in_batches(tmp_path: Path) -> None:
    """Each batch trains its cells; the last one makes the tables (docs/explanation/scale.md)."""
    write_corpus(tmp_path / "recordings", ROWS)
    config = write_config(tmp_path, {**STUDY, "sizes": [2, "all"]})
    trained = []
    for batch in (1, 2):
        ran = snakemake(tmp_path, config, "--batch", f"make_tables={batch}/2")
        assert ran.returncode == 0, ran.stdout
        trained.append(len(list(tmp_path.glob("results/small/runs/mfcc/*/*/run.json"))))
        assert any(tmp_path.glob("results/small/tables/*.parquet")) == (batch == 2)
    assert 0 < trained[0] < trained[1] == 2 * 2
    ran = snakemake(tmp_path, config, "--dry-run")
    assert "Nothing to be done" in ran.stdout, ran.stdout
