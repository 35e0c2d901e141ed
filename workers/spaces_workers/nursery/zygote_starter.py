"""Starts the processes of zygotes, each enclosed: forks where there is a fork server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from spaces.farm import log_files
from spaces_workers.forkserver import client as fork_server
from spaces_workers.forkserver.client import ForkedProcess
from spaces_workers.isolation import MODULE
from spaces_workers.link.channel import Channel
from spaces_workers.link.die_with_starter import tied
from spaces_workers.link.messages import Spawn, ZygoteSpec
from spaces_workers.sandbox.command import enclosed
from spaces_workers.sandbox.description import Sandbox
from spaces_workers.sandbox.plan import Sandboxes
from spaces_workers.setup import process_environment


class ZygoteStarter:
    """For the nursery of a farm. They die with the calling thread, or with the fork server."""

    def __init__(self, run_dir: Path, log_dir: Path, fork_server: Path | None) -> None:
        self._state_dir = log_dir.parent
        self._fork_server = fork_server
        self._sandboxes = Sandboxes(self._state_dir, run_dir)

    def log_of(self, spec: ZygoteSpec) -> Path:
        """The file that a zygote and its children write to."""
        return log_files.of_workers(self._state_dir, spec.space)

    def start(self, spec: ZygoteSpec, channel: Channel) -> subprocess.Popen[bytes] | ForkedProcess:
        """A zygote that has this end of its channel, which must be inheritable."""
        sandbox = self._sandboxes.of_zygote(spec.space, Path(spec.app_file), Path(spec.python))
        environment = process_environment.of_zygote(spec, self._sandboxes.state_of(spec.space))
        return self._forked(spec, channel, environment, sandbox) or self._plain(spec, channel, environment, sandbox)

    def _forked(
        self, spec: ZygoteSpec, channel: Channel, environment: dict[str, str], sandbox: Sandbox | None
    ) -> ForkedProcess | None:
        """A zygote from the fork server, if this host has one and it can fork this Space."""
        if self._fork_server is None:
            return None
        described = sandbox.to_text() if sandbox else ""
        log, python = str(self.log_of(spec)), spec.python if spec.python != sys.executable else ""
        variables = tuple(environment.items())
        spawn = Spawn(spec.app_file, variables, log, is_zygote=True, sandbox=described, python=python)
        return fork_server.fork(self._fork_server, spawn, channel.fileno())

    def _plain(
        self, spec: ZygoteSpec, channel: Channel, environment: dict[str, str], sandbox: Sandbox | None
    ) -> subprocess.Popen[bytes]:
        command = [spec.python, *MODULE, "spaces_workers.zygote.main", str(channel.fileno())]
        with self.log_of(spec).open("ab") as log:
            return subprocess.Popen(
                enclosed(tied(command), sandbox),
                env=environment,
                pass_fds=[channel.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
