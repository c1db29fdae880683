"""Low-level descriptors and functionals by openSMILE's Python package.

openSMILE is licensed for research: its features, and models trained on them, must not be used
commercially. It is an optional dependency; everything else works without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.config.representations import OpensmileSettings
from emoscale.representations.contract import Waveform
from emoscale.runtime.errors import ConfigurationError

_FEATURE_LEVELS = {"frames": "LowLevelDescriptors", "functionals": "Functionals"}


class Opensmile:
    """eGeMAPSv02 [1]_ or ComParE_2016 [2]_ features.

    Parameters
    ----------
    settings : OpensmileSettings
        Feature set and feature level.

    References
    ----------
    .. [1] Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research
       and affective computing", IEEE Transactions on Affective Computing, 2016.
    .. [2] Schuller et al., "The INTERSPEECH 2016 Computational Paralinguistics Challenge",
       Interspeech 2016.
    """

    modality: Literal["audio", "text"] = "audio"
    dtype = "float32"  # spectral moments and functionals exceed the range of float16

    def __init__(self, settings: OpensmileSettings) -> None:
        package = _import_opensmile()
        self._smile = package.Smile(
            feature_set=getattr(package.FeatureSet, settings.feature_set),
            feature_level=getattr(package.FeatureLevel, _FEATURE_LEVELS[settings.feature_level]),
        )
        self.dimension: int = self._smile.num_features
        self.frame_rate: float | None = 100.0 if settings.feature_level == "frames" else None

    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Compute the features of each waveform.

        Utterances shorter than about 0.1 s have no frame; openSMILE then returns NaN, which the
        feature store refuses with the utterance's name.

        Parameters
        ----------
        batch : sequence of ndarray
            Waveforms ``[samples]``.

        Returns
        -------
        list of ndarray
            ``[frames, dimension]`` of each waveform: one frame per 10 ms, or one frame of
            functionals.
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
            "a representation of the kind opensmile requires the package opensmile, which is "
            "licensed for research only; install it with: "
            "pip install -c envs/constraints.txt -e '.[opensmile]'"
        ) from None
    module: ModuleType = opensmile
    return module
