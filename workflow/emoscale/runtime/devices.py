"""Where things are computed."""

from __future__ import annotations

import os

import torch

from emoscale.runtime.errors import UserError


def choose_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`; raises `UserError` for `cuda` without a GPU.

    On a GPU, float32 is float32 from then on.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("execution.device is cuda and torch sees no GPU; use auto or cpu")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda":  # torch lets convolutions round to TF32 (1e-3) unless told otherwise
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        # Otherwise cuDNN's recurrent networks may differ between runs (torch's note on nn.LSTM).
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
    return torch.device(wanted)
