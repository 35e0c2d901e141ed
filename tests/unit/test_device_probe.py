"""Whether a GPU can be taken, as far as that can be asked where there is none; `tests/gpu` asks a real driver."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import pytest

from spaces_workers.gpu import probe as device_probe
from spaces_workers.gpu.devices import standin
from spaces_workers.gpu.probe import problem_of

GPU = replace(standin(0), kind="gpu")


def has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def test_a_stand_in_can_always_be_taken() -> None:
    assert problem_of(standin(0)) == ""


@pytest.mark.skipif(has_driver(), reason="there is a driver here")
def test_without_a_driver_nothing_can() -> None:
    assert problem_of(GPU).startswith("the NVIDIA driver cannot be loaded: libcuda.so.1")


def test_a_driver_that_says_nothing_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_probe, "_PROBE", "import signal; signal.pause()")
    monkeypatch.setattr(device_probe, "PATIENCE", 0.2)
    assert problem_of(GPU) == "the driver does not answer within 0.2 s"
