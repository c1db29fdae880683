"""Names of devices, and the choice between several GPUs."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from emoscale.runtime.devices import choose_device, device_name
from emoscale.runtime.errors import UserError

FORK = multiprocessing.get_context("fork")


def test_the_name_of_a_gpu_has_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"NVIDIA L4 {device.index}")
    assert device_name(torch.device("cuda", 1)) == "cuda (NVIDIA L4 1)"
    assert device_name(torch.device("cpu")) == "cpu"


@pytest.fixture
def install_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that lets torch and nvidia-smi list GPUs with so much free memory."""

    def install(*free_megabytes: int) -> None:
        uuids = [f"{number:08x}-1111-2222-3333-444444444444" for number in range(4)]
        rows = [f"GPU-{uuid}, {free}" for uuid, free in zip(uuids, free_megabytes, strict=False)]
        program = tmp_path / "nvidia-smi"
        # In another order than torch's, which depends on the speed of the GPUs.
        program.write_text("#!/bin/sh\necho '" + "\n".join(reversed(rows)) + "'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        monkeypatch.delenv("LOCAL_RANK", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        for name, value in {
            "is_available": lambda: True,
            "device_count": lambda: len(free_megabytes),
            "get_device_properties": lambda gpu: SimpleNamespace(uuid=uuids[gpu]),
            "set_device": lambda gpu: None,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    return install


@contextmanager
def started_step() -> Iterator[int]:
    """Choose a GPU in a process that runs as long as the context; return its number."""

    def choose(connection: Any) -> None:
        connection.send(choose_device("cuda").index)
        connection.recv()

    parent, child = FORK.Pipe()
    process = FORK.Process(target=choose, args=(child,))
    process.start()
    try:
        assert parent.poll(60)
        yield parent.recv()
    finally:
        parent.send(None)
        process.join()


def test_steps_choose_the_freest_gpu_and_then_the_others(
    install_gpus: Callable[..., None],
) -> None:
    install_gpus(10_000, 80_000, 40_000)
    with started_step() as first, started_step() as second:
        with started_step() as third, started_step() as fourth:
            assert [first, second, third, fourth] == [1, 2, 0, 1]
        with started_step() as fifth:  # the third step ended
            assert fifth == 0
    with started_step() as alone:
        assert alone == 1


def test_a_process_keeps_its_gpu(install_gpus: Callable[..., None]) -> None:
    install_gpus(10_000, 80_000)

    def choose_twice(connection: Any) -> None:
        connection.send([choose_device(name) for name in ("auto", "cuda")])

    parent, child = FORK.Pipe()
    process = FORK.Process(target=choose_twice, args=(child,))
    process.start()
    assert parent.poll(60)
    assert parent.recv() == [torch.device("cuda", 1)] * 2
    process.join()


def test_one_gpu_and_processes_of_torchrun_need_no_choice(
    install_gpus: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_gpus(10_000)
    assert choose_device("auto") == torch.device("cuda")
    install_gpus(10_000, 80_000)
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert choose_device("auto") == torch.device("cuda")
    assert list(tmp_path.glob("*.lock")) == []


def test_unknown_free_memory_is_reported(
    install_gpus: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_gpus(10_000, 80_000)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(UserError, match="name the GPU to use in the environment variable CUDA_VIS"):
        choose_device("cuda")
