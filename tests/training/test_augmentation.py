"""Mixup and masks on packed frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from emoscale.config.training import AugmentationSettings
from emoscale.models.contract import PackedFrames
from emoscale.training.augmentation import augmented

LENGTHS = [7, 1, 12, 30, 4]
DIMENSION = 10
MEAN = torch.arange(DIMENSION) + 100.0
TARGETS = torch.eye(len(LENGTHS))


def random_frames(lengths: list[int], layers: int | None = None, seed: int = 0) -> PackedFrames:
    shape = (sum(lengths), *([layers] if layers else []), DIMENSION)
    return PackedFrames(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), lengths)


def change(
    inputs: list[PackedFrames],
    settings: AugmentationSettings,
    seed: int = 1,
    means: list[Tensor] | None = None,
    targets: Tensor = TARGETS,
) -> tuple[list[PackedFrames], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return augmented(inputs, targets, settings, means or [MEAN] * len(inputs), generator)


def of_utterance(given: PackedFrames, index: int) -> Tensor:
    return torch.split(given.frames, given.lengths)[index]


EVERYTHING = AugmentationSettings(mixup=0.4, time_mask=0.5, frequency_mask=0.5)
EACH = {
    "mixup": AugmentationSettings(mixup=0.4),
    "time": AugmentationSettings(time_mask=0.5),
    "frequency": AugmentationSettings(frequency_mask=0.5),
    "everything": EVERYTHING,
}


@pytest.mark.parametrize("layers", [None, 3])
@pytest.mark.parametrize("settings", EACH.values(), ids=EACH.keys())
def test_shapes_stay_and_what_is_given_is_not_changed(
    settings: AugmentationSettings, layers: int | None
) -> None:
    seconds = torch.rand(sum(LENGTHS), 2)
    given = PackedFrames(random_frames(LENGTHS, layers).frames, LENGTHS, seconds)
    before = given.frames.clone()
    mean = MEAN if layers is None else MEAN.repeat(layers, 1)
    (changed,), targets = change([given], settings, means=[mean])
    assert changed.frames.shape == given.frames.shape
    assert (changed.frames.dtype, changed.lengths) == (torch.float32, LENGTHS)
    assert changed.seconds is seconds
    assert targets.shape == TARGETS.shape
    assert not torch.equal(changed.frames, given.frames)
    assert torch.equal(given.frames, before)
    assert torch.equal(TARGETS, torch.eye(len(LENGTHS)))


@pytest.mark.parametrize("settings", EACH.values(), ids=EACH.keys())
def test_the_generator_decides(settings: AugmentationSettings) -> None:
    given = random_frames(LENGTHS)
    torch.manual_seed(0)
    (one,), first = change([given], settings, seed=5)
    torch.manual_seed(1)
    (two,), second = change([given], settings, seed=5)
    (other,), _ = change([given], settings, seed=6)
    assert torch.equal(one.frames, two.frames)
    assert torch.equal(first, second)
    assert not torch.equal(one.frames, other.frames)


def test_nothing_is_done_without_settings() -> None:
    given = random_frames(LENGTHS)
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    (same,), targets = augmented([given], TARGETS, AugmentationSettings(), [MEAN], generator)
    assert torch.equal(same.frames, given.frames)
    assert torch.equal(targets, TARGETS)
    assert torch.equal(generator.get_state(), before)


def constant(lengths: list[int], layers: int | None = None) -> PackedFrames:
    """Each frame holds the one-hot vector of its utterance, so that a mixture can be read off."""
    numbers = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    frames = torch.nn.functional.one_hot(numbers, DIMENSION).float()
    return PackedFrames(frames if layers is None else frames[:, None].repeat(1, layers, 1), lengths)


@pytest.mark.parametrize("layers", [None, 2])
def test_frames_and_targets_are_mixed_with_the_same_partner_and_share(layers: int | None) -> None:
    mixtures = []
    for seed in range(20):
        given = constant(LENGTHS, layers)
        means = [MEAN if layers is None else MEAN.repeat(layers, 1)]
        (mixed,), targets = change([given], EACH["mixup"], seed, means)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(len(LENGTHS)))
        assert (targets.diagonal() >= 0.5).all()  # an utterance stays the larger part of itself
        assert ((targets > 0).sum(dim=1) <= 2).all()
        for index in range(len(LENGTHS)):
            frames = of_utterance(mixed, index)[..., : len(LENGTHS)]
            torch.testing.assert_close(frames, targets[index].expand_as(frames))
        mixtures.append(targets)
    stacked = torch.stack(mixtures)
    assert (stacked.sum(dim=0) > 0).all()  # anyone may be anyone's partner
    assert len(stacked.diagonal(dim1=1, dim2=2).unique()) > 50


def test_everybody_is_somebodys_partner() -> None:
    _, targets = change([constant(LENGTHS)], EACH["mixup"], seed=3)
    partner_of = [
        next((other for other in range(5) if other != own and targets[own, other] > 0), own)
        for own in range(5)
    ]
    assert sorted(partner_of) == list(range(5))


def test_soft_targets_are_mixed_too() -> None:
    soft = torch.rand(len(LENGTHS), 3, generator=torch.Generator().manual_seed(2))
    soft = soft / soft.sum(dim=1, keepdim=True)
    _, shares = change([constant(LENGTHS)], EACH["mixup"], seed=3)
    _, targets = change([constant(LENGTHS)], EACH["mixup"], seed=3, targets=soft)
    torch.testing.assert_close(targets, shares @ soft)


@pytest.mark.parametrize("parameter", [0.01, 0.3, 1.0, 10.0])
def test_the_share_is_the_larger_part_of_a_beta_distribution(parameter: float) -> None:
    """Against numpy's."""
    count = 2000
    given = PackedFrames(torch.zeros(count, DIMENSION), [1] * count)
    _, targets = change([given], AugmentationSettings(mixup=parameter), targets=torch.eye(count))
    drawn = np.random.default_rng(0).beta(parameter, parameter, 100_000)
    expected = np.maximum(drawn, 1.0 - drawn)
    assert float(targets.diagonal().mean()) == pytest.approx(expected.mean(), abs=0.015)
    assert float(targets.diagonal().std()) == pytest.approx(expected.std(), abs=0.015)


def test_a_partner_is_stretched_to_the_length() -> None:
    lengths = [8, 2]
    ramp = torch.cat([torch.arange(8) / 7, torch.tensor([0.0, 1.0])])
    given = PackedFrames(ramp[:, None].expand(-1, DIMENSION).clone(), lengths)
    for seed in range(10):  # until the two are each other's partners
        (mixed,), targets = change([given], EACH["mixup"], seed, targets=torch.eye(2))
        if targets[0, 1] > 0:
            break
    share, other_share = float(targets[0, 0]), float(targets[1, 1])
    long, short = (of_utterance(mixed, index)[:, 0] for index in (0, 1))
    stretched = torch.tensor([0.0] * 4 + [1.0] * 4)
    torch.testing.assert_close(long, share * ramp[:8] + (1 - share) * stretched)
    shrunk = ramp[[2, 6]]  # the frames at a quarter and at three quarters
    torch.testing.assert_close(
        short, other_share * torch.tensor([0.0, 1.0]) + (1 - other_share) * shrunk
    )


def test_two_inputs_share_partner_and_share() -> None:
    speech, text = LENGTHS, [2, 3, 1, 5, 9]
    (one, other), targets = change([constant(speech), constant(text)], EACH["mixup"])
    for index in range(len(LENGTHS)):
        for mixed in (one, other):
            frames = of_utterance(mixed, index)[:, : len(LENGTHS)]
            torch.testing.assert_close(frames, targets[index].expand_as(frames))


def lost(given: PackedFrames, index: int) -> Tensor:
    """[frames, dimension] whether a value is the mean's."""
    frames = of_utterance(given, index)
    return frames == MEAN


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_time_mask_is_one_stretch_of_whole_frames_no_longer_than_said(share: float) -> None:
    counts: dict[int, set[int]] = {index: set() for index in range(len(LENGTHS))}
    firsts: set[int] = set()
    for seed in range(200):
        given = random_frames(LENGTHS)
        (masked,), targets = change([given], AugmentationSettings(time_mask=share), seed)
        assert targets is TARGETS
        for index, length in enumerate(LENGTHS):
            gone = lost(masked, index)
            rows = gone.all(dim=1)
            assert torch.equal(gone, rows[:, None].expand_as(gone))
            kept = of_utterance(masked, index)[~rows]
            assert torch.equal(kept, of_utterance(given, index)[~rows])
            where = rows.nonzero()[:, 0].tolist()
            assert where == list(range(where[0], where[-1] + 1)) if where else True
            assert len(where) <= share * length
            counts[index].add(len(where))
            if index == 3 and where:
                firsts.add(where[0])
    for index, length in enumerate(LENGTHS):
        assert counts[index] == set(range(int(share * length) + 1))  # every length, none too
    assert min(firsts) == 0
    assert max(firsts) > 10


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_frequency_mask_is_one_band_through_all_frames_of_an_utterance(share: float) -> None:
    widths: set[int] = set()
    differ = False
    for seed in range(100):
        (masked,), _ = change(
            [random_frames(LENGTHS)], AugmentationSettings(frequency_mask=share), seed
        )
        bands = []
        for index in range(len(LENGTHS)):
            gone = lost(masked, index)
            columns = gone.all(dim=0)
            assert torch.equal(gone, columns.expand_as(gone))
            where = columns.nonzero()[:, 0].tolist()
            assert where == list(range(where[0], where[-1] + 1)) if where else True
            widths.add(len(where))
            bands.append(tuple(where))
        differ = differ or len(set(bands)) > 1
    assert widths == set(range(int(share * DIMENSION) + 1))
    assert differ  # each utterance has its own


@pytest.mark.parametrize("kind", ["time", "frequency"])
def test_of_layered_frames_all_layers_lose_the_same_and_each_has_its_own_mean(kind: str) -> None:
    means = torch.stack([MEAN, -MEAN, 2 * MEAN])
    hit = False
    for seed in range(10):
        given = random_frames(LENGTHS, layers=3)
        (masked,), _ = change([given], EACH[kind], seed, [means])
        gone = masked.frames == means
        assert torch.equal(gone, gone[:, :1].expand_as(gone))
        assert torch.equal(masked.frames[~gone], given.frames[~gone])
        hit = hit or bool(gone.any())
    assert hit


def test_each_input_has_its_own_mean() -> None:
    settings = AugmentationSettings(time_mask=0.9)
    inputs = [random_frames([50, 50]), random_frames([50, 50], seed=1)]
    for seed in range(5):
        (one, other), _ = change(inputs, settings, seed, [MEAN, -MEAN], torch.eye(2))
        assert not (one.frames == -MEAN).any()
        assert not (other.frames == MEAN).any()
        if (one.frames == MEAN).any() and (other.frames == -MEAN).any():
            break
    else:
        pytest.fail("no input was ever masked")


def test_mixed_frames_are_masked_after_they_are_mixed() -> None:
    (both,), targets = change([random_frames(LENGTHS)], EVERYTHING, seed=4)
    mixing = AugmentationSettings(mixup=EVERYTHING.mixup)
    (mixed,), same = change([random_frames(LENGTHS)], mixing, seed=4)
    torch.testing.assert_close(targets, same)
    gone = both.frames == MEAN
    assert gone.any()
    assert torch.equal(both.frames[~gone], mixed.frames[~gone])
