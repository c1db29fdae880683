"""Where things are computed."""

from __future__ import annotations

import torch

from emoscale.errors import UserError


def choose_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`; raises `UserError` for `cuda` without a GPU."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("execution.device is cuda and torch sees no GPU; use auto or cpu")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)
