from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from emoscale.representations.torchaudio_guard import import_torchaudio
torchaudio = import_torchaudio()
assert import_torchaudio() is torchaudio
import torchaudio as again
assert again is torchaudio
import torch
assert torchaudio.transforms.MelSpectrogram(16000)(torch.zeros(16000)).shape[0] == 128
print("whole" if torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE else "without native part")
"""


def test_torchaudio_is_usable_whatever_torch_it_was_built_for() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() in {"whole", "without native part"}
