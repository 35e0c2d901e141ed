"""The options that several commands share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from spaces import config
from spaces.errors import SpacesError
from spaces.role import URL
from spaces_workers.broker.files import BrokerFiles
from spaces_workers.broker.server_settings import SOCKET_PATH_LIMIT
from spaces_workers.commands import number_options
from spaces_workers.joining.membership import joined_url
from spaces_workers.setup.secret_file import secret
from spaces_workers.setup.state_dir import StateDirFault, default_state_dir, usable

#: Bytes of a run directory's path. The rest of a socket's is for the longest name in it, `door-0123456789-lookup.sock`.
LONGEST_RUN_DIR = SOCKET_PATH_LIMIT - 29

RedisUrl: TypeAlias = Annotated[
    str | None,
    typer.Option("--redis-url", metavar="URL", help="The broker: redis://, rediss://, unix:// or redis+socket://."),
]
StateDir: TypeAlias = Annotated[
    Path, typer.Option("--state-dir", help="The folder of the farm's key, its broker's data and its logs.")
]
RunDir: TypeAlias = Annotated[
    Path, typer.Option("--run-dir", help="A folder in this host's shared memory: payloads, sockets, claims.")
]
Gpus: TypeAlias = Annotated[
    str,
    typer.Option(
        "--gpus", metavar="auto|none|LIST", help="GPUs by number or UUID, such as `0,1`; `none` computes on the CPU."
    ),
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        parser=number_options.whole_number("--workers", 1),
        help="Number of workers in all; 1 on the CPU if not given.",
    ),
]
WorkersPerGpu: TypeAlias = Annotated[
    int,
    typer.Option(
        "--workers-per-gpu",
        metavar="N",
        parser=number_options.whole_number("--workers-per-gpu", 1),
        help="Number of workers that share one GPU, each with an equal part of its memory.",
    ),
]
Host: TypeAlias = Annotated[str, typer.Option("--host", help="The address to listen at; 0.0.0.0 for all interfaces.")]
Port: TypeAlias = Annotated[
    int,
    typer.Option(
        "--port", metavar="P", parser=number_options.port("--port"), help="The port to listen at; 0 takes a free one."
    ),
]
NoIsolate: TypeAlias = Annotated[
    bool,
    typer.Option("--no-isolate", help="Run Spaces with the farm's packages and ignore their requirements.txt."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

STATE_DIR = default_state_dir()
RUN_DIR = config.current().run_dir


class NoBroker(SpacesError):
    """No broker is given and no farm runs."""


def broker_url(given: str | None, state_dir: Path) -> str:
    """The broker given by the option, `$ZEROFARM_URL` or `$REDIS_URL`; else the one that runs in `state_dir`.

    Else the one that this host has joined. Raises NoBroker.
    """
    found = given or named_in_environment() or running_broker(state_dir) or joined_url(state_dir)
    if not found:
        raise NoBroker(f"no farm runs in {state_dir}: start one with `zerofarm up`, or give its broker by --redis-url")
    return found


def named_in_environment() -> str | None:
    """The operator's broker, from the environment: $ZEROFARM_URL, $REDIS_URL, or a file that $REDIS_URL_FILE names."""
    return secret(URL) or secret("REDIS_URL") or None


def running_broker(state_dir: Path) -> str | None:
    """The broker that a farm of this state directory has started, if it still runs."""
    files = BrokerFiles(state_dir)
    return files.running_url() if _is_held(files.lock) else None


def _is_held(lock_path: Path) -> bool:
    """Whether the broker of this lock is alive: a killed broker leaves its URL file, but not its lock."""
    try:
        with lock_path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def using(run_dir: Path) -> Iterator[Path]:
    """Within this, this process and those that it starts use the run directory; yields its absolute path."""
    absolute = usable(run_dir, "--run-dir")
    if len(path := os.fsencode(absolute)) > LONGEST_RUN_DIR:
        raise StateDirFault(
            f"{absolute} is too long for the sockets in it: {len(path)} bytes, of at most {LONGEST_RUN_DIR}. "
            "Give a shorter --run-dir"
        )
    before = os.environ.get(config.RUN_DIR)
    os.environ[config.RUN_DIR] = str(absolute)
    host = os.environ.get(config.HOST) or config.default_host(absolute)
    try:
        with config.stand_in(replace(config.current(), run_dir=absolute, host=host)):
            yield absolute
    finally:
        if before is None:
            del os.environ[config.RUN_DIR]
        else:
            os.environ[config.RUN_DIR] = before
