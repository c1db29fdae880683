"""Pre-training and fairseq itself: equal losses, and a checkpoint that fairseq loads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import torch

from emoscale.pretraining.checkpoint import PT_FILE, build_network, write_model
from tests.conftest import PROJECT
from tests.fairseq.backend import PYTHON, needs_fairseq
from tests.pretraining.test_checkpoint import settings
from tests.pretraining.test_contrastive import VARIANTS, compare_with_fairseq

LOADER = """
import sys
import numpy as np
import torch
from fairseq import checkpoint_utils
models, _, task = checkpoint_utils.load_model_ensemble_and_task([sys.argv[1]])
waveform = torch.from_numpy(np.load(sys.argv[2]))[None]
with torch.no_grad():
    z = models[0].eval().feature_extractor(waveform)
    np.savez(sys.argv[3], z=z.numpy(), c=models[0].feature_aggregator(z).numpy())
"""


@needs_fairseq
def test_losses_and_gradients_are_those_that_fairseq_computes_now(tmp_path: Path) -> None:
    program = PROJECT / "tests" / "pretraining" / "make_wav2vec_references.py"
    subprocess.run([PYTHON, program, tmp_path], capture_output=True, check=True)
    for variant in VARIANTS:
        compare_with_fairseq(tmp_path, variant)


@needs_fairseq
def test_fairseq_loads_the_result_of_a_pretraining(tmp_path: Path) -> None:
    network = build_network(settings(), None).eval()
    write_model(tmp_path, network, settings())
    waveform = np.random.default_rng(1).normal(0.0, 0.1, 8_000).astype(np.float32)
    np.save(tmp_path / "waveform.npy", waveform)
    (tmp_path / "loader.py").write_text(LOADER)
    files = [tmp_path / name for name in (PT_FILE, "waveform.npy", "features.npz")]
    ran = subprocess.run(
        [PYTHON, tmp_path / "loader.py", *files], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    with torch.no_grad(), np.load(tmp_path / "features.npz") as features:
        z = network.encode(torch.from_numpy(waveform)[None])
        assert np.abs(features["z"] - z.numpy()).max() < 1e-5
        assert np.abs(features["c"] - network.contextualise(z).numpy()).max() < 1e-5
