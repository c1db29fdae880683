"""Selection of the device that networks are computed on."""

from __future__ import annotations

import os

import torch
import torch.utils.deterministic

from emoscale.runtime.errors import UserError


def choose_device(requested: str) -> torch.device:
    """Return the device to compute on, and disable TF32 if it is a GPU.

    Parameters
    ----------
    requested : str
        "auto", "cpu" or "cuda"; "auto" selects a GPU if torch finds one.

    Returns
    -------
    torch.device
        The CPU or the default GPU.

    Raises
    ------
    UserError
        If "cuda" is requested and torch finds no GPU.
    """
    if requested == "cuda" and not torch.cuda.is_available():
        raise UserError("execution.device is cuda, but torch finds no GPU; use auto or cpu")
    if requested == "auto":
        requested = "cuda" if torch.cuda.is_available() else "cpu"
    if requested == "cuda":  # by default, torch lets convolutions round to TF32 (error 1e-3)
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        # Otherwise cuDNN's recurrent networks may differ between runs (torch's note on nn.LSTM).
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
    return torch.device(requested)


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
