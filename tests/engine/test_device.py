"""The device that models run on."""

import pytest
import torch

from auditkit.engine.device import chosen_device
from auditkit.errors import ConfigurationError


def test_the_gpu_is_used_if_there_is_one(monkeypatch):
    monkeypatch.delenv("AUDITKIT_DEVICE", raising=False)
    assert chosen_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv("AUDITKIT_DEVICE", "cpu")
    assert chosen_device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:77", "abacus"])
def test_a_device_that_torch_does_not_have_is_named(monkeypatch, name):
    monkeypatch.setenv("AUDITKIT_DEVICE", name)
    with pytest.raises(ConfigurationError, match=f"AUDITKIT_DEVICE={name} cannot be used"):
        chosen_device()
