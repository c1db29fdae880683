from __future__ import annotations

from typing import Any

import pytest
import torch

from emoscale.models.contract import InputShape
from emoscale.training.cell_features import CellFeatures
from emoscale.training.tasks import PlannedTraining, TrainedModel, train_all
from tests.training.test_engine import MODEL, make_features, task_of


def trained_on(features: CellFeatures) -> list[TrainedModel]:
    plan = [PlannedTraining(name, task_of(seed_key=(name,)), MODEL) for name in "ab"]
    return [trained for _, trained in train_all("cell", plan, [InputShape(4)], 3, features)]


@pytest.mark.parametrize("failing_step", [1, 30])
def test_exhausted_gpu_memory_moves_the_features_and_changes_no_result(
    failing_step: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = trained_on(make_features())
    features = make_features(resident=True)
    step, calls = torch.optim.AdamW.step, []

    def failing(self: Any, closure: Any = None) -> Any:
        calls.append(features.resident)
        if len(calls) == failing_step:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return step(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", failing)
    trained = trained_on(features)
    assert calls == [True] * failing_step + [False] * (len(calls) - failing_step)
    for ours, theirs in zip(trained, expected, strict=True):
        assert ours.result.history == theirs.result.history
        assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in ours.weights)
    message = capfd.readouterr().err
    assert "cell: the GPU's memory ran out (CUDA out of memory. Tried to allocate 2.00" in message
    assert message.count("ran out") == 1


def test_memory_that_runs_out_without_features_on_the_gpu_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(self: Any, closure: Any = None) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.optim.AdamW, "step", failing)
    with pytest.raises(torch.OutOfMemoryError):
        trained_on(make_features())
