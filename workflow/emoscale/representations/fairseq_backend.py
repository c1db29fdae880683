"""Features computed by fairseq: runs scripts/fairseq_backend.py in a Python that has fairseq."""

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
from emoscale.representations.registry import FAIRSEQ_SCRIPT
from emoscale.runtime.errors import CheckpointError, ConfigurationError


class FairseqBackend:
    """Representation with the attributes of the native backend and the frames of fairseq.

    fairseq needs older versions of Python and torch than this library. Waveforms are passed to its
    process in one file, and the frames are returned in another.

    Parameters
    ----------
    native : Representation
        The same representation, computed by this library.
    settings : Wav2VecSettings or VqWav2VecSettings
        Its settings, with the checkpoint's path.
    python : str
        Python interpreter that has fairseq.
    """

    batch_seconds = 600.0  # large batches, since starting the process takes seconds

    def __init__(
        self, native: Representation, settings: Wav2VecSettings | VqWav2VecSettings, python: str
    ) -> None:
        self._settings = settings
        self._python = python
        self.modality = native.modality
        self.dimension = native.dimension
        self.frame_rate = native.frame_rate
        self.dtype = native.dtype
        self.checkpoint_sha256: str = getattr(native, "checkpoint_sha256", "")
        self.codebook: NDArray[np.float32] | None = getattr(native, "codebook", None)

    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Compute the stored frames or codes of each waveform.

        Parameters
        ----------
        batch : sequence of ndarray
            Waveforms ``[samples]`` at 16 kHz.

        Returns
        -------
        list of ndarray
            ``[frames, dimension]`` or, for codes, ``[frames, groups]`` of each waveform.

        Raises
        ------
        CheckpointError
            If fairseq fails; the message is that of its process.
        ConfigurationError
            If the interpreter cannot be started.
        """
        with tempfile.TemporaryDirectory(prefix="emoscale-") as folder:
            waveforms, result = Path(folder) / "waveforms.npz", Path(folder) / "frames.npz"
            arrays: dict[str, Any] = {str(index): array for index, array in enumerate(batch)}
            np.savez(waveforms, **arrays)
            self._run("--waveforms", waveforms, "--result", result)
            with np.load(result) as frames:
                return [frames[key] for key in arrays]

    def _run(self, *files: str | Path) -> None:
        features = ["--checkpoint", self._settings.checkpoint, "--output", self._settings.output]
        threads = ["--threads", str(torch.get_num_threads())]
        # Without the path of this library, which needs a newer Python.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        try:
            process = subprocess.run(
                [self._python, FAIRSEQ_SCRIPT, *features, *threads, *files],
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{self._python} cannot be run ({error.strerror}); set execution.fairseq_python to "
                "a Python that has fairseq"
            ) from None
        if process.returncode:
            print(process.stderr, file=sys.stderr)
            lines = process.stderr.strip().splitlines()
            message = lines[-1] if lines else f"it exited with status {process.returncode}"
            raise CheckpointError(f"fairseq: {message.removeprefix('Error: ')}")
