"""Time Snakemake's plan of a study of about 4,000 jobs (a dry run, nothing is computed)."""

import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parent.parent


def large_study(folder: Path, root: Path) -> dict[str, Any]:
    """A study with 16 representations, 80 experiments, 5 folds and 9 training sizes."""
    representations = {f"mfcc{n}": {"kind": "mfcc", "coefficients": n} for n in range(13, 29)}
    models = {f"width{w}": {"kind": "pooled", "width": w} for w in (32, 64, 128, 256, 512)}
    return {
        "study": "large",
        "results": str(folder / "results"),
        "corpus": {"reader": "csv", "root": str(root)},
        "shards": 24,
        "labels": {"classes": {"a": ["a"], "b": ["b"]}},
        "representations": representations,
        "protocol": {"fold_unit": "session", "folds": 5, "repeats": 5},
        "sizes": [10, 20, 50, 100, 200, 500, 1000, 2000, "all"],
        "models": models,
        "experiments": {
            f"{representation}-{model}": {"representations": [representation], "model": model}
            for representation in representations
            for model in models
        },
    }


def plan(folder: Path) -> tuple[int, float]:
    """Number of jobs in the plan, and the seconds that it took."""
    config = folder / "large.yaml"
    config.write_text(yaml.safe_dump(large_study(folder, folder)))
    program = [str(Path(sys.executable).with_name("snakemake")), "--snakefile"]
    program += [str(PROJECT / "Snakefile"), "--directory", str(folder)]
    program += ["--workflow-profile", str(PROJECT / "profiles" / "default")]
    program += ["--configfile", str(config), "--cores", "2", "--dry-run", "--quiet", "rules"]
    began = time.perf_counter()
    ran = subprocess.run(program, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    (total,) = set(re.findall(r"^total\s+(\d+)$", ran.stdout + ran.stderr, flags=re.MULTILINE))
    return int(total), seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        jobs, seconds = plan(Path(folder))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{jobs:,} jobs planned in {seconds:.1f} s, with {peak:,.0f} MB at most")


if __name__ == "__main__":
    main()
