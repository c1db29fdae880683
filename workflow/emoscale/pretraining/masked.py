"""wav2vec 2.0's objective (Baevski et al. 2020): tell masked frames from distractors.

Spans of the encoder's frames are masked. At each masked frame the transformer's output is compared,
by cosine similarity, with the quantised true frame and with negatives: quantised masked frames of
the same crop. Network, loss, masks and negatives are those of transformers.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.config.pretraining import Wav2Vec2Pretraining as Wav2Vec2Settings
from emoscale.pretraining.contrastive import ObjectiveSum
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transformers_models import load_network, loading_error
from emoscale.runtime.errors import CheckpointError, ConfigurationError

_OUTPUT_KEYS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "do_stable_layer_norm",
    "feat_extract_norm",
    "feat_extract_activation",
    "conv_dim",
    "conv_stride",
    "conv_kernel",
    "conv_bias",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "num_codevector_groups",
    "num_codevectors_per_group",
    "codevector_dim",
    "proj_codevector_dim",
    "add_adapter",
    "adapter_attn_dim",
)
"""Keys of `Wav2Vec2Config` that determine the weights and what is computed from them; all others
concern training."""


class MaskSample(NamedTuple):
    """The random choices for a batch."""

    mask: Tensor
    """``[batch, frames]``, whether a frame is masked."""

    negatives: Tensor
    """``[batch, frames, negatives]``, indices into the batch's frames ``[batch * frames]``; those
    of frames that are not masked have no meaning."""

    def to(self, device: torch.device) -> MaskSample:
        """Move the tensors to a device.

        Parameters
        ----------
        device : device
            The device.

        Returns
        -------
        MaskSample
            Tensors on the device.
        """
        return MaskSample(self.mask.to(device), self.negatives.to(device))


def build_network(settings: Wav2Vec2Settings, initial: Path | None) -> Wav2Vec2Pretraining:
    """Build a network with random weights of the seed, or with those of a model.

    Parameters
    ----------
    settings : Wav2Vec2Pretraining
        Settings of the checkpoint.
    initial : Path or None
        Folder of a `Wav2Vec2ForPreTraining` to continue from.

    Returns
    -------
    Wav2Vec2Pretraining
        The network, on the CPU.

    Raises
    ------
    CheckpointError
        If the model cannot be loaded, or has another architecture.
    ConfigurationError
        If the architecture is not possible.
    """
    torch.manual_seed(settings.seed)
    network = Wav2Vec2Pretraining(settings.configuration())
    if initial is not None:
        network.load(str(initial))
    return network


def write_model(folder: Path, network: Wav2Vec2Pretraining, settings: Wav2Vec2Settings) -> None:
    """Write a network in the format of transformers; equal weights give equal bytes.

    Parameters
    ----------
    folder : Path
        An existing folder.
    network : Wav2Vec2Pretraining
        The network.
    settings : Wav2Vec2Pretraining
        Settings of the checkpoint.
    """
    network.save(folder)


def gumbel_temperature(step: int) -> float:
    """Return the temperature of the quantiser's Gumbel softmax, as Baevski et al. 2020.

    Parameters
    ----------
    step : int
        Steps completed before.

    Returns
    -------
    float
        Temperature.

    Examples
    --------
    >>> [round(gumbel_temperature(step), 3) for step in (0, 100_000, 400_000)]
    [2.0, 1.213, 0.5]
    """
    return max(2.0 * 0.999995**step, 0.5)


class Wav2Vec2Pretraining(nn.Module):
    """wav2vec 2.0 with the layers that only pre-training uses.

    Parameters
    ----------
    configuration : mapping of str to Any
        Keys of transformers' `Wav2Vec2Config`, for which `layerdrop` is 0.

    Raises
    ------
    ConfigurationError
        If `Wav2Vec2Config` has no such key, or there is no such network.
    """

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        super().__init__()
        _check_keys(configuration)
        library = _transformers()
        try:
            self._config = library.Wav2Vec2Config(**configuration)
            self.network = library.Wav2Vec2ForPreTraining(self._config)
        except Exception as error:  # transformers and torch raise many types for wrong values
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip(" .")
            raise ConfigurationError(
                f"architecture of wav2vec2 is not possible: {reason}"
            ) from error
        for key in ("mask_time_prob", "mask_time_length", "num_negatives"):
            if getattr(self._config, key) <= 0:
                raise ConfigurationError(
                    f"architecture of wav2vec2: {key} is {getattr(self._config, key)}; it must be "
                    "above 0 in pre-training"
                )
        self._normalise = True

    @property
    def minimum_samples(self) -> int:
        """Samples of the shortest crop: masked frames, and one that is not masked."""
        frames = self._minimum_spans * self._config.mask_time_length + 1
        layers = zip(self._config.conv_kernel, self._config.conv_stride, strict=True)
        for kernel, stride in reversed(list(layers)):
            frames = (frames - 1) * stride + kernel
        return int(frames)

    @property
    def _minimum_spans(self) -> int:
        """Number of masked spans without which a masked frame has no negative."""
        return 1 if self._config.mask_time_length > 1 else 2

    def _frame_count(self, samples: int) -> int:
        for kernel, stride in zip(self._config.conv_kernel, self._config.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples

    @property
    def chance(self) -> float:
        """Share of masked frames whose true vector is nearest by chance, if all differ."""
        return 1 / (1 + int(self._config.num_negatives))

    def set_step(self, step: int) -> None:
        """Set the temperature of the Gumbel softmax for a training step.

        Parameters
        ----------
        step : int
            Steps completed before.
        """
        self.network.set_gumbel_temperature(gumbel_temperature(step))

    def sample(self, batch: int, samples: int, generator: torch.Generator) -> MaskSample:
        """Sample what a batch needs besides its waveforms: masks and negatives.

        Parameters
        ----------
        batch : int
            Number of crops.
        samples : int
            Samples of each crop.
        generator : Generator
            Source of randomness.

        Returns
        -------
        MaskSample
            Masks, in which each crop has equally many spans, and negatives.

        Raises
        ------
        ConfigurationError
            If the crops are too short for a mask.
        """
        if samples < self.minimum_samples:
            raise ConfigurationError(
                f"a crop of {samples} samples is shorter than the {self.minimum_samples} that a "
                "mask of wav2vec2 needs; raise crop_seconds, or lower mask_time_length"
            )
        config, shape = self._config, (batch, self._frame_count(samples))
        modelling = _modelling()
        seed = int(torch.randint(2**32, (), generator=generator))
        with _numpy_seed(seed):
            mask = modelling._compute_mask_indices(
                shape,
                config.mask_time_prob,
                config.mask_time_length,
                min_masks=max(config.mask_time_min_masks, self._minimum_spans),
            )
            negatives = modelling._sample_negative_indices(shape, config.num_negatives, mask)
        return MaskSample(torch.from_numpy(mask), torch.from_numpy(negatives).long())

    def forward(self, waveforms: Tensor, sampled: MaskSample) -> ObjectiveSum:
        """Compute the objective of a batch of crops.

        Parameters
        ----------
        waveforms : Tensor
            ``[batch, samples]`` at 16 kHz.
        sampled : MaskSample
            What `sample` returned.

        Returns
        -------
        ObjectiveSum
            Sums over the masked frames; the loss is the contrastive loss plus the weighted
            diversity loss.
        """
        if self._normalise:
            waveforms = normalise(waveforms)
        output = self.network(
            waveforms,
            mask_time_indices=sampled.mask,
            sampled_negative_indices=sampled.negatives,
        )
        first = self._count_first(
            output.projected_states.detach(), output.projected_quantized_states.detach(), sampled
        )
        return ObjectiveSum(output.loss, int(sampled.mask.sum()), first)

    @torch.no_grad()
    def _count_first(self, states: Tensor, quantised: Tensor, sampled: MaskSample) -> Tensor:
        """Count the masked frames whose true vector is nearest to the prediction.

        Negatives equal to the true vector are no candidates, as in the loss. Without any other
        candidate a frame does not count, or a collapsed codebook would seem perfect.
        """
        true = quantised[sampled.mask].float()
        negatives = sampled.negatives[sampled.mask].T  # [negatives, masked frames]
        others = quantised.flatten(0, 1).float()[negatives]
        similarity = self.network.compute_contrastive_logits(
            true[None], others, states[sampled.mask].float()
        )
        differs = (others != true).any(dim=2)
        is_lower = similarity[1:] < similarity[:1]
        first: Tensor = (is_lower | ~differs).all(dim=0) & differs.any(dim=0)
        return first.sum()

    def save(self, folder: Path) -> None:
        """Write the model in the format of transformers, which `transformers_audio` reads.

        Parameters
        ----------
        folder : Path
            The folder; equal weights give equal bytes.
        """
        self.network.save_pretrained(folder)
        _transformers().Wav2Vec2FeatureExtractor(
            do_normalize=self._normalise,
            return_attention_mask=self._config.feat_extract_norm == "layer",
        ).save_pretrained(folder)

    def load(self, name: str) -> None:
        """Load the weights of a model, from which training continues.

        Parameters
        ----------
        name : str
            Folder of a `Wav2Vec2ForPreTraining`, or its name on the hub if it is in the local
            cache.

        Raises
        ------
        CheckpointError
            If the model cannot be loaded, is no wav2vec 2.0 with the layers of pre-training, or has
            another architecture than this network.
        """
        library = _transformers()
        if Path(name).is_file():
            raise CheckpointError(
                f"{name} is a file; wav2vec2 continues from a folder in the format of transformers"
            )
        try:
            config = library.AutoConfig.from_pretrained(name, trust_remote_code=False)
            preprocessor = library.AutoFeatureExtractor.from_pretrained(
                name, trust_remote_code=False
            )
        except Exception as error:  # transformers raises many types
            raise loading_error(name, "a wav2vec 2.0", error) from error
        self._check_architecture(name, config)
        if preprocessor.sampling_rate != SAMPLE_RATE:
            raise CheckpointError(
                f"{name} expects audio at {preprocessor.sampling_rate} Hz; wav2vec2 is trained "
                f"with {SAMPLE_RATE} Hz"
            )
        loaded = load_network(
            name,
            copy.deepcopy(self._config),
            torch.float32,
            "a wav2vec 2.0",
            (),
            "AutoModelForPreTraining",
        )
        self.network.load_state_dict(loaded.state_dict())
        self._normalise = bool(preprocessor.do_normalize)

    def _check_architecture(self, name: str, config: Any) -> None:
        if config.model_type != self._config.model_type:
            raise CheckpointError(
                f"{name} is a model of the type {config.model_type}; wav2vec2 continues from "
                f"{self._config.model_type} only"
            )
        for key in _OUTPUT_KEYS:
            theirs, ours = (_plain(getattr(each, key)) for each in (config, self._config))
            if theirs != ours:
                raise CheckpointError(
                    f"{name} has another architecture: its {key} is {theirs}, that of the "
                    f"configuration {ours}; state its architecture, or continue from another model"
                )


def normalise(waveforms: Tensor) -> Tensor:
    """Scale each waveform to mean 0 and variance 1, as transformers' preprocessor.

    Parameters
    ----------
    waveforms : Tensor
        ``[batch, samples]``.

    Returns
    -------
    Tensor
        Scaled waveforms, of the same shape.
    """
    centred = waveforms - waveforms.mean(dim=1, keepdim=True)
    variance = centred.var(dim=1, correction=0, keepdim=True)
    return centred / torch.sqrt(variance + 1e-7)


@contextlib.contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed numpy's global state, and restore it at the end."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def _check_keys(configuration: Mapping[str, Any]) -> None:
    library = _transformers()
    general = {field.name for field in dataclasses.fields(library.PreTrainedConfig)}
    known = [
        field.name
        for field in dataclasses.fields(library.Wav2Vec2Config)
        if field.name not in general
    ]
    for key in configuration:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            raise ConfigurationError(
                f"architecture of wav2vec2: unknown key {key}; did you mean {near[0]}?"
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _transformers() -> Any:
    """Import transformers as an untyped module, since its types are incomplete."""
    import_torchaudio()  # before transformers, which fails with a CPU build of torch otherwise
    import transformers

    library: Any = transformers
    library.utils.logging.disable_progress_bar()
    library.utils.logging.set_verbosity_error()  # the causes of its warnings are checked above
    return library


def _modelling() -> Any:
    """Import the module of transformers with wav2vec 2.0's masks and negatives."""
    _transformers()
    from transformers.models.wav2vec2 import modeling_wav2vec2

    return modeling_wav2vec2
