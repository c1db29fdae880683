"""Selection of a network's hidden states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from emoscale.runtime.errors import CheckpointError


@dataclass(frozen=True)
class LayerSelection:
    """Selected hidden states: 0 is the input of the transformer, the last one its output."""

    indices: tuple[int, ...]
    """Indices of the hidden states, ascending and unique."""

    last_index: int
    """Index of the network's last hidden state."""

    single: bool
    """Whether the configuration names one layer: frames are ``[frames, dimension]`` instead of
    ``[layers, frames, dimension]``."""

    def stack(self, output: Any) -> Any:
        """Stack the selected hidden states.

        The last hidden state is the network's output, which includes its final norm if it has one;
        the list of hidden states does not.

        Parameters
        ----------
        output : BaseModelOutput
            Output of a transformers model, with `last_hidden_state` and `hidden_states`.

        Returns
        -------
        Tensor
            ``[layers, batch, frames, dimension]``.
        """
        return torch.stack(
            [
                output.last_hidden_state
                if index == self.last_index
                else output.hidden_states[index]
                for index in self.indices
            ]
        )

    @property
    def stored_layers(self) -> tuple[int, ...]:
        """Attribute `layers` of the representation: empty if the configuration names one layer."""
        return () if self.single else self.indices


def select_layers(
    layer: int | Literal["all"] | list[int], last_index: int, model_name: str
) -> LayerSelection:
    """Resolve the configured `layer` of a model.

    Parameters
    ----------
    layer : int or "all" or list of int
        Hidden states; negative indices count from the last, -1.
    last_index : int
        Index of the model's last hidden state.
    model_name : str
        Name of the model, for the error message.

    Returns
    -------
    LayerSelection
        Selected hidden states.

    Raises
    ------
    CheckpointError
        If the model has no such hidden state.

    Examples
    --------
    >>> select_layers([-1, 0], 12, "wav2vec2-base")
    LayerSelection(indices=(0, 12), last_index=12, single=False)
    >>> select_layers(-1, 12, "wav2vec2-base")
    LayerSelection(indices=(12,), last_index=12, single=True)
    """
    if layer == "all":
        return LayerSelection(tuple(range(last_index + 1)), last_index, single=False)
    requested = layer if isinstance(layer, list) else [layer]
    for index in requested:
        if not -last_index - 1 <= index <= last_index:
            raise CheckpointError(
                f"{model_name} has the hidden states 0 to {last_index}; there is no layer {index}"
            )
    indices = {index % (last_index + 1) for index in requested}
    return LayerSelection(tuple(sorted(indices)), last_index, single=not isinstance(layer, list))
