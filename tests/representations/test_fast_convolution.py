"""Fast convolutions against the direct one in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from emoscale.representations.fast_convolution import Convolution, short_fourier, toom_cook
from emoscale.representations.wav2vec_long import contextualise_long, encode_long
from emoscale.representations.wav2vec_model import Wav2Vec, Wav2VecArchitecture

CHANNELS = 128


def error_of(output: torch.Tensor, exact: torch.Tensor) -> float:
    return float((output - exact).norm() / exact.norm())


def convolution_of(kernel: int, stride: int = 1, bias: bool = False) -> Convolution:
    torch.manual_seed(kernel)
    return Convolution(CHANNELS, CHANNELS, kernel, stride, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride"), [(8, 4), (4, 2), *((kernel, 1) for kernel in range(2, 14))]
)
def test_a_prepared_convolution_differs_by_rounding_only(
    kernel: int, stride: int, bias: bool
) -> None:
    convolution = convolution_of(kernel, stride, bias)
    direct, fast = [], []
    for frames in (kernel, kernel + 1, 61, 200, 403):
        given = torch.randn(2, CHANNELS, frames)
        given[:, :, frames // 2 :] += 3.0
        exact = functional.conv1d(
            given.double(),
            convolution.weight.double(),
            convolution.bias.double() if convolution.bias is not None else None,
            stride=stride,
        )
        direct.append(error_of(convolution(given), exact))
        prepared = convolution_of(kernel, stride, bias)
        prepared.prepare()
        output = prepared(given)
        assert output.shape == exact.shape
        assert not torch.equal(output, convolution(given))  # another way of computing it
        fast.append(error_of(output, exact))
    print(f"kernel {kernel}, stride {stride}: direct {max(direct):.1e}, fast {max(fast):.1e}")
    assert max(fast) < 2e-6


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 2), (10, 5)])
def test_others_stay_as_they_are_or_are_as_right(kernel: int, stride: int) -> None:
    convolution = convolution_of(kernel, stride)
    given = torch.randn(1, CHANNELS, 100)
    direct = convolution(given)
    convolution.prepare()
    torch.testing.assert_close(convolution(given), direct, rtol=1e-4, atol=1e-5)


def test_few_channels_stay_direct() -> None:
    convolution = Convolution(16, 16, 7).requires_grad_(False)
    given = torch.randn(1, 16, 100)
    direct = convolution(given)
    convolution.prepare()
    assert torch.equal(convolution(given), direct)


def test_there_are_fewer_products_than_taps() -> None:
    algorithms = {2: toom_cook()}
    algorithms |= {taps: short_fourier(16 if taps < 8 else 20, taps) for taps in range(3, 14)}
    for taps, algorithm in algorithms.items():
        outputs, products = algorithm.outputs.shape
        assert algorithm.taps.shape == (products, taps)
        assert algorithm.frames.shape == (products, outputs + taps - 1)
        assert products < 0.7 * outputs * taps


def test_state_dicts_are_not_changed_by_preparation() -> None:
    convolution = convolution_of(8, 4, bias=True)
    before = {name: value.clone() for name, value in convolution.state_dict().items()}
    convolution.prepare()
    assert before.keys() == convolution.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in convolution.state_dict().items())


@torch.inference_mode()
def test_a_prepared_network_gives_the_same_frames_short_and_long() -> None:
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
    assert error_of(fast.encode(waveform), z) < 2e-6
    assert error_of(fast.contextualise(fast.encode(waveform)), c) < 2e-6
    long = encode_long(fast, waveform)
    assert error_of(long, z) < 5e-6
    assert error_of(contextualise_long(fast, long), c) < 5e-6
