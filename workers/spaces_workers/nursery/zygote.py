"""A zygote: a process that has executed a Space's script once, without touching CUDA, and forks children on request.

The nursery starts it as `python -m spaces_workers.nursery.zygote FD`. From the script's launch on it stays idle and
single-threaded, because a fork copies only the forking thread: a lock that another thread held stays held for ever.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from spaces import emulation, launch, script
from spaces.functions import replay
from spaces.state.of_space import space_globals
from spaces_workers.child import main as child
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.messages import Adopt, Exited, Fork, Forked, ZygoteFailed, ZygoteReady, ZygoteSpec


class Zygote:
    """The fork server that a Space's process becomes when its script launches."""

    def __init__(self, nursery: Channel) -> None:
        self._nursery = nursery
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, Channel] = {}  # by pid: the worker that asked for it
        self._weights_bytes = 0

    def serve(self) -> NoReturn:
        """Send ZygoteReady and fork on request, until the nursery is gone."""
        self._selector.register(self._nursery, selectors.EVENT_READ, self._hear_nursery)
        space_globals()  # before the forks, which all need it
        self._weights_bytes = emulation.weights_bytes()  # needs the unfrozen garbage collector
        gc.collect()
        gc.freeze()
        self._nursery.send(ZygoteReady(self._weights_bytes))
        while True:
            for key, _ in self._selector.select():
                key.data(key.fileobj)

    def _hear_nursery(self, nursery: Channel) -> None:
        try:
            message, fd = nursery.receive_with_fd()
        except ChannelClosed:
            self._leave()
        match message:
            case Adopt() if fd is not None:
                self._selector.register(Channel.from_fd(fd), selectors.EVENT_READ, self._hear_worker)
            case _:
                raise TypeError(f"a zygote cannot {type(message).__name__}")

    def _hear_worker(self, worker: Channel) -> None:
        try:
            message, fd = worker.receive_with_fd()
        except ChannelClosed:
            self._lose(worker)
            return
        match message:
            case Fork() if fd is not None:
                self._fork(worker, message, fd)
            case _:
                raise TypeError(f"a zygote cannot {type(message).__name__}")

    def _fork(self, worker: Channel, request: Fork, fd: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become_child(request, fd)
        os.close(fd)
        self._children[pid] = worker
        pidfd = os.pidfd_open(pid)
        self._selector.register(pidfd, selectors.EVENT_READ, lambda _: self._bury(pid, pidfd))
        self._tell(worker, Forked(pid))

    def _become_child(self, request: Fork, fd: int) -> NoReturn:
        """Undo the state that the fork inherited from the zygote; `child/main.py` undoes the rest."""
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()
        replay.end()
        child.live(Channel.from_fd(fd), request, self._weights_bytes)

    def _lose(self, worker: Channel) -> None:
        """Kill the children of a worker that is gone; one that holds the interpreter's lock would not notice."""
        self._selector.unregister(worker)
        worker.close()
        for pid, owner in self._children.items():
            if owner is worker:
                _kill(pid)

    def _bury(self, pid: int, pidfd: int) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _, status, used = os.wait4(pid, 0)
        self._tell(self._children.pop(pid), Exited(pid, os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024))

    def _tell(self, worker: Channel, message: Forked | Exited) -> None:
        try:
            worker.send(message)
        except ChannelClosed:
            pass  # its socket reads as closed too: `_lose` follows

    def _leave(self) -> NoReturn:
        """Exit, because the nursery is gone or asks for it. Children live on; another zygote forks the next ones."""
        os._exit(0)


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        try:
            os.kill(pid, signal.SIGKILL)  # it has not become the leader of its group yet
        except ProcessLookupError:
            pass


def main() -> NoReturn:
    """Run the script; when it launches, or ends without a launch, become its fork server."""
    nursery = Channel.from_fd(int(sys.argv[1]))
    os.set_inheritable(nursery.fileno(), False)
    zygote = Zygote(nursery)
    spec: ZygoteSpec = nursery.receive()
    replay.begin(spec.calls, zygote.serve)
    launch.take_over_at_launch(zygote.serve)
    try:
        script.run(Path(spec.app_file))
    except BaseException as error:  # SystemExit too: a script that leaves has no function to run
        text = traceback.format_exc()
        print(text, file=sys.stderr, flush=True)
        nursery.send(ZygoteFailed(text if not isinstance(error, SystemExit) else f"the script exited by {error!r}"))
        os._exit(1)
    zygote.serve()


if __name__ == "__main__":
    main()
