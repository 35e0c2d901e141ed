"""Discovery, choice and claims of GPUs, with a fake driver library."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from spaces_workers.gpu.claim import claim
from spaces_workers.gpu.devices import (
    GIB,
    MIB,
    Device,
    DeviceReading,
    GpuError,
    discover,
    driver_version,
    parse_gpus,
    reading,
    standin,
)


class NvmlError(Exception):
    """Base of the fake library's errors, as pynvml.NVMLError is of the real one's."""


class NotFound(NvmlError):
    pass


class NotSupported(NvmlError):
    pass


class LibraryNotFound(NvmlError):
    pass


class DriverNotLoaded(NvmlError):
    pass


@dataclass
class Card:
    """One device of the fake driver; `slices` is None where MIG is not supported, a list where it is enabled."""

    uuid: str
    name: str
    total: int
    used: int = 0
    slices: list[Card | None] | None = None
    parent: Card | None = None


@dataclass
class FakeNvml:
    """As much of pynvml as `spaces_workers.gpu.devices` uses, named as there."""

    cards: list[Card] = field(default_factory=list)
    init_error: Exception | None = None

    NVMLError = NvmlError
    NVMLError_NotFound = NotFound
    NVMLError_NotSupported = NotSupported
    NVMLError_LibraryNotFound = LibraryNotFound
    NVMLError_DriverNotLoaded = DriverNotLoaded
    NVML_DEVICE_MIG_ENABLE = 1
    NVML_TEMPERATURE_GPU = 0

    def nvmlInit(self) -> None:
        if self.init_error is not None:
            raise self.init_error

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.86.15"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        return self.cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Card:
        everything = [*self.cards, *(part for card in self.cards for part in card.slices or [] if part)]
        for card in everything:
            if card.uuid == uuid:
                return card
        raise NotFound(uuid)

    def nvmlDeviceGetMigMode(self, card: Card) -> list[int]:
        if card.slices is None:
            raise NotSupported
        return [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Card) -> int:
        return len(card.slices or [])

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Card, position: int) -> Card:
        part = (card.slices or [])[position]
        if part is None:
            raise NotFound
        return part

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, part: Card) -> Card:
        assert part.parent is not None
        return part.parent

    def nvmlDeviceGetUUID(self, card: Card) -> str:
        return card.uuid

    def nvmlDeviceGetName(self, card: Card) -> str:
        return card.name

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> SimpleNamespace:
        return SimpleNamespace(total=card.total, used=card.used, free=card.total - card.used)

    def nvmlDeviceGetUtilizationRates(self, card: Card) -> SimpleNamespace:
        if card.parent is not None:
            raise NotSupported
        return SimpleNamespace(gpu=71, memory=20)

    def nvmlDeviceGetTemperature(self, card: Card, sensor: int) -> int:
        assert card.parent is None, "a slice has no sensor of its own"
        return 54


Install = Callable[..., FakeNvml]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that puts a fake driver library in the place of the real one."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def put(*cards: Card, init_error: Exception | None = None) -> FakeNvml:
        fake = FakeNvml(list(cards), init_error)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return put


def h200(number: int) -> Card:
    return Card(f"GPU-{number}", "NVIDIA H200", 143_771 * MIB)


def split_h200(number: int) -> Card:
    card = Card(f"GPU-{number}", "NVIDIA H200", 143_771 * MIB)
    parts = [Card(f"MIG-{number}{n}", "NVIDIA H200 MIG 3g.71gb", 71_424 * MIB, parent=card) for n in range(2)]
    card.slices = [parts[0], None, parts[1], None]
    return card


def test_a_whole_h200_serves_both_sizes_and_is_pinned_by_uuid(install: Install) -> None:
    install(h200(0), h200(1))
    assert discover() == [
        Device("GPU-0", 0, "NVIDIA H200", 143_771 * MIB, "gpu", ("large", "xlarge")),
        Device("GPU-1", 1, "NVIDIA H200", 143_771 * MIB, "gpu", ("large", "xlarge")),
    ]
    assert [device.visible_devices for device in discover()] == ["GPU-0", "GPU-1"]
    assert discover()[0].description == "NVIDIA H200, 140.4 GiB"


def test_a_gpu_in_mig_mode_is_replaced_by_its_slices(install: Install) -> None:
    install(split_h200(0), h200(1))
    found = discover()
    assert [(device.uuid, device.index, device.kind, device.sizes) for device in found] == [
        ("MIG-00", 0, "mig", ("large",)),
        ("MIG-01", 0, "mig", ("large",)),
        ("GPU-1", 1, "gpu", ("large", "xlarge")),
    ]


def test_a_gpu_in_mig_mode_without_slices_offers_nothing(install: Install) -> None:
    install(Card("GPU-0", "NVIDIA H200", 143_771 * MIB, slices=[None, None]))
    assert discover() == []


def test_a_small_card_serves_large_and_says_how_little_it_has(install: Install) -> None:
    install(Card("GPU-0", "NVIDIA RTX A6000", 48 * GIB))
    (device,) = discover()
    assert device.sizes == ("large",)
    assert device.description == (
        "NVIDIA RTX A6000, 48.0 GiB, less than the 60 GiB that a Space may expect of size 'large'"
    )


@pytest.mark.parametrize("error", [LibraryNotFound(), DriverNotLoaded()])
def test_a_machine_without_a_driver_has_no_gpus(install: Install, error: Exception) -> None:
    install(init_error=error)
    assert discover() == []
    assert driver_version() is None


def test_a_broken_driver_is_an_error_not_a_machine_without_gpus(install: Install) -> None:
    install(init_error=NvmlError("version mismatch"))
    with pytest.raises(GpuError, match=r"does not work: version mismatch.*--gpus none"):
        discover()


def test_a_stand_in_serves_everything_and_hides_cuda() -> None:
    device = standin(3)
    assert (device.kind, device.index, device.sizes) == ("standin", 3, ("large", "xlarge"))
    assert device.visible_devices == ""
    assert reading(device) is None


def test_readings_come_from_the_device_and_a_slices_temperature_from_its_gpu(install: Install) -> None:
    whole, split = h200(0), split_h200(1)
    whole.used = 3 * GIB
    install(whole, split)
    gpu, mig, _other = discover()
    assert reading(gpu) == DeviceReading(3 * GIB, 143_771 * MIB, 71, 54)
    assert reading(mig) == DeviceReading(0, 71_424 * MIB, None, 54)


def test_a_device_that_is_gone_has_no_reading(install: Install) -> None:
    fake = install(h200(0))
    (device,) = discover()
    fake.cards.clear()
    assert reading(device) is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ["MIG-00", "MIG-01", "GPU-1", "GPU-2"]),
        ("none", []),
        ("2,1", ["GPU-2", "GPU-1"]),
        ("0", ["MIG-00", "MIG-01"]),
        ("MIG-01, GPU-2", ["MIG-01", "GPU-2"]),
    ],
)
def test_gpus_are_chosen_by_number_or_uuid_in_the_order_given(
    install: Install, choice: str, expected: list[str]
) -> None:
    install(split_h200(0), h200(1), h200(2))
    assert [device.uuid for device in parse_gpus(choice, discover())] == expected


@pytest.mark.parametrize(
    ("visible", "expected"), [("1", ["GPU-1"]), ("GPU-1,GPU-0", ["GPU-1", "GPU-0"]), ("", []), ("-1", [])]
)
def test_auto_respects_what_the_operator_made_visible(
    install: Install, monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[str]
) -> None:
    install(h200(0), h200(1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [device.uuid for device in parse_gpus("auto", discover())] == expected


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("0,7", r"--gpus=0,7 asks for GPU '7', which is not here: there are 0 \(NVIDIA H200, GPU-0\)"),
        ("all", r"asks for GPU 'all'"),
        ("0,GPU-0", r"--gpus=0,GPU-0 names GPU 'GPU-0' twice; to share it, give --workers-per-gpu"),
        ("", r"asks for GPU ''"),
    ],
)
def test_a_choice_that_cannot_be_met_names_the_value(install: Install, choice: str, message: str) -> None:
    install(h200(0))
    with pytest.raises(GpuError, match=message):
        parse_gpus(choice, discover())


def test_a_choice_on_a_machine_without_gpus_says_that_there_are_none() -> None:
    with pytest.raises(GpuError, match="asks for GPU '0', which is not here: the driver finds no GPU"):
        parse_gpus("0", [])


def test_workers_claim_different_gpus_and_the_one_too_many_is_told_who_has_them(tmp_path: Path) -> None:
    devices = [standin(0), standin(1)]
    with claim(devices, tmp_path) as first, claim(devices, tmp_path) as second:
        assert [first.device.index, second.device.index] == [0, 1]
        assert first.memory_fraction == 1.0
        with pytest.raises(GpuError, match=r"0 \(CPU stand-in 0, standin-0\) by process \d+ on .*; 1 \(CPU"):
            claim(devices, tmp_path)


def test_a_released_gpu_is_free_again(tmp_path: Path) -> None:
    first = claim([standin(0)], tmp_path)
    first.release()
    first.release()
    with claim([standin(0)], tmp_path) as second:
        assert second.device == standin(0)


def test_shares_of_one_gpu_come_after_one_of_each(tmp_path: Path) -> None:
    devices = [standin(0), standin(1)]
    claims = [claim(devices, tmp_path, shares=2) for _ in range(4)]
    assert [(held.device.index, held.share) for held in claims] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert claims[0].memory_fraction == 0.5
    with pytest.raises(GpuError, match="is taken"):
        claim(devices, tmp_path, shares=2)
    for held in claims:
        held.release()


@pytest.mark.parametrize("shares", [0, -1])
def test_a_share_count_below_one_is_refused(tmp_path: Path, shares: int) -> None:
    with pytest.raises(GpuError, match=f"at least 1 worker, got {shares}"):
        claim([standin(0)], tmp_path, shares)


def test_no_devices_cannot_be_claimed(tmp_path: Path) -> None:
    with pytest.raises(GpuError, match="--gpus none"):
        claim([], tmp_path)


def test_the_kernel_frees_the_gpu_of_a_killed_worker_though_its_child_lives_on(tmp_path: Path) -> None:
    program = (
        "import pathlib, subprocess, sys, threading\n"
        "from spaces_workers.gpu.devices import standin\n"
        "from spaces_workers.gpu.claim import claim\n"
        "held = claim([standin(0)], pathlib.Path(sys.argv[1]))\n"
        "child = subprocess.Popen(['cat'], stdin=sys.stdin, stdout=subprocess.DEVNULL, close_fds=False)\n"
        "print('claimed', flush=True)\n"
        "threading.Event().wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "claimed\n"
        with pytest.raises(GpuError, match=f"process {worker.pid} on"):
            claim([standin(0)], tmp_path)
        worker.kill()
        worker.wait()
        with claim([standin(0)], tmp_path) as held:
            assert held.share == 0
