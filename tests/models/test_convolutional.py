from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv1d

from emoscale.config import parse_settings
from emoscale.config.models import ConvolutionalSettings
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.models.layers import PackedConvolution
from emoscale.models.packed_layout import PackedLayout
from emoscale.models.registry import build_model
from emoscale.runtime.errors import ConfigurationError

DIMENSION, CLASSES = 5, 3


def frames_of(lengths: list[int]) -> torch.Tensor:
    return torch.randn(
        sum(lengths), DIMENSION, generator=torch.Generator().manual_seed(0), requires_grad=True
    )


def padded_convolution(
    frames: torch.Tensor, lengths: list[int], layer: PackedConvolution
) -> torch.Tensor:
    """Convolve each utterance with zero padding by torch."""
    weight, bias = layer.convolution.weight, layer.convolution.bias
    return torch.cat(
        [
            conv1d(utterance.T[None], weight, bias, padding=weight.shape[2] // 2)[0].T
            for utterance in torch.split(frames, lengths)
        ]
    )


@pytest.mark.parametrize("kernel", [1, 3, 9])
@pytest.mark.parametrize("lengths", [[7, 1, 4, 12], [2], [1, 1]])
def test_it_equals_torchs_convolution_of_each_utterance(kernel: int, lengths: list[int]) -> None:
    torch.manual_seed(0)
    layer = PackedConvolution(DIMENSION, 4, kernel)
    ours, theirs = frames_of(lengths), frames_of(lengths)
    convolved = layer(ours, PackedLayout(lengths, torch.device("cpu")))
    expected = padded_convolution(theirs, lengths, layer)
    torch.testing.assert_close(convolved, expected)
    convolved[0].square().sum().backward()  # of the first utterance's first frame
    expected[0].square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_network_of_pepino() -> None:
    """Their public code: two convolutions of one frame with 128 channels and ReLU, mean, linear."""
    settings = ConvolutionalSettings(kind="convolutional", hidden_size=None)
    model = build_model(settings, [InputShape(DIMENSION)], CLASSES).eval()
    lengths, weights = [6, 3], model.state_dict()
    hidden = frames_of(lengths)
    for layer in range(2):
        name = f"convolutions.{layer}.convolution"
        assert weights[f"{name}.weight"].shape[::2] == (128, 1)
        product = hidden @ weights[f"{name}.weight"][:, :, 0].T
        hidden = (product + weights[f"{name}.bias"]).clamp(min=0)
    vectors = torch.stack([frames.mean(dim=0) for frames in torch.split(hidden, lengths)])
    expected = vectors @ weights["classify.weight"].T + weights["classify.bias"]
    torch.testing.assert_close(model(PackedFrames.of(frames_of(lengths), lengths)), expected)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="kernel size must be odd"):
        parse_settings(
            ConvolutionalSettings, {"kind": "convolutional", "layers": [[8, 4]]}, "model"
        )
