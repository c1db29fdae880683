"""Fast convolutions compared with direct ones in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from emoscale.representations.fast_convolution import (
    Convolution,
    fourier_algorithm,
    toom_cook_algorithm,
)
from emoscale.representations.wav2vec_long import contextualise_long, encode_long
from emoscale.representations.wav2vec_model import Wav2Vec, Wav2VecArchitecture

CHANNELS = 128


def relative_error(output: torch.Tensor, exact: torch.Tensor) -> float:
    return float((output - exact).norm() / exact.norm())


def build_convolution(kernel: int, stride: int = 1, bias: bool = False) -> Convolution:
    torch.manual_seed(kernel)
    return Convolution(CHANNELS, CHANNELS, kernel, stride, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride"), [(8, 4), (4, 2), *((kernel, 1) for kernel in range(2, 14))]
)
def test_prepared_convolution_differs_only_by_rounding(
    kernel: int, stride: int, bias: bool
) -> None:
    convolution = build_convolution(kernel, stride, bias)
    direct, fast = [], []
    for frames in (kernel, kernel + 1, 61, 200, 403):
        inputs = torch.randn(2, CHANNELS, frames)
        inputs[:, :, frames // 2 :] += 3.0
        exact = functional.conv1d(
            inputs.double(),
            convolution.weight.double(),
            convolution.bias.double() if convolution.bias is not None else None,
            stride=stride,
        )
        direct.append(relative_error(convolution(inputs), exact))
        prepared = build_convolution(kernel, stride, bias)
        prepared.prepare()
        output = prepared(inputs)
        assert output.shape == exact.shape
        assert not torch.equal(output, convolution(inputs))  # computed by another algorithm
        fast.append(relative_error(output, exact))
    print(f"kernel {kernel}, stride {stride}: direct {max(direct):.1e}, fast {max(fast):.1e}")
    assert max(fast) < 2e-6


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 2), (10, 5)])
def test_other_convolutions_are_unchanged_by_preparation(kernel: int, stride: int) -> None:
    convolution = build_convolution(kernel, stride)
    inputs = torch.randn(1, CHANNELS, 100)
    direct = convolution(inputs)
    convolution.prepare()
    torch.testing.assert_close(convolution(inputs), direct, rtol=1e-4, atol=1e-5)


def test_convolutions_of_few_channels_remain_direct() -> None:
    convolution = Convolution(16, 16, 7).requires_grad_(False)
    inputs = torch.randn(1, 16, 100)
    direct = convolution(inputs)
    convolution.prepare()
    assert torch.equal(convolution(inputs), direct)


def test_number_of_products() -> None:
    algorithms = {2: toom_cook_algorithm()}
    algorithms |= {taps: fourier_algorithm(16 if taps < 8 else 20, taps) for taps in range(3, 14)}
    for taps, algorithm in algorithms.items():
        outputs, products = algorithm.output_transform.shape
        assert algorithm.weight_transform.shape == (products, taps)
        assert algorithm.input_transform.shape == (products, outputs + taps - 1)
        assert products < 0.7 * outputs * taps


def test_preparation_preserves_the_state_dict() -> None:
    convolution = build_convolution(8, 4, bias=True)
    before = {name: value.clone() for name, value in convolution.state_dict().items()}
    convolution.prepare()
    assert before.keys() == convolution.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in convolution.state_dict().items())


@torch.inference_mode()
def test_prepared_network_has_the_same_output_for_short_and_long_recordings() -> None:
    arguments = {
        "conv_feature_layers": f"[({CHANNELS}, 10, 5), ({CHANNELS}, 8, 4), ({CHANNELS}, 4, 2)]",
        "conv_aggregator_layers": str([(CHANNELS, kernel, 1) for kernel in range(2, 14)]),
        "skip_connections_agg": True,
        "log_compression": True,
    }
    torch.manual_seed(0)
    direct = Wav2Vec(Wav2VecArchitecture.from_arguments(arguments)).eval()
    fast = Wav2Vec(direct.architecture).eval()
    fast.load_state_dict(direct.state_dict())
    fast.prepare()
    waveform = torch.randn(1, 400_000) * 0.1
    z = direct.encode(waveform)
    c = direct.contextualise(z)
    assert relative_error(fast.encode(waveform), z) < 2e-6
    assert relative_error(fast.contextualise(fast.encode(waveform)), c) < 2e-6
    long = encode_long(fast, waveform)
    assert relative_error(long, z) < 5e-6
    assert relative_error(contextualise_long(fast, long), c) < 5e-6
