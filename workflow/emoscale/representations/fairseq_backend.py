"""Frames that fairseq itself computes, by scripts/fairseq_backend.py in a Python that has it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.config.representations import VqWav2VecSettings, Wav2VecSettings
from emoscale.representations.contract import Representation, Waveform
from emoscale.representations.registry import FAIRSEQ_PROGRAM
from emoscale.runtime.errors import CheckpointError, ConfigurationError


class FairseqBackend:
    """A representation that is what `native` says it is, with frames of fairseq's own.

    fairseq needs an older Python and an older torch: waveforms go to a program there in a file, and
    frames come back in one.
    """

    batch_seconds = 600.0  # starting the program costs seconds

    def __init__(
        self, native: Representation, settings: Wav2VecSettings | VqWav2VecSettings, python: str
    ) -> None:
        """`settings` name the checkpoint's file; `python` is the program that has fairseq."""
        self._settings = settings
        self._python = python
        self.modality = native.modality
        self.dimension = native.dimension
        self.frame_rate = native.frame_rate
        self.dtype = native.dtype
        self.checkpoint_sha256: str = getattr(native, "checkpoint_sha256", "")
        self.codebook: NDArray[np.float32] | None = getattr(native, "codebook", None)

    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """What is stored of each waveform, [T_i, …].

        Raises `CheckpointError` with the program's own sentence, and `ConfigurationError` where
        there is no such program or it has no fairseq.
        """
        with tempfile.TemporaryDirectory(prefix="emoscale-") as folder:
            given, result = Path(folder) / "waveforms.npz", Path(folder) / "frames.npz"
            arrays: dict[str, Any] = {str(place): one for place, one in enumerate(batch)}
            np.savez(given, **arrays)
            self._run("--waveforms", given, "--result", result)
            with np.load(result) as frames:
                return [frames[key] for key in arrays]

    def _run(self, *files: str | Path) -> None:
        asked = ["--checkpoint", self._settings.checkpoint, "--output", self._settings.output]
        threads = ["--threads", str(torch.get_num_threads())]
        # Not the workflow's own library: it is written for a newer Python.
        others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        try:
            ran = subprocess.run(
                [self._python, FAIRSEQ_PROGRAM, *asked, *threads, *files],
                env=others,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{self._python} cannot be run ({error.strerror}); name the Python that has "
                "fairseq under execution.fairseq_python"
            ) from None
        if ran.returncode:
            print(ran.stderr, file=sys.stderr)
            lines = ran.stderr.strip().splitlines() or [f"it ended with {ran.returncode}"]
            raise CheckpointError(f"fairseq: {lines[-1].removeprefix('Error: ')}")
