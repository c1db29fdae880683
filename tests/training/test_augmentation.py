"""Mixup, time masks and frequency masks on packed frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from emoscale.config.training import AugmentationSettings
from emoscale.models.contract import PackedFrames
from emoscale.training.augmentation import augment

LENGTHS = [7, 1, 12, 30, 4]
DIMENSION = 10
MEAN = torch.arange(DIMENSION) + 100.0
TARGETS = torch.eye(len(LENGTHS))


def random_frames(lengths: list[int], layers: int | None = None, seed: int = 0) -> PackedFrames:
    shape = (sum(lengths), *([layers] if layers else []), DIMENSION)
    return PackedFrames.of(
        torch.randn(shape, generator=torch.Generator().manual_seed(seed)), lengths
    )


def apply_augmentation(
    inputs: list[PackedFrames],
    settings: AugmentationSettings,
    seed: int = 1,
    means: list[Tensor] | None = None,
    targets: Tensor = TARGETS,
) -> tuple[list[PackedFrames], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return augment(inputs, targets, settings, means or [MEAN] * len(inputs), generator)


def frames_of(batch: PackedFrames, index: int) -> Tensor:
    return torch.split(batch.frames, batch.lengths)[index]


ALL = AugmentationSettings(mixup=0.4, time_mask=0.5, frequency_mask=0.5)
AUGMENTATIONS = {
    "mixup": AugmentationSettings(mixup=0.4),
    "time": AugmentationSettings(time_mask=0.5),
    "frequency": AugmentationSettings(frequency_mask=0.5),
    "all": ALL,
}


@pytest.mark.parametrize("layers", [None, 3])
@pytest.mark.parametrize("settings", AUGMENTATIONS.values(), ids=AUGMENTATIONS.keys())
def test_shapes_are_preserved_and_inputs_are_not_modified(
    settings: AugmentationSettings, layers: int | None
) -> None:
    seconds = torch.rand(sum(LENGTHS), 2)
    batch = PackedFrames.of(random_frames(LENGTHS, layers).frames, LENGTHS, seconds)
    before = batch.frames.clone()
    mean = MEAN if layers is None else MEAN.repeat(layers, 1)
    (augmented,), targets = apply_augmentation([batch], settings, means=[mean])
    assert augmented.frames.shape == batch.frames.shape
    assert (augmented.frames.dtype, augmented.lengths) == (torch.float32, LENGTHS)
    assert augmented.seconds is seconds
    assert targets.shape == TARGETS.shape
    assert not torch.equal(augmented.frames, batch.frames)
    assert torch.equal(batch.frames, before)
    assert torch.equal(TARGETS, torch.eye(len(LENGTHS)))


@pytest.mark.parametrize("settings", AUGMENTATIONS.values(), ids=AUGMENTATIONS.keys())
def test_result_depends_only_on_the_generator(settings: AugmentationSettings) -> None:
    batch = random_frames(LENGTHS)
    torch.manual_seed(0)
    (batch_1,), targets_1 = apply_augmentation([batch], settings, seed=5)
    torch.manual_seed(1)
    (batch_2,), targets_2 = apply_augmentation([batch], settings, seed=5)
    (other,), _ = apply_augmentation([batch], settings, seed=6)
    assert torch.equal(batch_1.frames, batch_2.frames)
    assert torch.equal(targets_1, targets_2)
    assert not torch.equal(batch_1.frames, other.frames)


def test_default_settings_change_nothing() -> None:
    batch = random_frames(LENGTHS)
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    (unchanged,), targets = augment([batch], TARGETS, AugmentationSettings(), [MEAN], generator)
    assert torch.equal(unchanged.frames, batch.frames)
    assert torch.equal(targets, TARGETS)
    assert torch.equal(generator.get_state(), before)


def one_hot_frames(lengths: list[int], layers: int | None = None) -> PackedFrames:
    """Each frame is the one-hot vector of its utterance, so that it shows the coefficients."""
    numbers = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    frames = torch.nn.functional.one_hot(numbers, DIMENSION).float()
    return PackedFrames.of(
        frames if layers is None else frames[:, None].repeat(1, layers, 1), lengths
    )


@pytest.mark.parametrize("layers", [None, 2])
def test_frames_and_targets_have_the_same_partner_and_coefficient(layers: int | None) -> None:
    mixtures = []
    for seed in range(20):
        batch = one_hot_frames(LENGTHS, layers)
        means = [MEAN if layers is None else MEAN.repeat(layers, 1)]
        (mixed,), targets = apply_augmentation([batch], AUGMENTATIONS["mixup"], seed, means)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(len(LENGTHS)))
        assert (targets.diagonal() >= 0.5).all()  # the original has the larger weight
        assert ((targets > 0).sum(dim=1) <= 2).all()
        for index in range(len(LENGTHS)):
            frames = frames_of(mixed, index)[..., : len(LENGTHS)]
            torch.testing.assert_close(frames, targets[index].expand_as(frames))
        mixtures.append(targets)
    stacked = torch.stack(mixtures)
    assert (stacked.sum(dim=0) > 0).all()  # every pair of utterances can be mixed
    assert len(stacked.diagonal(dim1=1, dim2=2).unique()) > 50


def test_partners_are_a_permutation() -> None:
    _, targets = apply_augmentation([one_hot_frames(LENGTHS)], AUGMENTATIONS["mixup"], seed=3)
    partner_of = [
        next((other for other in range(5) if other != index and targets[index, other] > 0), index)
        for index in range(5)
    ]
    assert sorted(partner_of) == list(range(5))


def test_soft_targets_are_mixed() -> None:
    soft = torch.rand(len(LENGTHS), 3, generator=torch.Generator().manual_seed(2))
    soft = soft / soft.sum(dim=1, keepdim=True)
    _, coefficients = apply_augmentation([one_hot_frames(LENGTHS)], AUGMENTATIONS["mixup"], seed=3)
    _, targets = apply_augmentation(
        [one_hot_frames(LENGTHS)], AUGMENTATIONS["mixup"], seed=3, targets=soft
    )
    torch.testing.assert_close(targets, coefficients @ soft)


@pytest.mark.parametrize("alpha", [0.01, 0.3, 1.0, 10.0])
def test_coefficient_is_a_beta_variate_of_at_least_one_half(alpha: float) -> None:
    """Compare with numpy's beta distribution."""
    count = 2000
    batch = PackedFrames.of(torch.zeros(count, DIMENSION), [1] * count)
    _, targets = apply_augmentation(
        [batch], AugmentationSettings(mixup=alpha), targets=torch.eye(count)
    )
    beta = np.random.default_rng(0).beta(alpha, alpha, 100_000)
    expected = np.maximum(beta, 1.0 - beta)
    assert float(targets.diagonal().mean()) == pytest.approx(expected.mean(), abs=0.015)
    assert float(targets.diagonal().std()) == pytest.approx(expected.std(), abs=0.015)


def test_partner_is_resampled_to_the_length_of_the_utterance() -> None:
    lengths = [8, 2]
    ramp = torch.cat([torch.arange(8) / 7, torch.tensor([0.0, 1.0])])
    batch = PackedFrames.of(ramp[:, None].expand(-1, DIMENSION).clone(), lengths)
    for seed in range(10):  # until the two utterances are partners
        (mixed,), targets = apply_augmentation(
            [batch], AUGMENTATIONS["mixup"], seed, targets=torch.eye(2)
        )
        if targets[0, 1] > 0:
            break
    coefficient, other_coefficient = float(targets[0, 0]), float(targets[1, 1])
    long, short = (frames_of(mixed, index)[:, 0] for index in (0, 1))
    stretched = torch.tensor([0.0] * 4 + [1.0] * 4)
    torch.testing.assert_close(long, coefficient * ramp[:8] + (1 - coefficient) * stretched)
    shrunk = ramp[[2, 6]]  # the frames at a quarter and at three quarters
    torch.testing.assert_close(
        short, other_coefficient * torch.tensor([0.0, 1.0]) + (1 - other_coefficient) * shrunk
    )


def test_two_inputs_have_the_same_partner_and_coefficient() -> None:
    speech, text = LENGTHS, [2, 3, 1, 5, 9]
    (mixed_speech, mixed_text), targets = apply_augmentation(
        [one_hot_frames(speech), one_hot_frames(text)], AUGMENTATIONS["mixup"]
    )
    for index in range(len(LENGTHS)):
        for mixed in (mixed_speech, mixed_text):
            frames = frames_of(mixed, index)[:, : len(LENGTHS)]
            torch.testing.assert_close(frames, targets[index].expand_as(frames))


def mask_of(batch: PackedFrames, index: int) -> Tensor:
    """Whether each value ``[frames, dimension]`` of an utterance equals the mean."""
    return frames_of(batch, index) == MEAN


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_time_mask_is_one_span_of_whole_frames_up_to_the_maximum(fraction: float) -> None:
    counts: dict[int, set[int]] = {index: set() for index in range(len(LENGTHS))}
    starts: set[int] = set()
    for seed in range(200):
        batch = random_frames(LENGTHS)
        (masked,), targets = apply_augmentation(
            [batch], AugmentationSettings(time_mask=fraction), seed
        )
        assert targets is TARGETS
        for index, length in enumerate(LENGTHS):
            mask = mask_of(masked, index)
            rows = mask.all(dim=1)
            assert torch.equal(mask, rows[:, None].expand_as(mask))
            unmasked = frames_of(masked, index)[~rows]
            assert torch.equal(unmasked, frames_of(batch, index)[~rows])
            span = rows.nonzero()[:, 0].tolist()
            assert span == list(range(span[0], span[-1] + 1)) if span else True
            assert len(span) <= fraction * length
            counts[index].add(len(span))
            if index == 3 and span:
                starts.add(span[0])
    for index, length in enumerate(LENGTHS):
        # All lengths occur, including 0.
        assert counts[index] == set(range(int(fraction * length) + 1))
    assert min(starts) == 0
    assert max(starts) > 10


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_frequency_mask_is_one_band_through_all_frames_of_an_utterance(fraction: float) -> None:
    widths: set[int] = set()
    differ = False
    for seed in range(100):
        (masked,), _ = apply_augmentation(
            [random_frames(LENGTHS)], AugmentationSettings(frequency_mask=fraction), seed
        )
        bands = []
        for index in range(len(LENGTHS)):
            mask = mask_of(masked, index)
            columns = mask.all(dim=0)
            assert torch.equal(mask, columns.expand_as(mask))
            band = columns.nonzero()[:, 0].tolist()
            assert band == list(range(band[0], band[-1] + 1)) if band else True
            widths.add(len(band))
            bands.append(tuple(band))
        differ = differ or len(set(bands)) > 1
    assert widths == set(range(int(fraction * DIMENSION) + 1))
    assert differ  # utterances of a batch have different bands


@pytest.mark.parametrize("kind", ["time", "frequency"])
def test_all_layers_have_the_same_mask_and_separate_means(kind: str) -> None:
    means = torch.stack([MEAN, -MEAN, 2 * MEAN])
    any_masked = False
    for seed in range(10):
        batch = random_frames(LENGTHS, layers=3)
        (masked,), _ = apply_augmentation([batch], AUGMENTATIONS[kind], seed, [means])
        mask = masked.frames == means
        assert torch.equal(mask, mask[:, :1].expand_as(mask))
        assert torch.equal(masked.frames[~mask], batch.frames[~mask])
        any_masked = any_masked or bool(mask.any())
    assert any_masked


def test_each_input_is_masked_by_its_mean() -> None:
    settings = AugmentationSettings(time_mask=0.9)
    inputs = [random_frames([50, 50]), random_frames([50, 50], seed=1)]
    for seed in range(5):
        means = [MEAN, -MEAN]
        (first, second), _ = apply_augmentation(inputs, settings, seed, means, torch.eye(2))
        assert not (first.frames == -MEAN).any()
        assert not (second.frames == MEAN).any()
        if (first.frames == MEAN).any() and (second.frames == -MEAN).any():
            break
    else:
        pytest.fail("no input was masked")


def test_masks_are_applied_after_mixup() -> None:
    (both,), targets = apply_augmentation([random_frames(LENGTHS)], ALL, seed=4)
    mixup_only = AugmentationSettings(mixup=ALL.mixup)
    (mixed,), mixed_targets = apply_augmentation([random_frames(LENGTHS)], mixup_only, seed=4)
    torch.testing.assert_close(targets, mixed_targets)
    mask = both.frames == MEAN
    assert mask.any()
    assert torch.equal(both.frames[~mask], mixed.frames[~mask])
