"""Insufficient memory: a one-line message with the step and the remedy."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoscale.runtime.errors import MemoryLimitError
from emoscale.runtime.memory import explain_out_of_memory, is_out_of_memory
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import write_shard
from emoscale.training.memory import memory_advice
from tests.conftest import PROJECT


def exhaust_gpu_memory() -> None:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has")


ALLOCATIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "torch": (lambda: torch.empty(2**48, dtype=torch.uint8), "memory ran out when 281,475.0 GB"),
    "numpy": (lambda: np.ones(2**46, dtype=np.uint8), "memory ran out when 64.0 TiB more"),
    "python": (lambda: bytearray(2**62), "memory ran out; run fewer steps in parallel"),
    "gpu": (
        exhaust_gpu_memory,
        "the GPU's memory ran out when 2.50 GiB more were requested; set execution",
    ),
}


@pytest.mark.parametrize("library", ALLOCATIONS)
def test_message_of_a_failed_allocation(library: str) -> None:
    allocate, message = ALLOCATIONS[library]
    with pytest.raises(MemoryLimitError) as caught, explain_out_of_memory("this"):
        allocate()
    assert str(caught.value).startswith(f"this: {message}")


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="shape") as caught, explain_out_of_memory("this"):
        torch.ones(2) @ torch.ones(3, 3)
    assert not is_out_of_memory(caught.value)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    folder = tmp_path / "features" / "mfcc"
    header = ShardHeader("{}", 4, 100.0, "code", "rows")
    write_shard(
        folder / "00.h5", header, ["a", "b"], [np.ones((50, 4)), np.ones((9, 4))], "float16"
    )
    index_shards([folder / "00.h5"], folder / "index.parquet")
    return FeatureStore(folder / "index.parquet")


def test_remedy_of_a_training_names_its_batch(store: FeatureStore) -> None:
    steps = memory_advice("pooled", 32, [store])
    assert "32 utterances of up to 50 frames of 4 values (mfcc: " in steps(False)
    assert "lower training.batch_size from 32 to 16, which is another training" in steps(True)
    assert "execution.device to cpu" in steps(True)
    assert "execution.device" not in steps(False)
    assert "batch_size" not in memory_advice("estimator", 32, [store])(False)
    assert "batch_size" not in memory_advice("pooled", 1, [store])(False)


def test_program_names_the_training(
    store: FeatureStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = importlib.util.spec_from_file_location("train_program", PROJECT / "scripts/train.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    monkeypatch.setattr(program, "train_cell", lambda *_: exhaust_gpu_memory())
    monkeypatch.setattr(program, "read_fold", lambda _: None)
    (tmp_path / "fold1.parquet").write_bytes(b"")
    settings = {"model": {"kind": "pooled"}, "training": {"batch_size": 8}, "seed": 1}
    threads = torch.get_num_threads()
    with pytest.raises(SystemExit):
        program.main(
            [
                *(f"--settings={json.dumps(settings)}", "--experiment=sound", "--fold=fold1"),
                *("--size=all", f"--protocol={tmp_path / 'fold1.parquet'}", "--output=nowhere"),
                *(str(store.path), f"--threads={threads}"),
            ]
        )
    message = capsys.readouterr().err
    assert message.startswith(
        "Error: sound, fold1, size all: the GPU's memory ran out when 2.50 GiB"
    )
    assert "lower training.batch_size from 8 to 4" in message
    assert message.count("\n") == 1


ALLOCATE_UNTIL_FAILURE = """
import click
from emoscale.runtime.command import report_user_errors

@click.command()
@report_user_errors
def main():
    blocks = []
    while True:
        blocks.append(bytearray(1 << 26))

import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
main()
"""


def test_real_memory_limit() -> None:
    process = subprocess.run(
        [sys.executable, "-c", ALLOCATE_UNTIL_FAILURE], capture_output=True, text=True
    )
    assert process.returncode == 1
    assert process.stderr.startswith(
        "Error: this step: memory ran out; run fewer steps in parallel"
    )
    assert process.stderr.count("\n") == 1
