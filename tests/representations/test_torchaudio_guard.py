"""Import of torchaudio with any build of torch."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from emoscale.representations.torchaudio_guard import import_torchaudio
torchaudio = import_torchaudio()
assert import_torchaudio() is torchaudio
import torchaudio as imported
assert imported is torchaudio
import torch
assert torchaudio.transforms.MelSpectrogram(16000)(torch.zeros(16000)).shape[0] == 128
print("native" if torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE else "without extension")
"""


def test_torchaudio_works_with_any_build_of_torch() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in {"native", "without extension"}
