"""RoBERTa on the codes of vq-wav2vec (Baevski et al. 2020) as a representation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.config.representations import CodeRobertaSettings, VqWav2VecSettings
from emoscale.representations.chunking import half_overlapping_chunks
from emoscale.representations.code_roberta_model import BEGIN, END, UNKNOWN, load_code_roberta
from emoscale.representations.contract import UtteranceFeatures, Waveform
from emoscale.representations.layers import select_layers
from emoscale.representations.vq_wav2vec import VqWav2VecFeatures
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.provenance import digest


class CodeRoberta:
    """Hidden states of RoBERTa, one per frame of vq-wav2vec's codes.

    The codes of a frame form one token. The special tokens <s> and </s> are added for the
    computation, but their hidden states are not stored. Combinations of codes that the dictionary
    lacks become <unk>, as in fairseq. Utterances are computed one at a time; those longer than the
    model's number of positions, in chunks that overlap by half.

    Parameters
    ----------
    settings : CodeRobertaSettings
        Settings of the representation.
    """

    modality: Literal["audio", "text"] = "audio"

    def __init__(self, settings: CodeRobertaSettings) -> None:
        self._codes = VqWav2VecFeatures(
            VqWav2VecSettings(kind="vq_wav2vec", checkpoint=settings.checkpoint, output="codes")
        )
        model = load_code_roberta(settings.model)
        self._token_ids = model.token_ids
        self._check_dictionary(settings)
        network = model.network
        self._selection = select_layers(
            settings.layer, network.config.num_hidden_layers, settings.model
        )
        # The layers above the highest selected hidden state need not be computed.
        network.encoder.layer = network.encoder.layer[: max(1, self._selection.indices[-1])]
        self._network = network
        self._storage_dtype: torch.dtype = getattr(torch, settings.storage_dtype)
        self.dtype: str = settings.storage_dtype
        self._precision: torch.dtype = getattr(torch, settings.precision)
        self._device = torch.device("cpu")
        self._max_frames = model.max_tokens - 2  # without <s> and </s>
        self.layers = self._selection.stored_layers
        self.dimension: int = network.config.hidden_size
        self.frame_rate = self._codes.frame_rate
        self.checkpoint_sha256 = digest(
            {"codes": self._codes.checkpoint_sha256, "model": model.sha256}
        )

    def to(self, device: str) -> None:
        """Move the networks to a device; the quantiser remains in float32 at any precision.

        Parameters
        ----------
        device : str
            "cpu" or "cuda".
        """
        self._device = torch.device(device)
        self._codes.to(device)
        self._network.to(self._device, self._precision)

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[UtteranceFeatures]:
        """Compute the hidden states of each waveform.

        Parameters
        ----------
        batch : sequence of ndarray
            Waveforms ``[samples]`` at 16 kHz.

        Returns
        -------
        list of UtteranceFeatures
            Frames ``[frames, dimension]``, or ``[layers, frames, dimension]``.

        Raises
        ------
        AudioError
            If a waveform is shorter than one frame.
        """
        return [
            self._encode_codes(codes)
            for waveform in batch
            for codes in self._codes.extract([waveform])
        ]

    def _encode_codes(self, codes: NDArray[np.generic]) -> UtteranceFeatures:
        """Compute the features of an utterance from its codes ``[frames, groups]``."""
        tokens = torch.tensor(
            [self._token_ids.get(_symbol(frame_codes), UNKNOWN) for frame_codes in codes]
        )
        chunks = half_overlapping_chunks(len(tokens), self._max_frames)
        outputs = []
        for chunk in chunks:
            states = self._hidden_states(tokens[chunk.start : chunk.stop])
            used = states[:, chunk.first - chunk.start : chunk.last - chunk.start]
            outputs.append(used.to(self._storage_dtype).cpu())
        frames = torch.cat(outputs, dim=1).numpy()
        return UtteranceFeatures(
            frames[0] if self._selection.single else frames, chunks=len(chunks)
        )

    def _hidden_states(self, tokens: torch.Tensor) -> torch.Tensor:
        """Compute ``[layers, frames, dimension]`` of tokens ``[frames]``."""
        begin, end = torch.tensor([BEGIN]), torch.tensor([END])
        sequence = torch.cat([begin, tokens, end])[None].to(self._device)
        output = self._network(sequence, output_hidden_states=True)
        states: torch.Tensor = self._selection.stack(output)
        return states[:, 0, 1:-1]

    def _check_dictionary(self, settings: CodeRobertaSettings) -> None:
        """Refuse the dictionary of another model, with which every frame would be <unk>."""
        codebook = self._codes.codebook
        assert codebook is not None  # since the output is "codes"
        groups, count, _ = codebook.shape
        if not any(_is_symbol_of_codes(symbol, groups, count) for symbol in self._token_ids):
            raise CheckpointError(
                f"{settings.model}: its dictionary has no symbols of {groups} codes below {count} "
                f"joined by hyphens, which are the output of {settings.checkpoint}; name a model "
                "and a checkpoint that were trained together"
            )


def _symbol(codes: NDArray[np.generic]) -> str:
    """Symbol of a frame's codes in the dictionary, such as "17-203"."""
    return "-".join(map(str, codes.tolist()))


def _is_symbol_of_codes(symbol: str, groups: int, count: int) -> bool:
    codes = symbol.split("-")
    return len(codes) == groups and all(code.isdecimal() and int(code) < count for code in codes)
