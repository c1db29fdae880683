"""scripts/pretrain.py: what it writes, that it continues, and its messages."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from emoscale.pretraining import trainer
from emoscale.pretraining.history import HISTORY
from emoscale.pretraining.speech import SPEECH
from emoscale.representations.weights.local_checkpoint import read_checkpoint_record
from emoscale.runtime.provenance import file_sha256
from emoscale.tables.parquet import read_table, write_table
from tests.conftest import PROJECT
from tests.pretraining.speech_files import write_tones
from tests.pretraining.test_masked import TINY

SETTINGS: dict[str, Any] = {
    "pretrain": "wav2vec",
    "architecture": {
        "conv_feature_layers": [[8, 10, 5], [8, 8, 4], [8, 4, 2], [8, 4, 2], [8, 4, 2]],
        "conv_aggregator_layers": [[8, 2, 1], [8, 3, 1]],
    },
    "steps": 20,
    "warmup_steps": 2,
    "learning_rate": 0.01,
    "batch_seconds": 4.0,
    "micro_batch_seconds": 2.0,
    "crop_seconds": 1.0,
}
WAV2VEC2: dict[str, Any] = {**SETTINGS, "pretrain": "wav2vec2", "architecture": TINY, "steps": 6}


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PROJECT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def invoke(name: str, *arguments: str | int | Path) -> Result:
    return CliRunner().invoke(program(name).main, [str(argument) for argument in arguments])


def read_tones(folder: Path) -> Path:
    """Write recordings and the table of them, and return the table."""
    write_tones(folder / "root", [1.0, 1.3, 0.9, 1.6, 2.4, 1.1, 1.2, 1.4])
    speech = json.dumps({"reader": "folder", "root": str(folder / "root")})
    checks = json.dumps({"minimum_seconds": 0.2})
    options = ["--speech", speech, "--audio", checks, "--held-out", "0.3", "--seed", "1"]
    options += ["--output", str(folder / "speech.parquet")]
    ran = invoke("read_speech", *options, "--rejected", folder / "rejected.csv")
    assert ran.exit_code == 0, ran.stderr
    return folder / "speech.parquet"


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return read_tones(tmp_path_factory.mktemp("speech"))


def arguments(
    folder: Path, speech: Path | None, settings: dict[str, Any] = SETTINGS, **changes: Any
) -> list[str]:
    """Return the options; the checkpoint's files are those of a study."""
    values = {**settings, **changes}
    if speech is not None:
        values["speech"] = {"reader": "folder", "root": str(speech.parent / "root")}
    options: list[str | Path] = ["--name", "net", "--settings", json.dumps(values)]
    if speech is not None:
        options += ["--speech", speech, "--root", speech.parent / "root"]
    options += ["--state", folder / "state" / "net.pt", "--record", folder / "net.json"]
    options += ["--model", folder / "net" / "model", "--device", "cpu"]
    options += ["--history", folder / "net" / "history.parquet"]
    return [str(option) for option in options]


def sha256_of(folder: Path) -> str:
    return read_checkpoint_record(folder / "net.json").sha256


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "net" / "model" / "model.safetensors")


def pretrain(folder: Path, speech: Path | None, *more: str, **changes: Any) -> Result:
    return invoke("pretrain", *arguments(folder, speech, **changes), *more)


@pytest.fixture(scope="session")
def trained(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a training that was not disturbed."""
    folder = tmp_path_factory.mktemp("trained")
    ran = pretrain(folder, speech)
    assert ran.exit_code == 0, ran.stderr
    return folder


@pytest.mark.parametrize("settings", [SETTINGS, WAV2VEC2], ids=["wav2vec", "wav2vec2"])
def test_no_steps_write_the_untrained_network_without_speech(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    shas = []
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        folder = tmp_path / name
        options = arguments(folder, None, {**settings, "steps": 0, "seed": seed})
        ran = invoke("pretrain", *options)
        assert ran.exit_code == 0, ran.stderr
        shas.append(sha256_of(folder))
        record = read_checkpoint_record(folder / "net.json")
        assert record.pretrained_weights == f"untrained: random weights of seed {seed}"
        assert read_table(folder / "net" / "history.parquet", HISTORY).is_empty()
        assert not (folder / "state" / "net.pt").exists()
    assert shas[0] == shas[1] != shas[2]


def test_a_training_writes_model_record_and_history(trained: Path, speech: Path) -> None:
    model = trained / "net" / "model"
    assert {path.name for path in model.iterdir()} == {
        *("wav2vec.pt", "model.safetensors", "README.md")
    }
    record = read_checkpoint_record(trained / "net.json")
    assert record.sha256 == file_sha256(model / "wav2vec.pt")
    assert record.pretrained_weights.startswith("wav2vec pre-trained on ")
    assert str(speech.parent) not in (trained / "net.json").read_text()
    assert str(speech.parent) not in (model / "README.md").read_text()
    history = read_table(trained / "net" / "history.parquet", HISTORY)
    assert history["step"].to_list() == list(range(21))
    assert set(history["checkpoint"]) == {"net"}
    assert history["held_out_loss"][-1] < history["held_out_loss"][0]
    assert [path for path in (trained / "state").glob("*") if path.is_file()] == []


def test_the_same_settings_give_the_same_bytes(trained: Path, speech: Path, tmp_path: Path) -> None:
    assert pretrain(tmp_path, speech).exit_code == 0
    for path in (trained / "net" / "model").iterdir():
        assert path.read_bytes() == (tmp_path / "net" / "model" / path.name).read_bytes()
    assert (trained / "net.json").read_text() == (tmp_path / "net.json").read_text()


WAITS_AFTER_THE_STATE = """
import runpy, sys, time
from pathlib import Path
from emoscale.pretraining import trainer

trainer.SECONDS_BETWEEN_SAVES = 0.0
step_of = trainer._Run.train_step
def train_step(self, step, batches):
    if step == 9:
        time.sleep(600)  # until it is killed
    step_of(self, step, batches)
trainer._Run.train_step = train_step
sys.argv[0] = {program!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_killed_training_continues_to_the_same_weights(
    trained: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = WAITS_AFTER_THE_STATE.format(program=str(PROJECT / "scripts" / "pretrain.py"))
    command = [sys.executable, "-c", code, *arguments(tmp_path, speech)]
    state = tmp_path / "state" / "net.pt"
    with subprocess.Popen(command, cwd=PROJECT) as process:
        deadline = time.monotonic() + 120
        while saved_step(state) != 9:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "net.json").exists()
    steps = record_steps(monkeypatch)
    ran = pretrain(tmp_path, speech)
    assert ran.exit_code == 0, ran.stderr
    assert steps == list(range(9, 20))
    assert sha256_of(tmp_path) == sha256_of(trained)
    assert not state.exists()


def saved_step(state: Path) -> int | None:
    return torch.load(state, weights_only=True)["step"] if state.exists() else None


def record_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that receives the number of each training step."""
    steps: list[int] = []
    step_of = trainer._Run.train_step

    def train_step(self: Any, step: int, batches: Any) -> None:
        steps.append(step)
        step_of(self, step, batches)

    monkeypatch.setattr(trainer._Run, "train_step", train_step)
    return steps


class Interrupted(Exception):
    pass


def interrupt(folder: Path, speech: Path, **changes: Any) -> Path:
    """Begin a training that ends before its step 6; return the file of its state."""
    step_of = trainer._Run.train_step

    def train_step(self: Any, step: int, batches: Any) -> None:
        if step == 6:
            raise Interrupted
        step_of(self, step, batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "SECONDS_BETWEEN_SAVES", 0.0)
        patch.setattr(trainer._Run, "train_step", train_step)
        ran = pretrain(folder, speech, **changes)
    assert isinstance(ran.exception, Interrupted)
    state = folder / "state" / "net.pt"
    assert saved_step(state) == 6
    return state


@pytest.mark.parametrize(
    ("more", "changes"),
    [
        (["--threads", "2"], {}),
        ([], {"steps": 18}),
        ([], {"seed": 2}),
        ([], {"learning_rate": 0.02}),
    ],
    ids=["threads", "steps", "seed", "learning rate"],
)
def test_a_state_of_other_settings_is_not_continued(
    speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    changes: dict[str, Any],
) -> None:
    interrupt(tmp_path, speech)
    steps = record_steps(monkeypatch)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    ran = pretrain(tmp_path, speech, *more, **changes)
    assert ran.exit_code == 0, ran.stderr
    assert steps[0] == 0


def test_a_state_of_other_held_out_speech_is_not_continued(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A corrected table of speakers changes what is held out, and no recording."""
    interrupt(tmp_path, speech)
    table = read_table(speech, SPEECH)
    changed = tmp_path / "speech.parquet"
    write_table(table.with_columns(held_out=~pl.col("held_out")), changed, SPEECH)
    steps = record_steps(monkeypatch)
    ran = pretrain(tmp_path, speech, "--speech", str(changed))
    assert ran.exit_code == 0, ran.stderr
    assert steps[0] == 0


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other content"])
def test_a_damaged_state_is_not_continued(
    trained: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    state = interrupt(tmp_path, speech)
    if damage == "other content":
        torch.save({"step": torch.zeros(1)}, state)
    else:
        content = state.read_bytes()
        state.write_bytes({"cut": content[:-1000], "empty": b"", "text": b"nothing"}[damage])
    steps = record_steps(monkeypatch)
    ran = pretrain(tmp_path, speech)
    assert ran.exit_code == 0, ran.exception
    assert f"{state} is damaged" in ran.output
    assert steps[0] == 0
    assert sha256_of(tmp_path) == sha256_of(trained)


TORCHRUN = ["--standalone", "--nproc-per-node=2"]


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("torchrun")), *TORCHRUN]
    command += [str(PROJECT / "scripts" / "pretrain.py"), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
def test_two_processes_write_nearly_the_weights_of_one(
    trained: Path, speech: Path, tmp_path: Path
) -> None:
    ran = torchrun(*arguments(tmp_path, speech))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("sha256") == 1
    expected, weights = weights_of(trained), weights_of(tmp_path)
    for name, value in expected.items():
        torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-4)
    history = read_table(tmp_path / "net" / "history.parquet", HISTORY)
    assert history["step"].to_list() == list(range(21))


def test_processes_exchange_numbers_in_main_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses and decisions are tensors on the CPU, which NCCL alone does not exchange."""
    backends: list[str] = []
    module = program("pretrain")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(module, "choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.distributed, "init_process_group", backends.append)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert module._join_processes("cuda") == (False, torch.device("cuda", 1))
    assert module._join_processes("cpu") == (False, torch.device("cpu"))
    assert backends == ["cpu:gloo,cuda:nccl", "gloo"]


def test_wav2vec2_is_pretrained_and_continued(speech: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    ran = invoke("pretrain", *arguments(first, speech, WAV2VEC2))
    assert ran.exit_code == 0, ran.stderr
    assert read_checkpoint_record(first / "net.json").pretrained_weights.startswith("wav2vec2 pre")
    again = tmp_path / "again"
    assert invoke("pretrain", *arguments(again, speech, WAV2VEC2)).exit_code == 0
    assert sha256_of(again) == sha256_of(first)
    copied = {**WAV2VEC2, "steps": 0, "continue_from": str(first / "net" / "model"), "seed": 7}
    ran = invoke("pretrain", *arguments(second, None, copied))
    assert ran.exit_code == 0, ran.stderr
    expected, weights = weights_of(first), weights_of(second)
    assert expected.keys() == weights.keys()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


def test_a_training_continues_from_a_path(trained: Path, speech: Path, tmp_path: Path) -> None:
    path = str(trained / "net" / "model" / "wav2vec.pt")
    ran = pretrain(tmp_path, speech, continue_from=path)
    assert ran.exit_code == 0, ran.stderr
    before = read_table(trained / "net" / "history.parquet", HISTORY)
    after = read_table(tmp_path / "net" / "history.parquet", HISTORY)
    assert after["held_out_loss"][0] == before["held_out_loss"][-1]
    assert sha256_of(tmp_path) != sha256_of(trained)
    description = read_checkpoint_record(tmp_path / "net.json").pretrained_weights
    assert description.endswith(", from wav2vec.pt")  # no path of this machine is in the tables


def test_a_training_continues_from_the_record_of_a_checkpoint(
    trained: Path, speech: Path, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "speech": {"reader": "folder", "root": "speech"}}
    located = ["--weights", str(trained / "net.json")]
    located += ["--checkpoints", json.dumps({"net": settings}), "--cache", str(tmp_path / "cache")]
    ran = pretrain(tmp_path, speech, *located, continue_from="net")
    assert ran.exit_code == 0, ran.stderr
    by_path = tmp_path / "by_path"
    path = str(trained / "net" / "model" / "wav2vec.pt")
    assert pretrain(by_path, speech, continue_from=path).exit_code == 0
    for name, value in weights_of(by_path).items():
        assert torch.equal(weights_of(tmp_path)[name], value)
    description = read_checkpoint_record(tmp_path / "net.json").pretrained_weights
    assert description.endswith(", from net")


def test_a_state_is_continued_from_the_same_initial_weights_only(
    trained: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    initial = tmp_path / "initial.pt"
    initial.write_bytes((trained / "net" / "model" / "wav2vec.pt").read_bytes())
    interrupt(tmp_path, speech, continue_from=str(initial))
    untrained = tmp_path / "untrained"
    assert invoke("pretrain", *arguments(untrained, None, {**SETTINGS, "steps": 0})).exit_code == 0
    initial.write_bytes((untrained / "net" / "model" / "wav2vec.pt").read_bytes())
    steps = record_steps(monkeypatch)
    assert pretrain(tmp_path, speech, continue_from=str(initial)).exit_code == 0
    assert steps[0] == 0


def message(ran: Result) -> str:
    """Return the one sentence of a program that ended with an error of the user."""
    assert ran.exit_code == 1
    assert isinstance(ran.exception, SystemExit), ran.exception
    [line] = [line for line in ran.stderr.splitlines() if line.startswith("Error: ")]
    return line


def test_training_needs_speech(speech: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "speech": {"reader": "folder", "root": "speech"}}
    ran = invoke("pretrain", *arguments(tmp_path, None, settings))
    assert "training needs --speech and --root; name the table and its folder" in message(ran)
    ran = pretrain(tmp_path, speech, "--speech", str(tmp_path / "none.parquet"))
    assert "none.parquet" in message(ran)


def test_a_recording_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    table = read_tones(tmp_path / "speech")
    recording = tmp_path / "speech" / "root" / "003.wav"
    recording.unlink()
    text = message(pretrain(tmp_path, table))
    assert f"{recording}: no such file" in text
    assert "run again" in text


def test_speech_that_is_shorter_than_a_prediction_is_one_sentence(
    speech: Path, tmp_path: Path
) -> None:
    long = {**SETTINGS["architecture"], "offset": 150}
    text = message(pretrain(tmp_path, speech, architecture=long))
    assert "crop_seconds" in text


def test_initial_weights_of_another_objective_are_one_sentence(
    trained: Path, speech: Path, tmp_path: Path
) -> None:
    path = str(trained / "net" / "model")
    assert "is a folder" in message(pretrain(tmp_path, speech, continue_from=path))
    values = {**WAV2VEC2, "continue_from": path + "/wav2vec.pt"}
    assert "is a file" in message(invoke("pretrain", *arguments(tmp_path, speech, values)))
    missing = str(tmp_path / "none.pt")
    assert "none.pt does not exist" in message(pretrain(tmp_path, speech, continue_from=missing))
