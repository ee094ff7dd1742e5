"""One place that chooses the device and knows which process this is."""

import pytest
import torch

from tokenformer import devices
from tokenformer.errors import UserError


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.setattr(devices, "_used", None)


@pytest.mark.parametrize(("has_gpu", "expected"), [(False, "cpu"), (True, "cuda")])
def test_the_default_is_a_gpu_where_there_is_one(has_gpu, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert devices.default_device() == devices.choose_device() == expected
    assert devices.choose_device("cpu") == "cpu"
    devices.use_device("cpu")
    assert devices.default_device() == "cpu"


@pytest.mark.parametrize(("device", "named"), [("cuda", "no GPU"), ("abacus", "choose cpu or cuda")])
def test_a_device_that_is_not_there_is_refused(device, named, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=named):
        devices.choose_device(device)


def test_the_place_among_processes_is_what_torchrun_says(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (devices.process_rank(), devices.process_count()) == (0, 1)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (devices.process_rank(), devices.process_count()) == (3, 4)
