"""Makes tests/pretraining/wav2vec_references/, with fairseq 0.12.2 in a Python of its own.

    python tests/pretraining/make_wav2vec_references.py [FOLDER]

For every variant of the objective: a checkpoint with few channels and random weights, the negatives
that fairseq sampled for two waveforms, and the loss and gradients that it computed with them; and
the learning rates of its cosine schedule. `make .venv-fairseq/.ready` makes such a Python.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from fairseq.criterions.wav2vec_criterion import Wav2vecCriterion
from fairseq.models.wav2vec.wav2vec import Wav2VecConfig, Wav2VecModel
from fairseq.optim import FairseqOptimizer
from fairseq.optim.lr_scheduler.cosine_lr_scheduler import CosineLRSchedule, CosineLRScheduleConfig

FOLDER = Path(__file__).parent / "wav2vec_references"
LAYERS = {
    "conv_feature_layers": "[(8, 10, 5), (8, 8, 4), (8, 4, 2), (8, 4, 2), (8, 4, 2), (8, 1, 1)]",
    "conv_aggregator_layers": "[(8, 2, 1), (12, 3, 1), (12, 4, 1)]",
}
VARIANTS = {
    "logistic": {},
    "balanced": {"balanced_classes": True, "num_negatives": 3},
    "softmax": {"infonce": True},
    "across": {"cross_sample_negatives": 4, "num_negatives": 5},
    "only_across": {"cross_sample_negatives": 6, "num_negatives": 0, "infonce": True},
    "distance": {"sample_distance": 7, "offset": 1},
    "gelu": {"activation": "gelu", "log_compression": False, "skip_connections_feat": True},
    "many_steps": {"prediction_steps": 40, "agg_zero_pad": True, "no_conv_bias": True},
}


def waveforms():
    return np.random.default_rng(9).normal(0.0, 0.1, (2, 5_000)).astype(np.float32)


def configuration(flags):
    config = Wav2VecConfig()
    for key, value in {"infonce": False, "offset": "auto", **LAYERS, **flags}.items():
        setattr(config, key, value)
    return config


def negatives_of(model, frames, batch):
    """Frames that `sample_negatives` takes, [batch, frames, negatives], for the present seed."""
    numbers = torch.arange(batch * frames).view(batch, 1, frames)
    return model.wav2vec_predictions.sample_negatives(numbers)[:, :, 0].permute(1, 2, 0)


def reference(flags):
    config = configuration(flags)
    model = Wav2VecModel.build_model(config, None).train()
    for parameter in model.parameters():  # norms and biases start at one and nought
        parameter.data += 0.1 * torch.randn_like(parameter)
    source = torch.from_numpy(waveforms())
    frames = model.feature_extractor(source).shape[2]
    torch.manual_seed(1)
    negatives = negatives_of(model, frames, len(source))
    torch.manual_seed(1)
    criterion = Wav2vecCriterion(None, infonce=config.infonce)
    sample = {"net_input": {"source": source}, "id": torch.arange(len(source))}
    loss, count, _ = criterion(model, sample)
    loss.backward()
    gradients = {f"gradient.{name}": value.grad.numpy() for name, value in model.named_parameters()}
    values = {"loss": loss.item(), "count": count, "negatives": negatives.numpy(), **gradients}
    arguments = {**vars(config), "arch": "wav2vec"}
    return {"args": argparse.Namespace(**arguments), "model": model.state_dict()}, values


class _Optimizer(FairseqOptimizer):
    def __init__(self):
        super().__init__(None)
        self.learning_rate = 0.0

    def set_lr(self, value):
        self.learning_rate = value

    def get_lr(self):
        return self.learning_rate


def schedule():
    """Learning rates of the steps of a training of 100 updates."""
    config = CosineLRScheduleConfig(
        warmup_updates=20, warmup_init_lr=0.0, lr=[0.005], min_lr=0.0, max_update=100
    )

    scheduler = CosineLRSchedule(config, _Optimizer())
    return [scheduler.step_update(step) for step in range(100)]


def main(folder=FOLDER):
    folder.mkdir(exist_ok=True)
    for number, (name, flags) in enumerate(VARIANTS.items()):
        torch.manual_seed(number)
        checkpoint, values = reference(flags)
        torch.save(checkpoint, folder / f"{name}.pt")
        np.savez(folder / f"{name}.npz", **values)
    np.savez(folder / "schedule.npz", learning_rate=schedule())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
