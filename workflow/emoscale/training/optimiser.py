"""AdamW (Loshchilov and Hutter 2019) through torch's functional form.

`torch.optim.AdamW` imports the compiler when it is built, which costs more than a second of every
job, and a study is a thousand short jobs. The update is torch's own either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw


class AdamW:
    """Updates parameters from their gradients; betas and epsilon are torch's defaults."""

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, weight_decay: float
    ) -> None:
        self.parameters = list(parameters)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.averages = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = [torch.zeros(()) for _ in self.parameters]

    def clear_gradients(self) -> None:
        """Forget the last step's gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """One update; every parameter must have a gradient."""
        update([self])


@torch.no_grad()
def update(optimisers: Sequence[AdamW]) -> None:
    """One update of the parameters of all, which have equal settings, in one pass."""
    parameters = [parameter for own in optimisers for parameter in own.parameters]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if len(gradients) < len(parameters):
        raise RuntimeError("a parameter of the model has no gradient: it is not used")
    adamw(
        parameters,
        gradients,
        [average for own in optimisers for average in own.averages],
        [square for own in optimisers for square in own.squares],
        [],
        [step for own in optimisers for step in own.steps],
        foreach=parameters[0].is_cuda,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=optimisers[0].learning_rate,
        weight_decay=optimisers[0].weight_decay,
        eps=1e-8,
        maximize=False,
    )


def clip_gradients(parameters: Sequence[Tensor], largest: float) -> None:
    """Scale the gradients of one model down to a norm of `largest`, if theirs is larger."""
    torch.nn.utils.clip_grad_norm_(parameters, largest)
