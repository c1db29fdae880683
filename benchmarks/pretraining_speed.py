"""Speed of pre-training wav2vec: whole steps, and its convolutions against plain matrix products.

    OMP_NUM_THREADS=1 python benchmarks/pretraining_speed.py [ARCHITECTURE]

One process and thread, as each process of a pre-training on a CPU. Steps, convolutions and products
take turns; the medians of their CPU time are printed.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from emoscale.config.pretraining import Wav2VecPretraining
from emoscale.pretraining.checkpoint import build_network
from emoscale.representations.fast_convolution import Convolution

ROUNDS = 7
SECONDS = 4
CROPS = 6
MATRIX = 1536
H200_BF16_OPERATIONS = 790e12
"""Matrix products in bfloat16, operations per second."""


def timed(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


class Step:
    """One training step on random crops."""

    def __init__(self, settings: Wav2VecPretraining, precision: torch.dtype) -> None:
        self.network = build_network(settings, None)
        self.optimizer = torch.optim.AdamW(self.network.parameters())
        self.precision = precision
        self.waveforms = 0.1 * torch.randn(CROPS, SECONDS * 16_000)
        generator = torch.Generator().manual_seed(1)
        crops, samples = self.waveforms.shape
        self.negatives = self.network.sample(crops, samples, generator)
        self.convolutions = self._record_convolutions()

    def __call__(self) -> None:
        """Compute the step."""
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == torch.bfloat16):
            objective = self.network(self.waveforms, self.negatives)
        objective.loss.backward()
        self.optimizer.step()

    def _record_convolutions(self) -> list[tuple[nn.Conv1d, torch.Tensor]]:
        """Return each convolution of the network with the input that it gets in a step."""
        recorded: list[tuple[nn.Conv1d, torch.Tensor]] = []
        hooks = [
            module.register_forward_pre_hook(
                lambda module, inputs: recorded.append((module, inputs[0].detach()))
            )
            for module in self.network.modules()
            if isinstance(module, Convolution)
        ]
        self()
        for hook in hooks:
            hook.remove()
        return recorded

    def convolve(self) -> None:
        """Compute all convolutions forward and backward, and nothing else."""
        for convolution, inputs in self.convolutions:
            frames = inputs.to(self.precision).requires_grad_(inputs.shape[1] > 1)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == torch.bfloat16):
                output = convolution(frames)
            output.backward(torch.ones_like(output))

    def operations(self) -> float:
        """Return the floating-point operations of the convolutions, forward and backward."""
        total = 0.0
        for convolution, inputs in self.convolutions:
            frames = (inputs.shape[2] - convolution.kernel_size[0]) // convolution.stride[0] + 1
            products = 2.0 * convolution.weight.numel() * frames * len(inputs)
            total += products * (3 if inputs.shape[1] > 1 else 2)  # no gradient of the waveform
        return total


def main() -> None:
    torch.set_num_threads(1)
    name = sys.argv[1] if len(sys.argv) > 1 else "small"
    settings = Wav2VecPretraining.model_validate(
        {"pretrain": "wav2vec", "architecture": name, "steps": 0}
    )
    print(f"{name}: one thread, {CROPS * SECONDS} s of speech in a step")
    for precision in (torch.float32, torch.bfloat16):
        step = Step(settings, precision)
        left = torch.randn(MATRIX, MATRIX, dtype=precision)
        right = torch.randn(MATRIX, MATRIX, dtype=precision)
        times: dict[str, list[float]] = {"step": [], "convolutions": [], "product": []}
        for _ in range(ROUNDS):
            times["step"].append(timed(step))
            times["convolutions"].append(timed(step.convolve))
            times["product"].append(timed(functools.partial(torch.mm, left, right)))
        median = {key: statistics.median(values) for key, values in times.items()}
        matrix_rate = 2 * MATRIX**3 / median["product"]
        rate = step.operations() / median["convolutions"]
        speech = CROPS * SECONDS / median["step"]
        per_second = step.operations() / (CROPS * SECONDS)
        print(
            f"{str(precision).removeprefix('torch.')}: {speech:.0f} s of speech per second; "
            f"convolutions {rate / 1e9:.0f} GFLOP/s, {rate / matrix_rate:.0%} of matrix products "
            f"({matrix_rate / 1e9:.0f} GFLOP/s), {median['convolutions'] / median['step']:.0%} of "
            "the step"
        )
    hours = H200_BF16_OPERATIONS * 0.5 / per_second
    print(
        f"{per_second / 1e9:.2f} GFLOP per second of speech; at half of {H200_BF16_OPERATIONS:.3g} "
        f"operations per second, an H200 would compute {hours:,.0f} hours of speech in an hour"
    )


if __name__ == "__main__":
    main()
