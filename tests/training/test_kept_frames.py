from __future__ import annotations

import pytest
import torch

from emoscale.config.training import AugmentationSettings
from emoscale.training.engine import run
from emoscale.training.kept_frames import KeptFrames, kept_frames
from tests.training.test_engine import SETTINGS, make_material, task_of, trainer_of

HALF = SETTINGS.model_copy(update={"precision": "bfloat16"})
ONE = 30 * 4 * 2  # bytes of the longest utterance


@pytest.mark.parametrize("spare_bytes", [0, 7 * ONE, 60 * ONE])
def test_they_are_what_the_model_makes_of_the_batch(spare_bytes: int) -> None:
    """With memory for none, a few and all of the utterances, which are drawn twice."""
    material = make_material()
    trainer = trainer_of(material, task_of(HALF))
    (standardise,) = trainer.model.standardisations()
    kept = KeptFrames(material, [standardise], spare_bytes)
    places = torch.tensor([3, 1, 3, 29, 7])
    (stored,) = material.batch(places)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wanted = standardise(stored.frames)
    for _ in range(2):
        (found,) = kept.batch(places)
        assert found.lengths == stored.lengths
        assert found.frames.dtype == torch.bfloat16
        assert torch.equal(standardise(found.frames), wanted)


def test_a_training_that_keeps_them_gives_the_same_numbers() -> None:
    material = make_material()
    material.spare_bytes = 20 * ONE
    keeps, does_not = (trainer_of(material, task_of(HALF)) for _ in range(2))
    assert keeps._kept is not None
    does_not._kept = None
    for trainer in (keeps, does_not):
        run(trainer)
    assert keeps.result().history == does_not.result().history


def test_nothing_is_kept_where_nothing_is_gained() -> None:
    material = make_material()
    standardisations = trainer_of(material, task_of(HALF)).model.standardisations()
    masked = {"augmentation": AugmentationSettings(mixup=0.2)}
    assert kept_frames(material, standardisations, HALF) is not None
    assert kept_frames(material, standardisations, SETTINGS) is None
    assert kept_frames(material, standardisations, HALF.model_copy(update=masked)) is None
