"""Batches of crops: equal lengths, within recordings, the same for the same seed."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from emoscale.pretraining.crops import Crop, SpeechFile, plan_batches, read_batch
from tests.pretraining.speech_files import write_tones


def recordings(count: int = 200) -> list[SpeechFile]:
    seconds = np.random.default_rng(1).uniform(0.5, 30.0, count)
    return [SpeechFile(Path(f"{n}.wav"), 0.0, float(s)) for n, s in enumerate(seconds)]


def one_epoch(files: list[SpeechFile], seed: int = 1) -> list[list[Crop]]:
    expected = sum(max(1, int(file.seconds // 5.0)) for file in files)
    batches: list[list[Crop]] = []
    crops = 0
    for batch in plan_batches(files, 20.0, 5.0, seed):
        if crops == expected:
            return batches
        batches.append(batch)
        crops += len(batch)
    raise AssertionError


def test_crops_of_a_batch_have_one_length_and_lie_in_their_recordings() -> None:
    files = {file.path: file for file in recordings()}
    batches = one_epoch(list(files.values()))
    for batch in batches:
        assert len({crop.samples for crop in batch}) == 1
        assert sum(crop.samples for crop in batch) / 16_000 <= 20.0
        for crop in batch:
            assert crop.start >= 0
            assert crop.start + (crop.samples + 1) / 16_000 <= files[crop.path].seconds + 1e-6


def test_an_epoch_has_each_recording_as_often_as_crops_fit_into_it() -> None:
    files = recordings()
    count = Counter(crop.path for batch in one_epoch(files) for crop in batch)
    assert count == {file.path: max(1, int(file.seconds // 5.0)) for file in files}


def test_little_of_a_recording_is_cut_off_for_its_batch() -> None:
    files = [file for file in recordings(2000) if file.seconds < 5.0]
    batches = one_epoch(files)
    cropped = sum(crop.samples for batch in batches for crop in batch) / 16_000
    assert cropped > 0.85 * sum(file.seconds for file in files)


def test_crops_of_a_long_recording_cover_it() -> None:
    file = SpeechFile(Path("long.wav"), 100.0, 60.0)
    starts = sorted(crop.start for batch in one_epoch([file]) for crop in batch)
    assert len(starts) == 12
    assert 100.0 <= starts[0] < 105.0
    assert 150.0 < starts[-1] <= 155.0


def test_batches_depend_on_the_seed_only() -> None:
    first, same, other = (
        list(itertools.islice(plan_batches(recordings(), 20.0, 5.0, seed), 100))
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_epochs_differ() -> None:
    batches = one_epoch(recordings())
    both = list(itertools.islice(plan_batches(recordings(), 20.0, 5.0, 1), 2 * len(batches)))
    assert both[: len(batches)] == batches
    assert both[len(batches) :] != batches


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_crops_are_read_at_16_khz(tmp_path: Path, rate: int) -> None:
    import soundfile

    time = np.arange(rate) / rate
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 200 * time), rate)
    batch = read_batch([Crop(tmp_path / "tone.wav", start, 4_000) for start in (0.25, 0.74)])
    assert batch.shape == (2, 4_000)
    spectrum = np.abs(np.fft.rfft(batch.numpy()))
    assert (spectrum.argmax(axis=1) == 50).all()  # 200 Hz in a quarter of a second


def test_read_crops_are_the_samples_of_the_recording(tmp_path: Path) -> None:
    file = write_tones(tmp_path, [1.0])[0]
    whole = read_batch([Crop(file.path, 0.0, 16_000)])[0]
    crop = read_batch([Crop(file.path, 0.5, 1_000)])[0]
    assert (crop == whole[8_000:9_000]).all()
