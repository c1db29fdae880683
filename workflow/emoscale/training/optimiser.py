"""AdamW (Loshchilov and Hutter 2019) through torch's functional form.

`torch.optim.AdamW` imports the compiler when it is built, which costs more than a second of every
job, and a study is a thousand short jobs. The update is torch's own either way.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adamw import adamw


class AdamW:
    """Updates parameters from their gradients; betas and epsilon are torch's defaults."""

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, weight_decay: float
    ) -> None:
        self.parameters = list(parameters)
        self._learning_rate, self._weight_decay = learning_rate, weight_decay
        self._averages = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._steps = [torch.zeros(()) for _ in self.parameters]

    def clear_gradients(self) -> None:
        """Forget the last step's gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """What the next steps depend on, by name."""
        return {
            f"{kind}.{place}": value
            for kind, values in self._running().items()
            for place, value in enumerate(values)
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state` of the same parameters."""
        for kind, values in self._running().items():
            for place, value in enumerate(values):
                value.copy_(state[f"{kind}.{place}"])

    def _running(self) -> dict[str, list[Tensor]]:
        return {"averages": self._averages, "squares": self._squares, "steps": self._steps}

    @torch.no_grad()
    def step(self) -> None:
        """One update; every parameter must have a gradient."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if len(gradients) < len(self.parameters):
            raise RuntimeError("a parameter of the model has no gradient: it is not used")
        adamw(
            self.parameters,
            gradients,
            self._averages,
            self._squares,
            [],
            self._steps,
            foreach=self.parameters[0].is_cuda,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self._learning_rate,
            weight_decay=self._weight_decay,
            eps=1e-8,
            maximize=False,
        )
