"""The fork server: it imports the heavy libraries once and forks web processes and zygotes of Spaces from there.

`zerofarm up` starts it as `python -m spaces_workers.forkserver.server PATH`, where PATH is that of its socket. It runs
no code of a Space, holds no secret, stays single-threaded, and freezes what it has: forks share its pages until they
write to them. At its start a Space is forked as soon as the libraries that it names are imported.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from spaces import config, emulation, import_shortcuts, script
from spaces.farm import log_lines
from spaces.farm.values import preloaded_modules
from spaces.import_hooks import when_imported
from spaces.import_progress import BEGUN, FOLLOWED
from spaces.servers import late_apps, page_socket
from spaces_workers import forkserver
from spaces_workers.forkserver import newborn, own_environment, set_anew
from spaces_workers.forkserver.libraries import Preloading
from spaces_workers.forkserver.plain_start import named_libraries, named_variables, plain_reason
from spaces_workers.forkserver.process_name import name_process
from spaces_workers.forkserver.rehearsal import rehearse
from spaces_workers.forkserver.requests import Request, forkable
from spaces_workers.isolation import MODULE
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.foster_children import FosterChildren
from spaces_workers.link.kill_on_close import carried_by, die_with
from spaces_workers.link.listener import accept, listen
from spaces_workers.link.messages import Exited, Refused, Spawn, Spawned

logger = logging.getLogger(forkserver.__name__)

#: The program of a zygote. It is imported after the libraries, because no page needs it.
ZYGOTE = "spaces_workers.zygote.main"


class ForkServer:
    """Forks on request. Each connection is for one process: its start, and its end."""

    def __init__(self, listener: socket.socket, preloading: Preloading) -> None:
        self._preloading = preloading
        self._preloaded = preloading.preloaded
        self._waiting: list[Request] = []  #: until their libraries are imported
        self._rehearsed: set[str] = set()
        self._is_settled = False  #: nothing was imported since the last fork was made possible
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._processes: dict[int, bool] = {}  #: whether each is a zygote, by pid
        self._children = FosterChildren(self._selector, lambda: set(self._processes))

    def serve(self) -> NoReturn:
        """Import the libraries, and answer for ever; the process ends by a signal, or with the nursery."""
        gc.disable()  # a fifth of the time of an import goes into looking for garbage that is not there
        self._preloading.complete()
        while self._import_next():
            self._answer()
        import_module(ZYGOTE)
        gc.enable()
        gc.collect()
        self._settle()
        logger.info("%d modules are imported", len(sys.modules))
        while True:
            self._answer()
            self._hear_all(None)

    def _import_next(self) -> bool:
        """Import one library. Returns whether there was one."""
        while self._hear_all(0.0):
            pass
        self._is_settled = False
        if not self._preloading.import_next([request.named for request in self._waiting], self._tell):
            return False
        rehearse(self._rehearsed)
        return True

    def _tell(self, library: str) -> None:
        """Tell those who wait what is imported now, in the logs of their Spaces."""
        logger.info("imports %s", library)
        for spawn in [request.spawn for request in self._waiting]:
            if FOLLOWED in dict(spawn.environment):
                with suppress(OSError), open(spawn.log, "a") as log:
                    log.write(f"{log_lines.marked(BEGUN)}{library}\n")

    def _hear_all(self, patience: float | None) -> bool:
        """Hear those that have something to say. Returns whether there were any."""
        heard = self._selector.select(patience)
        for key, _ in heard:
            key.data(key.fileobj)
        return bool(heard)

    def _answer(self) -> None:
        """Fork the processes of Spaces whose libraries are imported."""
        for request in forkable(self._waiting, self._preloading):
            self._waiting.remove(request)
            self._settle()
            try:
                self._spawn(request)
            except ChannelClosed:
                self._forget(request.starter)

    def _settle(self) -> None:
        """Before a fork: what is in memory now stays there as it is."""
        if not self._is_settled:
            self._is_settled = True
            emulation.note_none_tracked()
            preloaded_modules.note()
            gc.freeze()

    def _accept(self, listener: socket.socket) -> None:
        if (sock := accept(listener)) is not None:
            self._selector.register(Channel(sock), selectors.EVENT_READ, self._hear)

    def _hear(self, starter: Channel) -> None:
        try:
            match starter.receive_arrived_with_fd():
                case None:
                    pass
                case Spawn() as spawn, int(fd):
                    if spawn.python == sys.executable:
                        spawn = replace(spawn, python="")
                    self._receive(Request(starter, spawn, fd, frozenset(named_libraries(Path(spawn.app_file)))))
                case _:
                    raise ChannelClosed("it asked for something that a fork server does not do")
        except ChannelClosed:
            self._forget(starter)

    def _forget(self, starter: Channel) -> None:
        for request in [each for each in self._waiting if each.starter is starter]:
            self._waiting.remove(request)
            os.close(request.fd)
        self._selector.unregister(starter)
        starter.close()

    def _receive(self, request: Request) -> None:
        """Refuse it at once if it will be refused anyway."""
        spawn = request.spawn
        if reason := plain_reason(Path(spawn.app_file), dict(spawn.environment), self._preloaded):
            self._refuse(request, reason)
        else:
            self._waiting.append(request)

    def _refuse(self, request: Request, reason: str) -> None:
        os.close(request.fd)
        request.starter.send(Refused(reason))

    def _spawn(self, request: Request) -> None:
        spawn, fd = request.spawn, request.fd
        reason = plain_reason(Path(spawn.app_file), dict(spawn.environment), self._preloaded)
        if spawn.python and not reason:
            reason = own_environment.plain_reason(Path(spawn.python), self._preloaded)
        if reason:
            self._refuse(request, reason)
            return
        pid = os.fork()
        if pid == 0:
            self._become(spawn, fd)
        os.close(fd)
        self._processes[pid] = spawn.is_zygote
        pidfd = os.pidfd_open(pid)
        self._selector.register(pidfd, selectors.EVENT_READ, lambda _: self._bury(pid, pidfd, request.starter))
        request.starter.send(Spawned(pid))

    def _become(self, spawn: Spawn, fd: int) -> NoReturn:
        gc.enable()
        self._selector.close()
        space = dict(spawn.environment).get(config.SPACE, "")
        program = (ZYGOTE, space) if spawn.is_zygote else ("spaces.script", spawn.app_file)
        name_process([*MODULE, *program])
        newborn.begin(spawn, keep={fd})
        set_anew.tell(os.environ, self._preloaded.environment, named_variables(Path(spawn.app_file)))
        if spawn.is_zygote:
            newborn.live(lambda: import_module(ZYGOTE).run(Channel.from_fd(fd)))
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
    import_shortcuts.take()
    when_imported("gradio.blocks", late_apps.watch)
    ForkServer(listener, Preloading()).serve()


def _log() -> None:
    """By a logger of its own: the root logger stays as a Space expects it."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s fork server: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


if __name__ == "__main__":
    main()
