"""A linear layer over one vector an utterance."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class UtteranceLinear(nn.Linear):
    """In float32 whatever the precision of the products over frames: it costs next to nothing."""

    def forward(self, vectors: Tensor) -> Tensor:
        """[utterances, entering] to [utterances, leaving]."""
        with torch.autocast(vectors.device.type, enabled=False):
            return super().forward(vectors.to(self.weight.dtype))
