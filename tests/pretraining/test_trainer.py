"""The training loop: it learns, continues after a kill, and shares its work among processes."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from emoscale.config.pretraining import FolderSpeech, Wav2VecKeys, Wav2VecPretraining
from emoscale.pretraining import trainer
from emoscale.pretraining.checkpoint import build_network
from emoscale.pretraining.crops import SpeechFile
from emoscale.pretraining.trainer import Measurement, Work, train
from emoscale.runtime.errors import UserError
from tests.conftest import PROJECT
from tests.pretraining.speech_files import write_tones

KEYS = Wav2VecKeys(
    conv_feature_layers=[(16, 10, 5), (16, 8, 4), (16, 4, 2), (16, 4, 2), (16, 4, 2)],
    conv_aggregator_layers=[(16, 2, 1), (16, 3, 1), (16, 4, 1)],
    infonce=True,
)


def settings(**changes: Any) -> Wav2VecPretraining:
    values: dict[str, Any] = {
        "pretrain": "wav2vec",
        "speech": FolderSpeech(reader="folder", root="speech"),
        "architecture": KEYS,
        "steps": 100,
        "warmup_steps": 5,
        "learning_rate": 0.01,
        "batch_seconds": 4.0,
        "micro_batch_seconds": 2.0,
        "crop_seconds": 1.0,
    }
    return Wav2VecPretraining(**values | changes)


def work(folder: Path, identity: str = "a") -> Work:
    files = write_tones(folder / "speech", [1.0, 0.8, 2.0, 1.3, 0.6, 1.9, 0.2, 1.1] * 8)
    return Work(files[16:], files[:16], torch.device("cpu"), folder / "state.pt", identity)


def run(folder: Path, **changes: Any) -> tuple[list[Measurement], dict[str, torch.Tensor]]:
    chosen = settings(**changes)
    network = build_network(chosen, None)
    measurements = train(network, chosen, work(folder), print)
    return measurements, network.state_dict()


def test_training_lowers_the_loss_on_held_out_speech(tmp_path: Path) -> None:
    measurements, _ = run(tmp_path)
    first, last = measurements[0], measurements[-1]
    assert (first.step, last.step) == (0, 100)
    assert first.held_out_loss > math.log(11) - 0.01  # a guess among 11 candidates
    assert last.held_out_loss < math.log(11) - 0.1
    assert last.chance == pytest.approx(1 / 11)
    assert last.hours == pytest.approx(100 * 4 / 3600, rel=0.3)
    assert len(measurements) == 1 + trainer.MEASUREMENTS


class Killed(Exception):
    pass


def test_an_interrupted_training_continues_with_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, weights = run(tmp_path / "whole")
    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_SAVES", 0.0)
    step_of = trainer._Run.train_step

    def killed_at_33(self: Any, step: int, batches: Any) -> None:
        if step == 33:
            raise Killed
        step_of(self, step, batches)

    with monkeypatch.context() as patch:
        patch.setattr(trainer._Run, "train_step", killed_at_33)
        with pytest.raises(Killed):
            run(tmp_path / "killed")
    steps = []

    def counted(self: Any, step: int, batches: Any) -> None:
        steps.append(step)
        step_of(self, step, batches)

    monkeypatch.setattr(trainer._Run, "train_step", counted)
    continued, after = run(tmp_path / "killed")
    assert steps == list(range(33, 100))
    assert continued[1:] == expected[1:]  # the first has NaN
    assert all(torch.equal(weights[name], after[name]) for name in weights)


def test_a_state_of_another_training_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_SAVES", 0.0)
    chosen = settings(steps=8)
    train(build_network(chosen, None), chosen, work(tmp_path, "a"), print)
    assert (tmp_path / "state.pt").exists()
    measurements = train(build_network(chosen, None), chosen, work(tmp_path, "b"), print)
    assert [each.step for each in measurements] == [0, *range(1, 9)]


def test_parts_of_a_batch_add_up(tmp_path: Path) -> None:
    """The gradient of a step is that of the mean loss over all predictions of its parts."""
    chosen = settings(steps=6, warmup_steps=0, learning_rate=1e-30)
    network = build_network(chosen, None)
    training = trainer._Run(network, chosen, work(tmp_path), trainer.Processes(0, 1))
    _, batches = next(iter(training.batches(0, 2)))
    assert len(batches) == 2
    training.train_step(0, batches)
    gradients = [
        torch.clone(parameter.grad)
        for parameter in network.parameters()
        if parameter.grad is not None
    ]
    network.zero_grad()
    objectives = [
        training._objective(waveforms, chosen.seed, 1 + number) for number, waveforms in batches
    ]
    loss = torch.stack([each.loss for each in objectives]).sum()
    (loss / sum(each.count for each in objectives)).backward()
    for gradient, parameter in zip(gradients, network.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


PROGRAM = """
import sys
from pathlib import Path
import torch
import torch.distributed
from emoscale.pretraining.checkpoint import build_network
from emoscale.pretraining.crops import SpeechFile
from emoscale.pretraining.trainer import train
from tests.pretraining.test_trainer import settings, work

torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
chosen = settings(steps=12)
network = build_network(chosen, None)
measurements = train(network, chosen, work(Path(sys.argv[1]) / str(rank)), lambda line: None)
torch.save([network.state_dict(), [each.loss for each in measurements]], f"{sys.argv[1]}/{rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_have_the_weights_of_one(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    torchrun = Path(sys.executable).with_name("torchrun")
    options = ["--standalone", "--nproc-per-node=2"]
    command = [str(torchrun), *options, str(tmp_path / "program.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'workflow'}"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    measurements, weights = run(tmp_path / "one", steps=12)
    for rank in range(2):
        shared, losses = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert losses[1:] == pytest.approx([each.loss for each in measurements[1:]], rel=1e-4)
        for name, value in weights.items():
            torch.testing.assert_close(shared[name], value, rtol=1e-3, atol=1e-5)


def test_more_processes_than_parts_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer.Processes, "current", lambda: trainer.Processes(0, 3))
    with pytest.raises(UserError, match="3 processes cannot share the 2 parts of a batch"):
        run(tmp_path)


def test_a_loss_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    network = build_network(settings(), None)
    network.wav2vec_predictions.project_to_steps.weight.data.fill_(torch.inf)
    with pytest.raises(UserError, match="the loss of step 0 is not finite; lower learning_rate"):
        train(network, settings(), work(tmp_path), print)


def test_a_short_training_is_measured_after_each_step(tmp_path: Path) -> None:
    measurements, _ = run(tmp_path, steps=7)
    assert [each.step for each in measurements] == list(range(8))
    assert dataclasses.asdict(measurements[-1])["hours"] > 0


@pytest.mark.parametrize(
    ("batch", "micro", "parts"), [(4.0, 3.0, 2), (4.0, 2.0, 2), (2.0, 24.0, 1)]
)
def test_a_step_has_the_audio_of_the_settings(
    tmp_path: Path, batch: float, micro: float, parts: int
) -> None:
    chosen = settings(batch_seconds=batch, micro_batch_seconds=micro, steps=20)
    training = trainer._Run(
        build_network(chosen, None), chosen, work(tmp_path), trainer.Processes(0, 1)
    )
    assert chosen.parts == parts
    seconds = []
    for _, batches in itertools.islice(training.batches(0, parts), 20):
        assert len(batches) == parts
        sizes = [waveforms.numel() / 16_000 for _, waveforms in batches]
        assert max(sizes) <= min(batch, micro)
        seconds.append(sum(sizes))
    assert max(seconds) <= batch
    assert sum(seconds) / 20 > 0.6 * batch


def test_short_recordings_are_left_out(tmp_path: Path) -> None:
    chosen = settings(steps=3, warmup_steps=1)
    network = build_network(chosen, None)
    shortest = (network.minimum_samples + 2) / 16_000
    files = write_tones(tmp_path, [1.0, 1.1, 1.2])
    short = [SpeechFile(tmp_path / "missing.wav", 0.0, shortest - 0.0001)]
    exactly = write_tones(tmp_path / "exactly", [shortest])
    state = tmp_path / "state.pt"
    task = Work([*files, *short], [*exactly, *short], torch.device("cpu"), state, "a")
    measurements = train(network, chosen, task, print)
    assert all(math.isfinite(each.held_out_loss) for each in measurements)


@pytest.mark.parametrize("which", ["training", "held_out"])
def test_speech_without_a_usable_recording_is_an_error(tmp_path: Path, which: str) -> None:
    """Batches of no recordings would never end."""
    task = work(tmp_path)
    short = [SpeechFile(tmp_path / "short.wav", 0.0, 0.01)] * 3
    changes: dict[str, Any] = {which: short}
    task = dataclasses.replace(task, **changes)
    kind = which.replace("_", "-")
    with pytest.raises(UserError, match=f"none of the 3 {kind} recordings has the 0.0"):
        train(build_network(settings(), None), settings(), task, print)


def test_crops_shorter_than_a_prediction_are_an_error(tmp_path: Path) -> None:
    keys = KEYS.model_copy(update={"offset": 120})
    chosen = settings(architecture=keys)
    with pytest.raises(UserError, match=r"crop_seconds is 1\.0, and a prediction of this network"):
        train(build_network(chosen, None), chosen, work(tmp_path), print)


def test_recordings_much_longer_than_a_crop_are_trained_on(tmp_path: Path) -> None:
    files = write_tones(tmp_path, [25.0, 3.0])
    chosen = settings(steps=4, warmup_steps=1)
    task = Work(files[:1], files[1:], torch.device("cpu"), tmp_path / "state.pt", "a")
    measurements = train(build_network(chosen, None), chosen, task, print)
    assert measurements[-1].hours == pytest.approx(
        15.5 / 3600, rel=0.05
    )  # the last of 25 crops is alone


def test_measurements_do_not_change_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, weights = run(tmp_path, steps=12)
    monkeypatch.setattr(trainer, "MEASUREMENTS", 2)
    monkeypatch.setattr(trainer, "_HELD_OUT_BATCHES", 3)
    seldom, others = run(tmp_path, steps=12)
    assert [each.step for each in seldom] == [0, 6, 12]
    assert len(measured) == 13
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    losses = [each.loss for each in measured[1:7]]
    assert seldom[1].loss == pytest.approx(sum(losses) / 6, rel=0.05)


def one_step(folder: Path, **changes: Any) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """Return the weights after one step with the whole learning rate, and its gradients."""
    chosen = settings(steps=6, warmup_steps=0, **changes)
    network = build_network(chosen, None)
    training = trainer._Run(network, chosen, work(folder), trainer.Processes(0, 1))
    _, batches = next(iter(training.batches(0, 2)))
    training.train_step(0, batches)
    gradients = [each.grad for each in network.parameters() if each.grad is not None]
    return network.state_dict(), gradients


def test_gradients_are_clipped_to_their_norm(tmp_path: Path) -> None:
    _, free = one_step(tmp_path)
    norm = torch.linalg.vector_norm(torch.cat([each.flatten() for each in free]))
    assert norm > 0.01
    _, clipped = one_step(tmp_path, gradient_clip=0.01)
    for gradient, shorter in zip(free, clipped, strict=True):
        torch.testing.assert_close(shorter, gradient * (0.01 / norm), rtol=1e-3, atol=1e-9)
    _, unchanged = one_step(tmp_path, gradient_clip=100.0)
    assert all(torch.equal(one, other) for one, other in zip(free, unchanged, strict=True))


def test_weight_decay_shrinks_the_weights_as_adamw_does(tmp_path: Path) -> None:
    chosen = settings(steps=6, warmup_steps=0)
    before = build_network(chosen, None).state_dict()
    plain, _ = one_step(tmp_path)
    decayed, _ = one_step(tmp_path, weight_decay=0.5)
    for name, value in before.items():  # AdamW: the weight is scaled before the step of Adam
        torch.testing.assert_close(decayed[name], plain[name] - 0.01 * 0.5 * value)


def test_bfloat16_gives_nearly_the_same_training(tmp_path: Path) -> None:
    exact, weights = run(tmp_path, steps=12)
    rounded, others = run(tmp_path, steps=12, precision="bfloat16")
    assert any(not torch.equal(weights[name], others[name]) for name in weights)
    assert all(value.dtype == torch.float32 for value in others.values())
    for one, other in zip(exact, rounded, strict=True):
        assert other.held_out_loss == pytest.approx(one.held_out_loss, abs=0.05)


def test_recordings_without_a_prediction_are_reported(tmp_path: Path) -> None:
    chosen = settings(steps=6, warmup_steps=0)
    lines: list[str] = []
    short = write_tones(tmp_path / "short", [0.02, 0.03])
    present = work(tmp_path)
    listed = dataclasses.replace(present, training=[*present.training, *short])
    train(build_network(chosen, None), chosen, listed, lines.append)
    count = len(listed.training)
    assert f"2 of {count} training recordings are left out: a prediction needs" in lines[0]
    assert not any("held-out" in line for line in lines)


def test_a_state_that_the_disk_does_not_give_is_no_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(steps=6, warmup_steps=0)
    (tmp_path / "state.pt").write_bytes(b"state")

    def fail(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match="Input/output error"):
        train(build_network(chosen, None), chosen, work(tmp_path), print)
    monkeypatch.undo()
    assert (tmp_path / "state.pt").read_bytes() == b"state"
