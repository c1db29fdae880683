"""Settings of self-supervised pre-training on unlabelled speech."""

from __future__ import annotations

import json
import math
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from emoscale.config.corpus import AudformatCorpus, CsvCorpus, ReleaseCorpus, SeveralCorpora
from emoscale.config.representations import SAMPLE_RATE
from emoscale.config.settings import OutputFolder, Settings, UserPath

ConvolutionLayer = tuple[
    Annotated[int, Field(ge=1, le=8192)],
    Annotated[int, Field(ge=1, le=9999)],
    Annotated[int, Field(ge=1, le=9999)],
]
"""Channels, kernel size and stride."""


class FolderSpeech(Settings):
    """All recordings in a folder and its subfolders."""

    reader: Literal["folder"]

    root: UserPath
    """The folder."""

    speaker_pattern: str | None = None
    """Regular expression for a recording's path relative to `root`; its first group is the speaker,
    such as `^([^/]+)/` for a folder per speaker. null: speakers are not known."""

    @field_validator("speaker_pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"is not a regular expression: {error}") from None
            if not groups:
                raise ValueError("has no group; put the speaker in parentheses: ^([^/]+)/")
        return pattern


class DemoSpeech(Settings):
    """Synthetic speech without labels, by voices that the demo corpus does not have."""

    reader: Literal["demo_speech"]

    root: OutputFolder
    """Folder that the speech is generated in; it must be inside `results`."""

    speakers: int = Field(default=12, ge=2, le=200)
    """Number of speakers."""

    utterances_per_speaker: int = Field(default=30, ge=2, le=5000)
    """Utterances of each speaker, of about 3 s."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of the generated speech."""


SpeechSettings = Annotated[
    FolderSpeech | DemoSpeech | ReleaseCorpus | CsvCorpus | AudformatCorpus | SeveralCorpora,
    Field(discriminator="reader"),
]
"""Unlabelled speech: a folder, generated speech, or a corpus whose labels are not read."""


class Wav2VecKeys(Settings):
    """fairseq's settings of wav2vec; the defaults are those of wav2vec_large.

    Dropout, quantisers and the recurrent context network of fairseq are not supported.
    """

    conv_feature_layers: list[ConvolutionLayer] = Field(
        default=[(512, 10, 5), (512, 8, 4), *[(512, 4, 2)] * 3, *[(512, 1, 1)] * 2], min_length=1
    )
    """Layers of the encoder: channels, kernel size, stride."""

    conv_aggregator_layers: list[ConvolutionLayer] = Field(
        default=[(512, kernel, 1) for kernel in range(2, 14)], min_length=1
    )
    """Layers of the context network: channels, kernel size, stride (1)."""

    activation: Literal["relu", "gelu"] = "relu"
    """Activation function."""

    log_compression: bool = True
    """Whether z is log(1 + abs(output of the encoder's last layer))."""

    skip_connections_feat: bool = False
    """Whether the encoder has skip connections."""

    skip_connections_agg: bool = True
    """Whether the context network has skip connections."""

    residual_scale: float = Field(default=0.5, gt=0.0, le=1.0)
    """Square of the factor of sums at skip connections."""

    no_conv_bias: bool = False
    """Whether the context network's convolutions have no bias."""

    agg_zero_pad: bool = False
    """Whether the context network pads with zeros instead of repetitions of the first frame."""

    non_affine_group_norm: bool = False
    """Whether group norms have no weight and no bias."""

    prediction_steps: int = Field(default=12, ge=1, le=200)
    """Number of future frames that each frame predicts."""

    offset: Literal["auto"] | Annotated[int, Field(ge=1, le=200)] = "auto"
    """Distance of the first predicted frame, in frames. auto: the first that shares no sample."""

    num_negatives: int = Field(default=10, ge=0, le=1000)
    """Negatives from the same crop."""

    cross_sample_negatives: int = Field(default=0, ge=0, le=1000)
    """Negatives from all crops of the batch."""

    sample_distance: int | None = Field(default=None, ge=2)
    """Negatives are from the first so many frames of the crop; null: from all."""

    infonce: bool = False
    """Loss. false: logistic regression of the true frame and of each negative (Schneider et al.
    2019). true: softmax over the true frame and the negatives."""

    balanced_classes: bool = False
    """Whether the negatives of a frame together weigh as much as the true frame; without
    infonce."""

    @model_validator(mode="after")
    def _check_negatives(self) -> Wav2VecKeys:
        if not self.num_negatives + self.cross_sample_negatives:
            raise ValueError("num_negatives and cross_sample_negatives are both 0; raise one")
        if self.balanced_classes and not self.num_negatives:
            raise ValueError("balanced_classes needs num_negatives above 0")
        if any(stride != 1 for _, _, stride in self.conv_aggregator_layers):
            raise ValueError("conv_aggregator_layers has a stride other than 1")
        return self

    def arguments(self) -> dict[str, Any]:
        """Return the settings in fairseq's form: layers are the text of a Python list."""
        values = self.model_dump()
        for key in ("conv_feature_layers", "conv_aggregator_layers"):
            values[key] = str([tuple(layer) for layer in values[key]])
        return values


_SMALL_WAV2VEC = Wav2VecKeys(
    conv_feature_layers=[(64, 10, 5), (128, 8, 4), *[(128, 4, 2)] * 3],
    conv_aggregator_layers=[(128, kernel, 1) for kernel in range(2, 10)],
)

WAV2VEC_ARCHITECTURES: Mapping[str, Wav2VecKeys] = {
    "wav2vec_large": Wav2VecKeys(),
    "small": _SMALL_WAV2VEC,
}
"""Architectures by name. small: for a CPU."""


class PretrainingSettings(Settings):
    """Settings of the training, which are those of both objectives."""

    speech: SpeechSettings | None = None
    """The unlabelled speech; necessary unless `steps` is 0."""

    steps: int = Field(ge=0, le=10_000_000)
    """Training steps. 0: the untrained network of this seed, or a copy of `continue_from`."""

    continue_from: UserPath | None = None
    """A name under `checkpoints`, or a path: the weights that the training begins with. null:
    random weights."""

    batch_seconds: float = Field(default=96.0, ge=1.0, le=100_000.0)
    """Audio in a training step, seconds, of all processes together."""

    micro_batch_seconds: float = Field(default=24.0, ge=1.0, le=10_000.0)
    """Audio that is computed at once, seconds: more needs more memory. Negatives are from the same
    part of the batch."""

    crop_seconds: float = Field(default=9.375, ge=0.5, le=120.0)
    """Longer recordings are cut into random crops of this length, seconds (fairseq: 150,000
    samples)."""

    learning_rate: float = Field(default=0.001, gt=0.0, le=1.0)
    """Largest learning rate of Adam; it decays to 0 along a cosine."""

    warmup_steps: int = Field(default=500, ge=0)
    """Steps in which the learning rate grows linearly from 0."""

    weight_decay: float = Field(default=0.0, ge=0.0, le=1.0)
    """Weight decay of AdamW."""

    gradient_clip: float | None = Field(default=None, gt=0.0)
    """Largest norm of the gradient; null: no limit."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Number type of the products. bfloat16 is faster on GPUs and on CPUs with instructions for it
    (`lscpu` shows avx512_bf16 or amx_bf16), and many times slower on other CPUs."""

    held_out: float = Field(default=0.05, gt=0.0, lt=1.0)
    """Share of the speakers, or of the recordings where speakers are not known, that only measure
    the loss."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of weights, crops and negatives."""

    representation: ClassVar[str]
    """Kind of the representations that read the result."""

    weights: ClassVar[str]
    """Path of the result in the checkpoint's folder, as representations read it."""

    @model_validator(mode="after")
    def _check_speech(self) -> PretrainingSettings:
        if self.steps and self.speech is None:
            raise ValueError("steps above 0 need speech")
        if 0 < self.steps <= self.warmup_steps:
            raise ValueError(
                f"warmup_steps ({self.warmup_steps}) is not below steps ({self.steps}); lower it"
            )
        return self

    @property
    def parts(self) -> int:
        """Number of parts that a step's batch is split into."""
        return math.ceil(self.batch_seconds / self.micro_batch_seconds)

    @property
    def part_seconds(self) -> float:
        """Audio in a part, seconds: at most `micro_batch_seconds`."""
        return self.batch_seconds / self.parts

    def network(self) -> dict[str, Any]:
        """Return the settings of the untrained network."""
        return self.model_dump(mode="json", include={"pretrain", "architecture", "seed"})

    @abstractmethod
    def operations_per_second(self) -> float:
        """Return the floating-point operations of training on a second of speech, roughly."""


class Wav2VecPretraining(PretrainingSettings):
    """wav2vec (Schneider et al. 2019) that the study pre-trains."""

    pretrain: Literal["wav2vec"]

    representation: ClassVar[str] = "wav2vec"
    weights: ClassVar[str] = "model/wav2vec.pt"

    architecture: Literal["small", "wav2vec_large"] | Wav2VecKeys = "small"
    """Network and objective: a name, or fairseq's settings, where those that are not stated are
    wav2vec_large's."""

    def keys(self) -> Wav2VecKeys:
        """Return fairseq's settings."""
        if isinstance(self.architecture, str):
            return WAV2VEC_ARCHITECTURES[self.architecture]
        return self.architecture

    def operations_per_second(self) -> float:
        """Return the floating-point operations of training on a second of speech, roughly.

        Returns
        -------
        float
            Those of all convolutions and of the predictions, forward and backward.
        """
        keys = self.keys()
        products, rate, in_channels = 0.0, float(SAMPLE_RATE), 1
        for channels, kernel, stride in [*keys.conv_feature_layers, *keys.conv_aggregator_layers]:
            rate /= stride
            products += in_channels * channels * kernel * rate
            in_channels = channels
        products += in_channels * keys.conv_feature_layers[-1][0] * keys.prediction_steps * rate
        return 6 * products  # a product and a sum, and twice as much backward


_WAV2VEC2_PRETRAINING: Mapping[str, Any] = {
    "mask_time_prob": 0.65,
    # Every process must compute gradients of every layer.
    "layerdrop": 0.0,
}
"""Where pre-training differs from `Wav2Vec2Config`, whose values are for fine-tuning."""

_WAV2VEC2_FIXED: Mapping[str, Any] = {
    "layerdrop": 0.0,
    "mask_feature_prob": 0.0,
    "apply_spec_augment": True,
    "add_adapter": False,
}
"""Keys with one possible value: others would leave weights without gradients, take random numbers
from numpy's global state, mask nothing, or change the number of frames."""

WAV2VEC2_ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "base": _WAV2VEC2_PRETRAINING,
    "small": {
        **_WAV2VEC2_PRETRAINING,
        "conv_dim": [64, 64, 64, 128, 128, 128, 128],
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        # Wav2Vec2Config's 0.02 is for a hidden size of 768.
        "initializer_range": 0.05,
        "num_conv_pos_embeddings": 64,
        "num_conv_pos_embedding_groups": 8,
        "num_codevectors_per_group": 64,
        "codevector_dim": 64,
        "proj_codevector_dim": 64,
        "num_negatives": 50,
        "hidden_dropout": 0.0,
        "activation_dropout": 0.0,
        "attention_dropout": 0.0,
    },
}
"""Architectures by name: keys of transformers' `Wav2Vec2Config` that differ from its values. small:
for a CPU."""


_WAV2VEC2_SIZES: Mapping[str, Any] = {
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "intermediate_size": 3072,
}
"""Values of `Wav2Vec2Config` from which the amount of work is estimated."""


def _check_sizes(values: Mapping[str, Any]) -> None:
    """Check the values that the estimate needs; transformers checks all when it builds a network.

    transformers is not imported, because planning must be fast.
    """
    for key, default in _WAV2VEC2_SIZES.items():
        value = values[key]
        numbers = value if isinstance(default, list) and isinstance(value, list) else [value]
        is_list = isinstance(value, list) == isinstance(default, list)
        if not is_list or not all(type(number) is int and number > 0 for number in numbers):
            expected = "a list of numbers" if isinstance(default, list) else "a number"
            raise ValueError(f"{key} is {value}; it must be {expected} above 0")
    keys = ("conv_dim", "conv_kernel", "conv_stride")
    layers = [len(values[key]) for key in keys]
    if len(set(layers)) > 1:
        raise ValueError(
            "conv_dim, conv_kernel and conv_stride have {}, {} and {} layers; give each the same "
            "number".format(*layers)
        )


class Wav2Vec2Pretraining(PretrainingSettings):
    """wav2vec 2.0 (Baevski et al. 2020) that the study pre-trains."""

    pretrain: Literal["wav2vec2"]

    representation: ClassVar[str] = "transformers_audio"
    weights: ClassVar[str] = "model"

    architecture: Literal["small", "base"] | dict[str, Any] = "small"
    """Network and objective: a name, or keys of transformers' `Wav2Vec2Config`, where those that
    are not stated are the base model's."""

    @field_validator("architecture")
    @classmethod
    def _check_architecture(cls, architecture: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(architecture, dict):
            for key, value in _WAV2VEC2_FIXED.items():
                if architecture.get(key, value) != value:
                    raise ValueError(f"{key} must be {json.dumps(value)} in pre-training")
            _check_sizes({**_WAV2VEC2_SIZES, **architecture})
        return architecture

    def configuration(self) -> dict[str, Any]:
        """Return the arguments of transformers' `Wav2Vec2Config`."""
        if isinstance(self.architecture, str):
            return dict(WAV2VEC2_ARCHITECTURES[self.architecture])
        return {**WAV2VEC2_ARCHITECTURES["base"], **self.architecture}

    def operations_per_second(self) -> float:
        """Return the floating-point operations of training on a second of speech, roughly.

        Returns
        -------
        float
            Those of the convolutions and of the transformer's products, forward and backward.
        """
        values = {**_WAV2VEC2_SIZES, **self.configuration()}
        products, rate, in_channels = 0.0, float(SAMPLE_RATE), 1
        layers = (values[key] for key in ("conv_dim", "conv_kernel", "conv_stride"))
        for channels, kernel, stride in zip(*layers, strict=True):
            rate /= stride
            products += in_channels * channels * kernel * rate
            in_channels = channels
        hidden = values["hidden_size"]
        layer = 4 * hidden**2 + 2 * hidden * values["intermediate_size"]
        return 6.0 * float(products + values["num_hidden_layers"] * layer * rate)
