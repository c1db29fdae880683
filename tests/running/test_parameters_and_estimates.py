"""Changed parameters are named, and times come from the nearest records."""

from __future__ import annotations

from pathlib import Path

import pytest

from emoscale.config import parse_study
from emoscale.provenance import canonical_json
from emoscale.running.causes import Causes
from emoscale.running.estimate import Benchmarks, estimate_run
from emoscale.running.graph import Graph, Reason, Step
from emoscale.running.parameters import Change, changes_of
from tests.workflow.small_study import STUDY


def kept(value: object) -> str:
    """As Snakemake keeps a parameter."""
    return repr(value if isinstance(value, str) else canonical_json(value))


def step(size: str, fold: str = "fold1", **other: object) -> Step:
    cell = f"mfcc/{fold}/{size}"
    values: dict = {
        "rule": "train",
        "wildcards": {"experiment": "mfcc", "fold": fold, "size": size},
        "inputs": (),
        "outputs": (f"results/small/runs/{cell}/run.json",),
        "logs": (),
        "benchmark": f"results/small/benchmarks/train/{cell}.tsv",
        "threads": 1,
        "memory_mb": 4000,
        "runs": True,
        "made_before": True,
        "reason": Reason(),
        **other,
    }
    return Step(**values)


def graph_of(*steps: Step) -> Graph:
    return Graph(parse_study(STUDY), steps)


def test_settings_and_code_that_changed_at_once_are_told_apart() -> None:
    old, new = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "e": None}
    now = {"settings": kept(new), "code": kept("f" * 64), "shards": "2"}
    changes = changes_of({kept(old), kept("0" * 64)}, {kept(new), kept("f" * 64)}, now)
    assert {change for change in changes if change.parameter == "settings"} == {
        Change("settings", "a.c", "2", "3"),
        Change("settings", "d", "[1]", None),
        Change("settings", "e", None, "null"),
    }
    assert [change.parameter for change in changes if not change.path] == ["code"]


def test_a_training_setting_is_named_as_the_configuration_does() -> None:
    old = {"model": {"c": 1}, "seed": 1, "training": {"class_balance": "weights"}}
    new = {"model": {"c": 2}, "seed": 2, "training": {"class_balance": "none"}}
    changes = changes_of({kept(old)}, {kept(new)}, {"settings": kept(new)})
    (one,) = graph_of(step("all", reason=Reason(changes=changes))).steps
    assert [str(cause) for cause in Causes(graph_of(one)).of(one)] == [
        "models.svm.c changed: 1 → 2",
        "seed changed: 1 → 2",
        'training.class_balance changed: "weights" → "none"',
    ]


def test_what_is_new_is_named() -> None:
    new = step("20", made_before=False, reason=Reason(missing=("results/small/x",)))
    assert [cause.words for cause in Causes(graph_of(step("all"), new)).of(new)] == [
        "size 20 is new"
    ]
    assert [cause.words for cause in Causes(graph_of(new)).of(new)] == ["not made yet"]


def test_an_estimate_is_its_own_record_or_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seconds, memory in (
        ("mfcc/fold1/all", "10.0", "300"),
        ("mfcc/fold2/all", "20.0", "-"),
        ("other/fold3/8", "99.0", "9"),
    ):
        path = Path(f"results/small/benchmarks/train/{name}.tsv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t{memory}\n")
    made = Path("results/small/runs/mfcc/fold1/all/run.json")
    made.parent.mkdir(parents=True)
    made.write_bytes(b"x" * 50)
    steps = [step("all"), step("all", "fold3"), step("all", rule="unheard", benchmark=None)]
    records = Benchmarks(graph_of(*steps))
    own, nearest, none = map(records.of, steps)
    assert (own.basis, own.seconds, own.memory_mb, own.bytes) == ("own", 10.0, 300.0, 50)
    assert (nearest.basis, nearest.seconds, nearest.bytes) == ("nearest", 15.0, 50)
    assert (none.basis, none.seconds) == ("none", 0.0)
    run = estimate_run(steps, [own, nearest, none], cores=2)
    assert (run.seconds, run.work_seconds, run.memory_mb) == (15.0, 25.0, 600.0)
    assert run.new_bytes == 50
    follower = step("all", "fold3", inputs=steps[0].outputs)
    assert estimate_run([steps[0], follower], [own, nearest], cores=2).seconds == 25.0
