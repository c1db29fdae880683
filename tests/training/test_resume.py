"""A training that is killed goes on where it was and ends with the same numbers."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from emoscale.config.models import PooledSettings
from emoscale.config.training import AugmentationSettings, TrainingSettings
from emoscale.models.contract import InputShape
from emoscale.training.resume import ResumeFile
from emoscale.training.tasks import Planned, Trained, train_all
from emoscale.training.trainer import Task, Trainer
from tests.training.test_engine import CLASSES, LABELS, TARGETS, make_material

SETTINGS = TrainingSettings(
    learning_rate=0.01,
    batch_utterances=7,
    maximum_steps=60,
    steps_between_evaluations=10,
    patience=3,
)
EVERYTHING = SETTINGS.model_copy(
    update={
        "class_balance": "sampling",
        "augmentation": AugmentationSettings(mixup=0.4, time_mask=0.2, frequency_mask=0.2),
        "label_smoothing": 0.1,
        "gradient_clip": 0.5,
    }
)
MODEL = PooledSettings(kind="pooled", width=8, dropout=0.3)


class KilledError(Exception):
    """In place of a signal."""


def train(
    resume: ResumeFile,
    killed_after: int = 1_000,
    settings: TrainingSettings = SETTINGS,
    asked: bool = False,
) -> list[Trained]:
    """Three repeats; killed, or `asked` to end, before the evaluation of that number."""
    evaluations = 0
    material = make_material()

    original = Trainer.evaluated

    def evaluated(self: Trainer, logits: torch.Tensor) -> None:
        nonlocal evaluations
        evaluations += 1
        if evaluations > killed_after:
            if asked:
                signal.raise_signal(signal.SIGTERM)
            raise KilledError
        original(self, logits)

    plan = [
        Planned(
            str(repeat),
            Task(
                (1, "fold", repeat),
                torch.arange(repeat, 40),
                torch.arange(40, 50),
                LABELS,
                TARGETS,
                settings,
            ),
            MODEL,
        )
        for repeat in range(3)
    ]
    Trainer.evaluated = evaluated  # type: ignore[method-assign]
    try:
        trained = train_all(plan, [InputShape(4)], CLASSES, material, resume, lambda: None)
    finally:
        Trainer.evaluated = original  # type: ignore[method-assign]
    return list(trained.values())


def same(one: list[Trained], other: list[Trained]) -> None:
    assert len(one) == len(other) == 3
    for ours, theirs in zip(one, other, strict=True):
        assert ours.training.history == theirs.training.history
        assert ours.training.best_step == theirs.training.best_step
        assert ours.training.stopped == theirs.training.stopped
        assert ours.weights.keys() == theirs.weights.keys()
        for name, value in ours.weights.items():
            assert torch.equal(value, theirs.weights[name])


@pytest.mark.parametrize("settings", [SETTINGS, EVERYTHING], ids=["plain", "everything random"])
@pytest.mark.parametrize("killed_after", [1, 3, 6, 8, 11])
@pytest.mark.parametrize("asked", [False, True], ids=["killed", "asked to end"])
def test_a_killed_training_ends_with_the_same_numbers(
    tmp_path: Path, killed_after: int, settings: TrainingSettings, asked: bool
) -> None:
    """Asked to end (SIGTERM), it saves what it has; killed, it has what was saved last."""
    whole = train(ResumeFile(tmp_path / "other", "a", 0.0), settings=settings)
    path = tmp_path / "resume"
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit if asked else KilledError) as ended:
        train(ResumeFile(path, "a", 1e9 if asked else 0.0), killed_after, settings, asked)
    assert not asked or ended.value.args == (143,)
    assert signal.getsignal(signal.SIGTERM) == before
    assert path.exists()
    counted: list[Any] = []
    rest = ResumeFile(path, "a", 0.0)
    original = Trainer.evaluated

    def count(self: Trainer, logits: torch.Tensor) -> None:
        counted.append(self)
        original(self, logits)

    Trainer.evaluated = count  # type: ignore[method-assign]
    try:
        same(train(rest, settings=settings), whole)
    finally:
        Trainer.evaluated = original  # type: ignore[method-assign]
    evaluations = sum(len(trained.training.history) for trained in whole)
    assert len(counted) == evaluations - killed_after  # nothing is done twice


def test_what_another_job_left_is_not_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "resume"
    with pytest.raises(KilledError):
        train(ResumeFile(path, "another", 0.0), 4)
    assert ResumeFile(path, "this", 0.0).load() is None
    same(train(ResumeFile(path, "this", 0.0)), train(ResumeFile(tmp_path / "none", "this", 0.0)))


def test_a_damaged_remainder_costs_time_only(tmp_path: Path) -> None:
    path = tmp_path / "resume"
    with pytest.raises(KilledError):
        train(ResumeFile(path, "a", 0.0), 4)
    content = path.read_bytes()
    for damaged in (content[:100], content[: len(content) // 2], b"", b"x" * 1000):
        path.write_bytes(damaged)
        assert ResumeFile(path, "a", 0.0).load() is None


def test_a_short_job_saves_nothing(tmp_path: Path) -> None:
    train(ResumeFile(tmp_path / "resume", "a"))
    assert not (tmp_path / "resume").exists()
