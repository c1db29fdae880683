from __future__ import annotations

import importlib.util
from pathlib import Path


def test_a_study_of_four_thousand_jobs_can_be_planned(tmp_path: Path, project: Path) -> None:
    """How long that takes is for `make bench`."""
    path = project / "benchmarks" / "plan_large_study.py"
    spec = importlib.util.spec_from_file_location("plan_large_study", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    jobs, _, _ = module.plan(tmp_path)
    # 80 experiments x 5 folds x 9 sizes; 24 shards read, measured and extracted to 16
    # representations, and their indices; five folds; gathering, labelling, comparing recordings,
    # auditing, checking; tables, figures, comparisons, slices and their figure, efficiency and its
    # figures, the report; and the target itself
    assert jobs == 80 * 5 * 9 + (2 + 16) * 24 + 16 + 5 + 14
