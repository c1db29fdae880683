"""Selection of the device that networks are computed on."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path

import torch
import torch.utils.deterministic

from emoscale.runtime.errors import UserError
from emoscale.runtime.files import try_lock

_MAX_STEPS_PER_GPU = 64


def choose_device(requested: str) -> torch.device:
    """Return the device to compute on, and disable TF32 if it is a GPU.

    Of several GPUs it is the one that the fewest steps of this user compute on, and of these the
    one with most free memory; it becomes torch's current GPU. Processes of torchrun choose theirs
    by their rank.

    Parameters
    ----------
    requested : str
        "auto", "cpu" or "cuda"; "auto" selects a GPU if torch finds one.

    Returns
    -------
    torch.device
        The CPU or a GPU.

    Raises
    ------
    UserError
        If "cuda" is requested and torch finds no GPU, or the free memory of several is unknown.
    """
    if requested == "cuda" and not torch.cuda.is_available():
        raise UserError("execution.device is cuda, but torch finds no GPU; use auto or cpu")
    if requested == "auto":
        requested = "cuda" if torch.cuda.is_available() else "cpu"
    if requested == "cuda":  # by default, torch lets convolutions round to TF32 (error 1e-3)
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        # Otherwise cuDNN's recurrent networks may differ between runs (torch's note on nn.LSTM).
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if torch.cuda.device_count() > 1 and "LOCAL_RANK" not in os.environ:
            gpu = _reserve_gpu()
            torch.cuda.set_device(gpu)
            return torch.device(requested, gpu)
    return torch.device(requested)


@functools.cache
def _reserve_gpu() -> int:
    """Choose one of several GPUs, and lock a file with its name until the process ends.

    A GPU has a file for each further step, so steps that start together are distributed evenly.
    """
    gpus = range(torch.cuda.device_count())
    uuids = [str(torch.cuda.get_device_properties(gpu).uuid) for gpu in gpus]
    free = _free_megabytes()
    freest_first = sorted(gpus, key=lambda gpu: -free.get(f"GPU-{uuids[gpu]}", 0))
    for number in range(_MAX_STEPS_PER_GPU):
        for gpu in freest_first:
            name = f"emoscale-{os.getuid()}-{uuids[gpu]}-{number}.lock"
            lock = os.open(Path(tempfile.gettempdir(), name), os.O_RDWR | os.O_CREAT, mode=0o600)
            if try_lock(lock):
                return gpu
            os.close(lock)
    return freest_first[0]


def _free_megabytes() -> dict[str, int]:
    """Return the free memory of each GPU by UUID; torch would occupy some on every GPU to ask."""
    query = ["nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        table = subprocess.run(query, capture_output=True, text=True, check=True).stdout
        return {uuid: int(free) for uuid, free in (row.split(", ") for row in table.splitlines())}
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise UserError(
            f"nvidia-smi does not report the free memory of the GPUs ({error}); name the GPU to "
            "use in the environment variable CUDA_VISIBLE_DEVICES"
        ) from None


def use_deterministic_algorithms(device: torch.device) -> None:
    """Let torch compute the same numbers in every run; on a CPU it does so anyway.

    Parameters
    ----------
    device : torch.device
        Device of the computation.
    """
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True)
        # Nothing reads memory before it is written, and filling each array takes time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def device_name(device: torch.device) -> str:
    """Return the name of a device for records: the same for devices that compute equal numbers.

    Parameters
    ----------
    device : torch.device
        The device.

    Returns
    -------
    str
        ``cpu``, or a GPU with its model, such as ``cuda (NVIDIA A100-SXM4-80GB)``.
    """
    if device.type != "cuda":
        return str(device)
    return f"cuda ({torch.cuda.get_device_name(device)})"
