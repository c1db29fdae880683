from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest
import torch

from emoscale.config.models import ModelSettings, PooledSettings
from emoscale.config.training import TrainingSettings
from emoscale.models.contract import Classifier, InputShape
from emoscale.models.registry import build_model
from emoscale.runtime.devices import choose_device, use_deterministic_algorithms
from emoscale.runtime.errors import UserError
from emoscale.store.features import Features
from emoscale.training.cell_features import CellFeatures
from emoscale.training.engine import logits_of, train
from emoscale.training.targets import class_weights
from emoscale.training.trainer import Trainer, TrainingResult, TrainingTask, seed_of

CPU = torch.device("cpu")
CLASSES = 3
SETTINGS = TrainingSettings(
    learning_rate=0.01,
    batch_size=8,
    maximum_steps=200,
    steps_between_evaluations=20,
    patience=4,
)


LABELS = torch.arange(60) % CLASSES


def make_features(
    seed: int = 0,
    separation: float = 1.5,
    unknown: Collection[int] = (),
    resident: bool | None = None,
) -> CellFeatures:
    """Return 60 utterances of 5 to 30 frames of noise; each class shifts one dimension.

    The values of the unknown utterances are NaN.
    """
    generator = np.random.default_rng(seed)
    lengths = generator.integers(5, 30, 60)
    frames = [
        generator.normal(size=(length, 4)) + separation * np.eye(4)[label] + [10, -10, 0, 3]
        for length, label in zip(lengths, LABELS.tolist(), strict=True)
    ]
    for index in unknown:
        frames[index].fill(np.nan)
    features = Features.packed(np.concatenate(frames).astype(np.float16), lengths)
    names = [f"u{number}" for number in range(60)]
    return CellFeatures(names, [features], CPU, resident=resident)


TRAIN, DEVELOPMENT, TEST = torch.arange(30), torch.arange(30, 45), torch.arange(45, 60)


TARGETS = torch.nn.functional.one_hot(LABELS, CLASSES).float()
MODEL = PooledSettings(kind="pooled", projection_size=16, dropout=0.2)


def task_of(
    settings: TrainingSettings = SETTINGS,
    seed_key: tuple[int | str, ...] = (1, "a"),
    training: torch.Tensor = TRAIN,
    development: torch.Tensor = DEVELOPMENT,
) -> TrainingTask:
    return TrainingTask(seed_key, training, development, LABELS, TARGETS, settings)


def trainer_of(
    features: CellFeatures, task: TrainingTask, settings: ModelSettings = MODEL
) -> Trainer:
    torch.manual_seed(seed_of(*task.seed_key, "weights"))
    shapes = [InputShape(4) for _ in features.inputs]
    model = build_model(settings, shapes, CLASSES)
    for standardise, inputs in zip(model.standardisations(), features.inputs, strict=True):
        standardise.set_statistics(*inputs.statistics(task.training))
    return Trainer(model, features, task)


def train_model(
    features: CellFeatures,
    settings: TrainingSettings = SETTINGS,
    seed_key: tuple[int | str, ...] = (1, "a"),
) -> tuple[Classifier, TrainingResult]:
    trainer = trainer_of(features, task_of(settings, seed_key))
    train(trainer)
    return trainer.model, trainer.result()


def test_separable_classes_are_learned() -> None:
    features = make_features()
    model, result = train_model(features)
    predicted = logits_of(model, features, TEST).argmax(dim=1)
    assert (predicted == LABELS[TEST]).float().mean() > 0.9
    losses = [row["train_loss"] for row in result.history]
    assert losses[-1] < losses[0] / 2


def test_accuracy_on_noise_is_at_chance() -> None:
    correct = []
    for seed in range(6):
        features = make_features(seed, separation=0.0)
        model, _ = train_model(features)
        correct.append((logits_of(model, features, TEST).argmax(1) == LABELS[TEST]).float())
    assert 0.1 < float(torch.cat(correct).mean()) < 0.6


def test_equal_seed_keys_give_equal_trainings() -> None:
    (model, result), (same_model, same_result), (other_model, _) = (
        train_model(make_features()),
        train_model(make_features()),
        train_model(make_features(), seed_key=(2, "a")),
    )
    assert result.history == same_result.history
    for key, value in model.state_dict().items():
        assert torch.equal(value, same_model.state_dict()[key])
    assert not torch.equal(
        model.state_dict()["classify.weight"], other_model.state_dict()["classify.weight"]
    )


def test_a_training_is_independent_of_earlier_random_numbers() -> None:
    _, before = train_model(make_features())
    torch.rand(1000)
    train_model(make_features(), seed_key=(7, "before"))
    _, after = train_model(make_features())
    assert before.history == after.history


def test_training_does_not_read_the_test_utterances() -> None:
    features, modified = make_features(), make_features(unknown=TEST.tolist())
    assert train_model(features)[1].history == train_model(modified)[1].history


def test_the_best_weights_are_restored() -> None:
    features = make_features(separation=0.5)
    model, result = train_model(features)
    best = max(result.history, key=lambda r: (r["development_ua"], -float(r["development_loss"])))
    assert result.best_step == best["step"]
    logits = logits_of(model, features, DEVELOPMENT)
    loss = torch.nn.CrossEntropyLoss(class_weights(TARGETS[TRAIN]))
    assert float(loss(logits, LABELS[DEVELOPMENT])) == pytest.approx(
        float(best["development_loss"]), abs=1e-6
    )


def test_patience_and_budget() -> None:
    noise = make_features(separation=0.0)
    _, stopped = train_model(
        noise, SETTINGS.model_copy(update={"patience": 1, "maximum_steps": 2000})
    )
    assert stopped.stop_reason == "patience"
    assert stopped.steps < 2000
    _, complete = train_model(
        noise, SETTINGS.model_copy(update={"patience": 100, "maximum_steps": 50})
    )
    assert (complete.stop_reason, complete.steps) == ("budget", 50)
    assert [row["step"] for row in complete.history] == [20, 40, 50]


def test_divergence_is_an_error() -> None:
    with pytest.raises(UserError, match=r"diverged before step \d+ .* lower training"):
        train_model(make_features(), SETTINGS.model_copy(update={"learning_rate": 1e30}))


def test_a_subset_smaller_than_a_batch_is_one_batch() -> None:
    features = make_features()
    trainer = trainer_of(features, task_of(training=torch.tensor([0, 1, 2])))
    assert len(trainer.next_batch()[1]) == 3
    train(trainer)
    assert trainer.result().steps >= 20


def test_class_weights_are_inversely_proportional_to_counts() -> None:
    labels = torch.tensor([0] * 8 + [1] * 2)
    weights = class_weights(torch.nn.functional.one_hot(labels, 3).float())
    assert weights.tolist() == pytest.approx([10 / 16, 10 / 4, 0.0])
    assert float(weights[labels].sum()) == pytest.approx(10)


def test_statistics_are_over_all_frames_of_the_subset() -> None:
    features = make_features()
    indices = torch.tensor([3, 11, 40])
    mean, std = features.inputs[0].statistics(indices)
    frames = features.batch(indices)[0].frames.double()
    torch.testing.assert_close(mean, frames.mean(dim=0).float(), rtol=1e-5, atol=1e-5)
    expected = frames.std(dim=0, correction=0).float()
    torch.testing.assert_close(std, expected, rtol=1e-4, atol=1e-5)


def test_statistics_of_many_utterances_need_the_memory_of_one() -> None:
    frames = np.random.default_rng(0).normal(size=(1000, 3, 64)).astype(np.float16)
    features = Features.packed(frames, np.full(500, 2))
    inputs = CellFeatures([f"u{number}" for number in range(500)], [features], CPU).inputs[0]
    indices = torch.arange(500)
    with torch.profiler.profile(profile_memory=True) as profile:
        mean, _ = inputs.statistics(indices)
    largest = max(event.cpu_memory_usage for event in profile.events() or [])
    assert largest <= 2 * 3 * 64 * 8
    expected = frames.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(mean.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_computations_on_a_gpu_are_deterministic() -> None:
    use_deterministic_algorithms(CPU)
    assert not torch.are_deterministic_algorithms_enabled()
    try:
        use_deterministic_algorithms(torch.device("cuda"))
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == CPU
    with pytest.raises(UserError, match="torch finds no GPU"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
