"""`zerofarm ping`: whether the workers of this machine, or of this container, still hear; for health checks."""

from __future__ import annotations

from typing import Annotated

import typer

from spaces import config
from spaces.errors import SpacesError
from spaces.farm.celery.celery_app import make_celery
from spaces_workers.commands import options
from spaces_workers.commands.broker_errors import naming_broker
from spaces_workers.gpu.claim import workers_here


class WorkerSilent(SpacesError):
    """A worker does not answer, or there is none."""


def ping(
    redis_url: options.RedisUrl = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="Wait at most this long.")] = 5.0,
    state_dir: options.StateDir = options.STATE_DIR,
    run_dir: options.RunDir = options.RUN_DIR,
) -> None:
    """Ask the workers that run here whether they hear; fails if one does not, or if there is none."""
    url = options.broker_url(redis_url, state_dir)
    with options.using(run_dir) as run_dir:
        names = [f"{name}@{config.current().host}" for name in workers_here(run_dir)]
    if not names:
        raise WorkerSilent("no worker runs here; one that is starting answers in a few seconds")
    with naming_broker(url):
        answers = make_celery(url).control.ping(names, timeout=timeout, limit=len(names))
    heard = {name for answer in answers for name in answer}
    for name in sorted(heard):
        print(f"{name} answers")
    if silent := sorted(set(names) - heard):
        raise WorkerSilent(f"{', '.join(silent)} did not answer within {timeout:g} s: restart, if that lasts")
