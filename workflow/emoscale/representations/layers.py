"""Which hidden states of a network a representation is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from emoscale.runtime.errors import CheckpointError


@dataclass(frozen=True)
class ChosenLayers:
    """Hidden states by number: 0 enters the transformer, the last one leaves it."""

    numbers: tuple[int, ...]
    """Ascending, none twice."""

    highest: int
    """Number of the model's last state."""

    single: bool
    """Whether one was asked for: frames [T, dimension]. Otherwise [layers, T, dimension]."""

    def of(self, output: Any) -> Any:
        """States [layers, batch, T, dimension] from what a model of transformers returns.

        The last state is the model's output, after its last norm where it has one there: the list
        of hidden states leaves that norm out.
        """
        return torch.stack(
            [
                output.last_hidden_state if number == self.highest else output.hidden_states[number]
                for number in self.numbers
            ]
        )

    @property
    def stored(self) -> tuple[int, ...]:
        """The `layers` of the representation's contract: none where one was asked for."""
        return () if self.single else self.numbers


def choose_layers(asked: int | Literal["all"] | list[int], highest: int, name: str) -> ChosenLayers:
    """Resolve a configured `layer` for a model with the hidden states 0 to `highest`.

    Negative numbers count from the last, -1. Raises `CheckpointError` with the model's `name` where
    it has no such state.

    >>> choose_layers([-1, 0], 12, "wav2vec2-base")
    ChosenLayers(numbers=(0, 12), highest=12, single=False)
    >>> choose_layers(-1, 12, "wav2vec2-base")
    ChosenLayers(numbers=(12,), highest=12, single=True)
    """
    if asked == "all":
        return ChosenLayers(tuple(range(highest + 1)), highest, single=False)
    wanted = asked if isinstance(asked, list) else [asked]
    for number in wanted:
        if not -highest - 1 <= number <= highest:
            raise CheckpointError(
                f"{name} has the hidden states 0 to {highest}; layer {number} is none"
            )
    numbers = {number % (highest + 1) for number in wanted}
    return ChosenLayers(tuple(sorted(numbers)), highest, single=not isinstance(asked, list))
