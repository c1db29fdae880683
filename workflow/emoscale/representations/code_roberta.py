"""The RoBERTa over vq-wav2vec's codes (Baevski et al. 2020) as a representation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.config.representations import CodeRobertaSettings, VqWav2VecSettings
from emoscale.representations.code_roberta_model import BEGIN, END, UNKNOWN, load_code_roberta
from emoscale.representations.contract import Extracted, Waveform
from emoscale.representations.layers import choose_layers
from emoscale.representations.vq_wav2vec import VqWav2VecFeatures
from emoscale.representations.windows import half_overlapping_windows
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.provenance import digest


class CodeRoberta:
    """Hidden states of the RoBERTa, one a frame of the codes.

    Each frame's codes are one token; <s> and </s> are computed around them and not kept. Codes that
    the dictionary does not have together are <unk>, as in fairseq. Utterances are computed one by
    one; those that the model has too few positions for, in windows that overlap by half.
    """

    modality: Literal["audio", "text"] = "audio"

    def __init__(self, settings: CodeRobertaSettings) -> None:
        self._codes = VqWav2VecFeatures(
            VqWav2VecSettings(kind="vq_wav2vec", checkpoint=settings.checkpoint, output="codes")
        )
        loaded = load_code_roberta(settings.model)
        self._symbols = loaded.symbols
        self._check_dictionary(settings)
        network = loaded.network
        self._chosen = choose_layers(
            settings.layer, network.config.num_hidden_layers, settings.model
        )
        # What lies above the highest state that is asked for need not be computed.
        network.encoder.layer = network.encoder.layer[: max(1, self._chosen.numbers[-1])]
        self._network = network
        self._stored_type: torch.dtype = getattr(torch, settings.storage_dtype)
        self.dtype: str = settings.storage_dtype
        self._precision: torch.dtype = getattr(torch, settings.precision)
        self._device = torch.device("cpu")
        self._longest_frames = loaded.longest - 2  # without <s> and </s>
        self.layers = self._chosen.stored
        self.dimension: int = network.config.hidden_size
        self.frame_rate = self._codes.frame_rate
        self.checkpoint_sha256 = digest(
            {"codes": self._codes.checkpoint_sha256, "model": loaded.sha256}
        )

    def to(self, device: str) -> None:
        """Compute on "cpu" or "cuda"; codes are chosen in float32 whatever the precision."""
        self._device = torch.device(device)
        self._codes.to(device)
        self._network.to(self._device, self._precision)

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[Extracted]:
        """Frames of each waveform ([T_i, dimension], or layers first).

        Raises `AudioError` where one is shorter than a frame.
        """
        return [
            self._of_codes(codes) for waveform in batch for codes in self._codes.extract([waveform])
        ]

    def _of_codes(self, codes: NDArray[np.generic]) -> Extracted:
        """Of an utterance's codes [T, groups]."""
        tokens = torch.tensor([self._symbols.get(_symbol(pair), UNKNOWN) for pair in codes])
        windows = half_overlapping_windows(len(tokens), self._longest_frames)
        parts = []
        for window in windows:
            states = self._states(tokens[window.start : window.stop])
            kept = states[:, window.first - window.start : window.last - window.start]
            parts.append(kept.to(self._stored_type).cpu())
        frames = torch.cat(parts, dim=1).to(self._stored_type).cpu().numpy()
        return Extracted(frames[0] if self._chosen.single else frames, chunks=len(windows))

    def _states(self, tokens: torch.Tensor) -> torch.Tensor:
        """[layers, T, dimension] of tokens [T]."""
        ends = torch.tensor([BEGIN]), torch.tensor([END])
        framed = torch.cat([ends[0], tokens, ends[1]])[None].to(self._device)
        states: torch.Tensor = self._chosen.of(self._network(framed, output_hidden_states=True))
        return states[:, 0, 1:-1]

    def _check_dictionary(self, settings: CodeRobertaSettings) -> None:
        """A dictionary of something else would make every frame <unk>."""
        book = self._codes.codebook
        assert book is not None  # codes were asked for
        groups, count, _ = book.shape
        if not any(_is_of_codes(symbol, groups, count) for symbol in self._symbols):
            raise CheckpointError(
                f"{settings.model}: its dictionary has no {groups} codes below {count} joined by "
                f"hyphens, which is what {settings.checkpoint} gives; name the two that belong "
                "together"
            )


def _symbol(codes: NDArray[np.generic]) -> str:
    """How the dictionary writes a frame's codes."""
    return "-".join(map(str, codes.tolist()))


def _is_of_codes(symbol: str, groups: int, count: int) -> bool:
    parts = symbol.split("-")
    return len(parts) == groups and all(part.isdecimal() and int(part) < count for part in parts)
