"""Starts the fork server before `zerofarm up` imports its other parts, because Spaces wait for its imports."""

from __future__ import annotations

import os
from pathlib import Path

from spaces.farm import log_files
from spaces_workers.forkserver import client
from spaces_workers.sandbox import space_folders
from spaces_workers.sandbox.plan import Sandboxes
from spaces_workers.setup import process_environment
from spaces_workers.up import remains
from spaces_workers.up.process import Begun, Command


def clear_the_way(state_dir: Path, sandboxes: Sandboxes) -> None:
    """End the processes and remove the files of earlier starts. Call it before any process of the farm is started."""
    os.environ[remains.VARIABLE] = remains.of_farm(state_dir)
    remains.end_remains_of_farm(state_dir)
    space_folders.clear_temporary(state_dir)
    sandboxes.remove_groups()


def begin(run_dir: Path, state_dir: Path) -> Begun:
    """Start the fork server; a keeper must take it over. It dies with the calling thread."""
    return Begun.of(command(run_dir, state_dir))


def command(run_dir: Path, state_dir: Path) -> Command:
    """The command that starts it."""
    arguments = client.command(socket_path(run_dir, state_dir))
    return Command(
        arguments,
        process_environment.of_fork_server(),
        log_files.of_process(state_dir, "fork-server"),
    )


def socket_path(run_dir: Path, state_dir: Path) -> Path:
    """The path of its socket."""
    return client.socket_path(run_dir, log_files.folder_of(state_dir))
