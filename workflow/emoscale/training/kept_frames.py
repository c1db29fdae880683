"""A training's frames as its model's first step leaves them, kept for the next time they are drawn.

In bfloat16 on a CPU, where standardising a batch takes a tenth of a step and what comes of it is
as small as the stored frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from emoscale.config.training import TrainingSettings
from emoscale.models.contract import PackedFrames
from emoscale.models.normalisation import Standardise
from emoscale.training.material import Material


class KeptFrames:
    """Standardises each utterance once, as long as there is memory; the numbers are the same."""

    def __init__(
        self, material: Material, standardisations: Sequence[Standardise], memory_bytes: int
    ) -> None:
        """`standardisations` are the model's, of each input; `memory_bytes` may be kept."""
        self._material, self._standardisations = material, standardisations
        self._left = memory_bytes
        self._kept: list[dict[int, Tensor]] = [{} for _ in standardisations]

    def batch(self, places: Tensor) -> list[PackedFrames]:
        """As `Material.batch`, with frames that are standardised, in bfloat16."""
        inputs = []
        for number, standardise in enumerate(self._standardisations):
            own = self._material.inputs[number]
            frames = [self._frames(number, standardise, place) for place in places.tolist()]
            packed = own.batch(places.tolist(), frames=torch.cat(frames))
            inputs.append(packed)
        return inputs

    def _frames(self, number: int, standardise: Standardise, place: int) -> Tensor:
        kept = self._kept[number]
        if place in kept:
            return kept[place]
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            frames: Tensor = standardise(self._material.inputs[number].frames_of(place))
        if frames.nbytes <= self._left:
            self._left -= frames.nbytes
            kept[place] = frames
        return frames


def kept_frames(
    material: Material, standardisations: Sequence[Standardise], settings: TrainingSettings
) -> KeptFrames | None:
    """None where nothing is gained: in float32, on a GPU, and where batches are augmented."""
    if (
        material.device.type != "cpu"
        or settings.precision != "bfloat16"
        or settings.augmentation.is_on()
    ):
        return None
    return KeptFrames(material, standardisations, material.spare_bytes)
