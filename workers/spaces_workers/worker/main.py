"""A worker: the Celery application of the farm with our pool, pinned to the device that it claims."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spaces import config
from spaces.farm import log_files
from spaces.farm.celery import here
from spaces.farm.celery.celery_app import make_celery
from spaces.farm.connection import connect
from spaces.farm.queue import settings as farm_settings
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry
from spaces.farm.recent import Recent
from spaces.farm.version import VERSION
from spaces.web import descriptors
from spaces_workers.gpu import probe as device_probe
from spaces_workers.gpu.devices import Device, reading
from spaces_workers.link.messages import StandIn
from spaces_workers.link.service_manager import ServiceManager
from spaces_workers.sandbox.description import Level
from spaces_workers.sandbox.level import chosen, in_full
from spaces_workers.setup.farm_key import fingerprint
from spaces_workers.setup.log_level import log_level
from spaces_workers.worker.anticipation import Anticipation
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.dismissal import Dismissal
from spaces_workers.worker.gpu_memory.eviction import Demand, Eviction, Pins
from spaces_workers.worker.gpu_memory.host_listing import HostListing
from spaces_workers.worker.gpu_memory.host_share import host_share, zygote_bytes
from spaces_workers.worker.gpu_memory.residency import Residency
from spaces_workers.worker.gpu_memory.shared_copies import SharedCopies
from spaces_workers.worker.gpu_memory.sleep_choice import budget_of, memory_of, scope_of, stand_in_of
from spaces_workers.worker.gpu_memory.sleepers import level_of
from spaces_workers.worker.gpu_memory.swap_costs import LEVELS
from spaces_workers.worker.heartbeat import Heartbeat
from spaces_workers.worker.pool import TaskPool, pool_of
from spaces_workers.worker.preload import Preloader
from spaces_workers.worker.run.runs import Runs
from spaces_workers.worker.standing import Standing
from spaces_workers.worker.workplace import Workplace
from spaces_workers.worker.zygote_links import Zygotes

logger = logging.getLogger(__name__)

#: Seconds for which Celery's accounts may keep the thread of a run waiting, in place of Python's 5 ms: longer than
#: many a function takes.
SWITCH_INTERVAL = 0.0002

#: Exit code of a worker whose device cannot be used (`EX_UNAVAILABLE` of sysexits.h).
DEVICE_LOST = 69


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The operator's choices for one worker."""

    url: str
    device: Device
    state_dir: Path
    farm_key: bytes
    memory_fraction: float = 1.0
    warm_children: int = 4
    name: str = ""

    @property
    def node_name(self) -> str:
        """The worker's name in Celery and Flower: `gpu0@host`."""
        kind = "cpu" if self.device.kind == "standin" else "gpu"
        return f"{self.name or f'{kind}{self.device.index}'}@{config.current().host}"


def run_worker(options: WorkerOptions) -> int:
    """Run until told to stop, or until the device is lost. Returns the exit code."""
    if problem := device_probe.problem_of(options.device):
        logger.critical("%s cannot be used: %s", options.device.description, problem)
        return DEVICE_LOST
    sys.setswitchinterval(SWITCH_INTERVAL)
    descriptors.raise_limit()
    level = chosen()  # while this process has one thread
    logger.info("%s", in_full(level))
    worker = f"{options.node_name}:{secrets.token_hex(4)}"
    standing = Standing(options.node_name, worker, ServiceManager())
    dismissal = Dismissal(options.url)
    demand, pins, runs = Demand(), Pins(), Runs()
    workplace = _workplace(options, level, Eviction(demand, farm_settings.of_space, pins))
    residency = workplace.residency
    app = _application(options, pool_of(workplace, runs))

    def own_queue() -> Queue:
        return Queue(connect(options.url))

    helpers = (
        Preloader(own_queue, workplace),
        Anticipation(
            own_queue, demand, pins, workplace.prefetch, options.device.sizes, lambda: [run.child for run in runs.all()]
        ),
    )
    heartbeat = Heartbeat(
        own_queue,
        worker,
        info=lambda: _info(options, level, residency, runs),
        on_cancel=runs.cancel,
        on_lease_lost=runs.abandon_all,
        after_beat=standing.look,
        on_refused=dismissal.dismiss,
    )
    here.identify(worker, options.device.name)
    here.set_warmth(residency.warmth)
    for thread in (*helpers, heartbeat):
        thread.start()
    try:
        app.worker_main(_arguments(options))
        return DEVICE_LOST if workplace.device_lost else dismissal.exit_code
    finally:
        standing.leave()
        heartbeat.stop()
        for thread in helpers:
            thread.stop(timeout=0.0)  # a zygote that is being made takes its time


def _workplace(options: WorkerOptions, level: Level, eviction: Eviction) -> Workplace:
    settings, log_dir = config.current(), log_files.folder_of(options.state_dir)
    for folder in (settings.run_dir, log_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stand_in = stand_in_of(farm_settings.current().memory, options.device, settings.run_dir)
    return Workplace(
        settings,
        Queue(connect(options.url)),
        Registry(connect(options.url)),
        options.device,
        farm_key=options.farm_key,
        state_dir=options.state_dir,
        zygotes=Zygotes(settings.run_dir, log_dir),
        residency=_residency(options, stand_in, eviction),
        memory_fraction=options.memory_fraction,
        level=level,
        stand_in=stand_in,
    )


def _residency(options: WorkerOptions, stand_in: StandIn | None, eviction: Eviction) -> Residency:
    memory = memory_of(options.device, options.memory_fraction, stand_in)
    run_dir, log_dir = config.current().run_dir, log_files.folder_of(options.state_dir)
    copies = SharedCopies(HostListing(run_dir, log_dir), scope_of)
    zygotes = Recent(lambda: zygote_bytes(run_dir, log_dir))
    budget = budget_of(
        farm_settings.current().memory,
        options.device,
        options.state_dir,
        lambda: host_share(zygotes(), copies.elsewhere_bytes),
    )
    return Residency(options.warm_children, memory, budget, eviction, copies=copies if budget else None)


def _application(options: WorkerOptions, pool: type[TaskPool]) -> Any:  # Any: celery has no types
    app = make_celery(options.url)
    app.conf.update(
        worker_pool=pool,
        worker_consumer="spaces_workers.worker.consumer:FarmConsumer",
        task_default_queue=f"zerofarm.{options.device.sizes[0]}",
        worker_state_db=None,
    )
    return app


def _arguments(options: WorkerOptions) -> list[str]:
    queues = ",".join(f"zerofarm.{size}" for size in options.device.sizes)
    return [
        "worker",
        f"--hostname={options.node_name}",
        f"--queues={queues}",
        "--concurrency=1",
        f"--loglevel={log_level()}",
        "--without-gossip",
        "--without-mingle",
    ]


def _load_of(device: Device) -> dict[str, int | None]:
    now = reading(device)
    if now is None:
        return {}
    return {"utilization_percent": now.utilization_percent, "temperature_celsius": now.temperature_celsius}


def _info(
    options: WorkerOptions, level: Level, residency: Residency, runs: Runs
) -> dict[str, Any]:  # Any: plain data for people
    return {
        "node": options.node_name,
        "host": config.current().host,
        "run_dir": str(config.current().run_dir.resolve()),
        "separated": level is not Level.NONE,
        "pid": os.getpid(),
        "key": fingerprint(options.farm_key),
        "version": VERSION,
        "device": options.device.name,
        "uuid": options.device.uuid,
        "sizes": list(options.device.sizes),
        "memory_bytes": residency.budget_bytes,
        "held_bytes": residency.held_bytes + sum(child.memory.held_bytes for child in runs.children()),
        "busy": runs.in_words(),
        "warm": sorted(child.spec.space for child in residency.children()),
        "done": runs.done,
        **_load_of(options.device),
        "totals": {f"evicted {how}": number for how, number in residency.host.evictions.items()}
        | {"busy us": round(runs.busy_seconds * 1e6)},
        "residents": [
            [child.spec.space, LEVELS[level_of(child)], child.memory.held_bytes, child.host_bytes]
            for child in _by_space(residency, runs)
        ],
    }


def _by_space(residency: Residency, runs: Runs) -> Iterable[ChildLink]:
    """The child of each Space, once: for a moment after a task a child is both a run's and idle."""
    return {child.spec.space: child for child in (*runs.children(), *residency.children())}.values()
