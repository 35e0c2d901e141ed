"""Starts the fork server before `zerofarm up` imports its other parts, because Spaces wait for its imports."""

from __future__ import annotations

from pathlib import Path

from spaces.farm import log_files
from spaces_workers.forkserver import client
from spaces_workers.setup import process_environment
from spaces_workers.up.process import Begun, Command


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
