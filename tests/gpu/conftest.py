"""A farm on a real GPU. Where there is none, or torch is not built for it, every test here is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import spaces
from spaces_workers.gpu import devices
from spaces_workers.gpu.devices import Device
from tests.harness import Farm, farm

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(scope="session")
def device() -> Device:
    """The first GPU of this machine."""
    gpus = devices.discover()
    if not gpus or version("torch").endswith("+cpu"):
        pytest.skip("needs an NVIDIA GPU and a torch built for it")
    return gpus[0]


@pytest.fixture(scope="module")
def gpu_farm(device: Device, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A broker, a worker on the GPU, and the Space that needs one."""
    with farm(tmp_path_factory.mktemp("farm")) as made:
        made.register("on_gpu")
        made.start_worker("gpu0", gpu=device.uuid)
        yield made


@pytest.fixture
def client(gpu_farm: Farm) -> Iterator[spaces.Farm]:
    """A caller of that Space."""
    with gpu_farm.client("on_gpu") as client:
        yield client
