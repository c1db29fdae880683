"""Names of devices."""

from __future__ import annotations

import pytest
import torch

from emoscale.runtime.devices import device_name


def test_the_name_of_a_gpu_has_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA L4")
    assert device_name(torch.device("cuda")) == "cuda (NVIDIA L4)"
    assert device_name(torch.device("cpu")) == "cpu"
