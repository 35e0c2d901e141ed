"""`zerofarm worker`: one worker alone, for containers and additional hosts."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from spaces.farm.queue import settings
from spaces_workers.commands import options
from spaces_workers.gpu import plan as worker_plan
from spaces_workers.link.leave_with_supervisor import leave_with_parent
from spaces_workers.setup.farm_key import farm_key
from spaces_workers.setup.log_level import log_level
from spaces_workers.setup.state_dir import shared


def worker(
    redis_url: options.RedisUrl = None,
    gpus: options.Gpus = "auto",
    workers_per_gpu: options.WorkersPerGpu = 1,
    name: Annotated[
        str, typer.Option("--name", help="The worker's name in Celery and Flower; derived from its GPU if not given.")
    ] = "",
    state_dir: options.StateDir = options.STATE_DIR,
    run_dir: options.RunDir = options.RUN_DIR,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run one worker on a free GPU of this host.

    It says in one line each that it is ready, that it is drained, and that it takes tasks again; to systemd too.
    """
    from spaces_workers.worker.admission import await_admission
    from spaces_workers.worker.main import WorkerOptions, run_worker

    if supervised:
        leave_with_parent()
    logging.basicConfig(level=log_level(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    state_dir = shared(state_dir)
    settings.share(state_dir)
    url = options.broker_url(redis_url, state_dir)
    with options.using(run_dir) as run_dir:
        claim, named = worker_plan.claim(gpus, workers_per_gpu, run_dir)
        name = name or named
        claim.name(name)
        worker_options = WorkerOptions(
            url=url,
            device=claim.device,
            state_dir=state_dir,
            farm_key=farm_key(state_dir),
            memory_fraction=claim.memory_fraction,
            name=name,
        )
        await_admission(worker_options)
        raise typer.Exit(run_worker(worker_options))
