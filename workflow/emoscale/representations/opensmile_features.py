"""Low-level descriptors and functionals through openSMILE's Python package.

openSMILE is licensed for research: features, and models made with them, must not be used
commercially. It is an extra, and everything else works without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.config.representations import OpensmileSettings
from emoscale.representations.contract import Waveform
from emoscale.runtime.errors import ConfigurationError

_LEVELS = {"frames": "LowLevelDescriptors", "functionals": "Functionals"}


class Opensmile:
    """eGeMAPSv02 (Eyben et al. 2016) or ComParE_2016 (Schuller et al. 2016)."""

    modality: Literal["audio", "text"] = "audio"
    dtype = "float32"  # spectral moments and functionals leave the range of float16

    def __init__(self, settings: OpensmileSettings) -> None:
        package = _import_opensmile()
        self._smile = package.Smile(
            feature_set=getattr(package.FeatureSet, settings.feature_set),
            feature_level=getattr(package.FeatureLevel, _LEVELS[settings.feature_level]),
        )
        self.dimension: int = self._smile.num_features
        self.frame_rate: float | None = 100.0 if settings.feature_level == "frames" else None

    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """[T_i, dimension] of each waveform, a frame every 10 ms; functionals: T_i = 1.

        Shorter utterances than about 0.1 s have no frame; openSMILE's answer is then not a number,
        which the feature store refuses with the utterance's name.
        """
        return [
            self._smile.process_signal(waveform, SAMPLE_RATE).to_numpy(dtype=np.float32)
            for waveform in batch
        ]


def _import_opensmile() -> ModuleType:
    try:
        import opensmile
    except ImportError:
        raise ConfigurationError(
            "a representation of the kind opensmile needs the package opensmile, which is licensed "
            "for research only; install it with: "
            "pip install -c envs/constraints.txt -e '.[opensmile]'"
        ) from None
    module: ModuleType = opensmile
    return module
