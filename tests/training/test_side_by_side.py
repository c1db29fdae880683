"""A training's numbers do not depend on what is trained beside it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch

from emoscale.config.models import (
    ConvolutionalSettings,
    EarlyFusionSettings,
    LateFusionSettings,
    PooledSettings,
    RecurrentSettings,
)
from emoscale.config.training import AugmentationSettings, TrainingSettings
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.models.registry import BUILT_IN, build_model
from emoscale.store.index import Features
from emoscale.training.engine import probabilities_of, run
from emoscale.training.material import Material
from emoscale.training.side_by_side import ModelsSideBySide, Rows
from emoscale.training.trainer import Trainer
from tests.training.test_engine import CPU, LABELS, TEST, task_of, trainer_of

PART = PooledSettings(kind="pooled", width=6, dropout=0.3)
KINDS: dict[str, Any] = {
    "pooled": PooledSettings(kind="pooled", width=8, dropout=0.3),
    "pooled, SUPERB": PooledSettings(kind="pooled", width=8, activation="none"),
    "pooled, attentive": PooledSettings(kind="pooled", width=8, pooling="attentive_statistics"),
    "convolutional": ConvolutionalSettings(kind="convolutional", layers=((8, 1), (6, 3))),
    "early_fusion": EarlyFusionSettings(kind="early_fusion", width=6, hidden=7),
    "late_fusion": LateFusionSettings(kind="late_fusion", parts=(PART, PART)),
}
SETTINGS = TrainingSettings(
    learning_rate=0.01,
    batch_utterances=8,
    maximum_steps=60,
    steps_between_evaluations=5,
    patience=1,
    gradient_clip=0.5,
    augmentation=AugmentationSettings(mixup=0.3, time_mask=0.2),
)


def make_material(inputs: int, layers: int | None = None) -> Material:
    """60 utterances; a class shifts a dimension of each input a little."""
    random = np.random.default_rng(0)
    features = []
    for place in range(inputs):
        lengths = random.integers(2, 20, 60)
        shape = (int(lengths.sum()), *([layers] if layers else []), 4)
        frames = random.normal(size=shape)
        shift = np.eye(4)[(LABELS.numpy() + place) % 4].repeat(lengths, axis=0)
        frames += 0.7 * (shift[:, None] if layers else shift)
        features.append(Features(frames.astype(np.float16), lengths.astype(np.int64)))
    return Material([f"u{number}" for number in range(60)], features, CPU)


def trainers(kind: str, material: Material) -> list[Trainer]:
    """Repeats that learn from different utterances and stop at different steps."""
    return [
        trainer_of(
            material,
            task_of(SETTINGS, (1, repeat), torch.arange(repeat, 25 + 3 * repeat)),
            KINDS[kind],
        )
        for repeat in range(4)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_alone_and_together_are_equal(kind: str) -> None:
    material = make_material(KINDS[kind].inputs)
    together, alone = trainers(kind, material), trainers(kind, material)
    for _ in run(together):
        pass
    steps = set()
    for one, other in zip(alone, together, strict=True):
        for _ in run([one]):
            pass
        mine, theirs = one.result(), other.result()
        assert [row["step"] for row in mine.history] == [row["step"] for row in theirs.history]
        for name in ("train_loss", "development_loss"):
            one_curve, other_curve = (
                np.array([row[name] for row in each.history]) for each in (mine, theirs)
            )
            np.testing.assert_allclose(one_curve, other_curve, rtol=0, atol=1e-4)
        assert mine.best_step == theirs.best_step
        np.testing.assert_allclose(
            probabilities_of(one.model, material, TEST),
            probabilities_of(other.model, material, TEST),
            rtol=0,
            atol=1e-3,
        )
        steps.add(mine.steps)
    assert len(steps) > 1  # some go on beside fewer


def test_every_kind_that_says_it_can_is_tested() -> None:
    tested = {settings.kind for settings in KINDS.values()}
    for kind, place in BUILT_IN.items():
        module, _, name = place.partition(":")
        can = getattr(getattr(importlib.import_module(module), name), "side_by_side", False)
        assert not can or kind in tested


def test_what_has_weights_of_another_shape_is_refused() -> None:
    material = make_material(1)
    recurrent = RecurrentSettings(kind="recurrent", width=3)
    models = [trainer_of(material, task_of(SETTINGS), recurrent).model for _ in range(2)]
    with pytest.raises(RuntimeError, match="side by side"):
        ModelsSideBySide(models)


def test_layers_are_weighed_model_by_model() -> None:
    material = make_material(1, layers=3)
    settings = KINDS["pooled"]
    models = []
    for repeat in range(2):
        trainer = trainer_of_layers(material, settings, repeat)
        models.append(trainer.model.eval())
    batch = [material.batch(torch.arange(5)), material.batch(torch.arange(7, 20))]
    together = ModelsSideBySide(models)
    together.train(False)
    for model, own, logits in zip(models, batch, together.logits(batch), strict=True):
        torch.testing.assert_close(model(*own), logits)


def trainer_of_layers(material: Material, settings: Any, repeat: int) -> Trainer:
    torch.manual_seed(repeat)
    model = build_model(settings, [InputShape(4, 3)], 3)
    with torch.no_grad():
        model.get_parameter("layers.0.scores").normal_()
    model.standardisations()[0].set_statistics(
        *material.inputs[0].statistics(torch.arange(9 + repeat))
    )
    return Trainer(model, material, task_of(SETTINGS, (repeat,)))


def test_rows_that_cannot_be_told_apart_are_computed_one_by_one() -> None:
    def batch(speech: list[int], text: list[int]) -> list[PackedFrames]:
        return [PackedFrames(torch.randn(sum(own), 4), own) for own in (speech, text)]

    assert Rows.of([batch([3, 4], [2, 2]), batch([2, 1], [5, 1])]) is None  # 10 frames, 10 tokens
    assert Rows.of([batch([3, 4], [2, 2]), batch([2, 1], [6, 1])]) is not None
