"""What the models of one representation share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.layer_weights import LayerWeights
from emoscale.models.normalisation import Standardise


class OneInput(Classifier):
    """Begins with standardised frames and, where they have layers, a weighted mean of these."""

    def __init__(self, inputs: Sequence[InputShape]) -> None:
        super().__init__()
        (shape,) = inputs
        self.standardise = nn.ModuleList([Standardise(shape.dimension, shape.layers)])
        self.layers = nn.ModuleList(
            [nn.Identity() if shape.layers is None else LayerWeights(shape.layers)]
        )

    def entering(self, batch: PackedFrames) -> Tensor:
        """[total, dimension] that the model's own part is given."""
        frames: Tensor = self.layers[0](self.standardise[0](batch.frames))
        return frames
