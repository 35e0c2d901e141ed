"""The fork server: it imports the heavy libraries once and forks web processes and zygotes of Spaces from there.

`zerofarm up` starts it as `python -m spaces_workers.forkserver.server PATH`, where PATH is that of its socket. It runs
no code of a Space, holds no secret, stays single-threaded, and collects its garbage once: forks share its pages until
they write to them.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from spaces import config, emulation, script
from spaces.farm.values import preloaded_modules
from spaces.servers import page_socket
from spaces_workers import forkserver
from spaces_workers.forkserver import newborn, own_environment
from spaces_workers.forkserver.libraries import Preloaded, preload
from spaces_workers.forkserver.plain_start import plain_reason
from spaces_workers.forkserver.process_name import name_process
from spaces_workers.forkserver.rehearsal import rehearse
from spaces_workers.isolation import MODULE
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.foster_children import FosterChildren
from spaces_workers.link.kill_on_close import carried_by, die_with
from spaces_workers.link.listener import accept, listen
from spaces_workers.link.messages import Exited, Refused, Spawn, Spawned
from spaces_workers.zygote import main as zygote

logger = logging.getLogger(forkserver.__name__)


class ForkServer:
    """Forks on request. Each connection is for one process: its start, and its end."""

    def __init__(self, listener: socket.socket, preloaded: Preloaded) -> None:
        self._preloaded = preloaded
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._processes: dict[int, bool] = {}  #: whether each is a zygote, by pid
        self._children = FosterChildren(self._selector, lambda: set(self._processes))

    def serve(self) -> NoReturn:
        """Answer for ever; the process ends by a signal, or with the nursery."""
        emulation.tracked()  # none: so no fork has to look among the objects that are frozen here
        preloaded_modules.note()
        gc.collect()
        gc.freeze()
        while True:
            for key, _ in self._selector.select():
                key.data(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        if (sock := accept(listener)) is not None:
            self._selector.register(Channel(sock), selectors.EVENT_READ, self._hear)

    def _hear(self, starter: Channel) -> None:
        try:
            match starter.receive_arrived_with_fd():
                case None:
                    pass
                case Spawn() as spawn, int(fd):
                    self._spawn(starter, spawn, fd)
                case _:
                    raise ChannelClosed("it asked for something that a fork server does not do")
        except ChannelClosed:
            self._selector.unregister(starter)
            starter.close()

    def _spawn(self, starter: Channel, spawn: Spawn, fd: int) -> None:
        reason = plain_reason(Path(spawn.app_file), dict(spawn.environment), self._preloaded)
        if spawn.python and not reason:
            reason = own_environment.plain_reason(Path(spawn.python), self._preloaded)
        if reason:
            os.close(fd)
            starter.send(Refused(reason))
            return
        pid = os.fork()
        if pid == 0:
            self._become(spawn, fd)
        os.close(fd)
        self._processes[pid] = spawn.is_zygote
        pidfd = os.pidfd_open(pid)
        self._selector.register(pidfd, selectors.EVENT_READ, lambda _: self._bury(pid, pidfd, starter))
        starter.send(Spawned(pid))

    def _become(self, spawn: Spawn, fd: int) -> NoReturn:
        self._selector.close()
        space = dict(spawn.environment).get(config.SPACE, "")
        program = ("spaces_workers.zygote.main", space) if spawn.is_zygote else ("spaces.script", spawn.app_file)
        name_process([*MODULE, *program])
        newborn.begin(spawn, keep={fd})
        if spawn.is_zygote:
            newborn.live(lambda: zygote.run(Channel.from_fd(fd)))
        if (page := carried_by(fd)) is not None:
            page_socket.inherit(page)
        die_with(fd)
        newborn.live(lambda: script.run(Path(spawn.app_file)))

    def _bury(self, pid: int, pidfd: int, starter: Channel) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        try:
            os.killpg(pid, signal.SIGKILL)  # before its id is given to another process
        except (ProcessLookupError, PermissionError):
            pass
        _, status, used = os.wait4(pid, 0)
        if self._processes.pop(pid):
            self._children.adopt()
        else:
            self._children.end_orphans()
        try:
            starter.send(Exited(pid, os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024))
        except ChannelClosed:
            pass  # nobody is left to hear it


def main() -> NoReturn:
    """Import the libraries, then serve."""
    name_process([*MODULE, "spaces_workers.forkserver.server", sys.argv[1]])
    _log()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    path = Path(sys.argv[1])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = listen(path)
    emulation.install()
    preloaded = preload()
    rehearse()
    logger.info("%d modules are imported", len(sys.modules))
    ForkServer(listener, preloaded).serve()


def _log() -> None:
    """By a logger of its own: the root logger stays as a Space expects it."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s fork server: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


if __name__ == "__main__":
    main()
