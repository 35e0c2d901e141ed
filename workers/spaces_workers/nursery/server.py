"""The nursery: the one process of a farm on a host that makes and keeps the zygotes, for all workers there.

Workers ask over a socket in the run directory, as `nursery/client.py` does. The nursery holds no broker credentials,
imports no Space, and stays single-threaded. A zygote is made once for each revision of a Space.
"""

from __future__ import annotations

import fcntl
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psutil

from spaces import config
from spaces.errors import SpacesError
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.version import VERSION
from spaces_workers.forkserver import client as fork_server
from spaces_workers.link.channel import Channel, ChannelClosed, Garbled
from spaces_workers.link.foster_children import FosterChildren
from spaces_workers.link.listener import accept, listen
from spaces_workers.link.messages import (
    Adopt,
    Connect,
    Connected,
    Prepare,
    Retire,
    Unmade,
    ZygoteFailed,
    ZygoteReady,
    ZygoteSpec,
)
from spaces_workers.nursery import roster
from spaces_workers.nursery.client import socket_path
from spaces_workers.nursery.made_zygote import MadeZygote, death_of
from spaces_workers.nursery.roster import Listed
from spaces_workers.nursery.sweeper import Sweeper
from spaces_workers.nursery.zygote_starter import ZygoteStarter
from spaces_workers.sandbox import control_groups

logger = logging.getLogger(__name__)

#: Share of the memory available at the start that prepared zygotes may take together.
MEMORY_SHARE = 0.5

#: Seconds that a zygote has to end after TERM.
BURIAL_PATIENCE = 3.0

#: Seconds that all zygotes together have to leave when the nursery does.
LEAVE_PATIENCE = 0.8

#: Seconds after which a worker or a zygote that does not read counts as gone.
SEND_PATIENCE = 1.0


class Nursery:
    """Makes zygotes and hands out sockets to them."""

    def __init__(self, run_dir: Path, log_dir: Path, fork_server: Path | None = None) -> None:
        self._starter = ZygoteStarter(run_dir, log_dir, fork_server)
        self._zygotes: dict[tuple[str, str], MadeZygote] = {}
        self._prepared: deque[ZygoteSpec] = deque()  #: to be made when no worker waits for another
        self._budget_bytes = int(psutil.virtual_memory().available * MEMORY_SHARE)
        self._sweeper = Sweeper(SharedMemoryStore(run_dir, config.current().host))
        self._selector = selectors.DefaultSelector()
        self._roster = roster.roster_path(run_dir, log_dir)
        self._note_zygotes()
        self._children = FosterChildren(self._selector, self._zygote_pids)
        self._listener = listen(socket_path(run_dir, log_dir))
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def serve(self) -> None:
        """Serve for ever; the process ends by a signal, or when its parent dies."""
        while True:
            self._sweeper.sweep_if_due()
            for key, _ in self._selector.select(self._sweeper.due_in):
                key.data(key.fileobj)

    def close(self) -> None:
        """Let every zygote leave, and with it what the children of dead workers have left behind."""
        deadline = time.monotonic() + LEAVE_PATIENCE
        for zygote in self._zygotes.values():
            zygote.channel.close()
            if not zygote.ready:  # it would not notice
                zygote.process.terminate()
        for zygote in self._zygotes.values():
            with suppress(subprocess.TimeoutExpired):
                zygote.process.wait(max(0.0, deadline - time.monotonic()))

    def _accept(self, listener: socket.socket) -> None:
        if (sock := accept(listener)) is not None:
            worker = Channel(sock)
            worker.limit_sending(SEND_PATIENCE)
            self._selector.register(worker, selectors.EVENT_READ, self._hear_worker)

    def _hear_worker(self, worker: Channel) -> None:
        try:
            match worker.receive_arrived():
                case None:
                    pass
                case Connect(spec):
                    self._connect(spec, worker)
                case Prepare(spec):
                    self._prepare(spec)
                case Retire(space, but):
                    self._retire(space, but, unready=not but)
                    self._make_next()
                case _:
                    raise ChannelClosed("it asked for something that a nursery does not do")
        except ChannelClosed:
            self._forget_worker(worker)

    def _forget_worker(self, worker: Channel) -> None:
        self._selector.unregister(worker)
        worker.close()
        for zygote in self._zygotes.values():
            if worker in zygote.waiting:
                zygote.waiting.remove(worker)

    def _zygote_pids(self) -> set[int]:
        return {zygote.process.pid for zygote in self._zygotes.values()}

    def _connect(self, spec: ZygoteSpec, worker: Channel) -> None:
        try:
            zygote = self._zygotes.get((spec.space, spec.revision)) or self._make(spec)
        except (SpacesError, OSError) as error:  # a mistake of the operator, or files that are gone
            worker.send(Unmade(str(error)))
            return
        zygote.used_at = time.monotonic()
        if zygote.ready:
            self._introduce(zygote, worker)
        else:
            zygote.waiting.append(worker)

    def _prepare(self, spec: ZygoteSpec) -> None:
        """Queue the zygote: one is made at a time, because an import occupies a core for seconds and visitors wait."""
        self._prepared.append(spec)
        self._make_next()
        self._note_zygotes()

    def _make_next(self) -> None:
        busy = any(not zygote.ready for zygote in self._zygotes.values())
        while self._prepared and not busy:
            busy = self._made_ahead(self._prepared.popleft())

    def _made_ahead(self, spec: ZygoteSpec) -> bool:
        if (spec.space, spec.revision) in self._zygotes:
            return False
        used = sum(zygote.own_bytes for zygote in self._zygotes.values())
        if used > self._budget_bytes:
            logger.warning(
                "%s is not made early: zygotes hold %.1f of %.1f GB", spec.space, used / 1e9, self._budget_bytes / 1e9
            )
            return False
        try:
            self._make(spec)
        except (SpacesError, OSError) as error:
            logger.warning("%s is not made early: %s", spec.space, error)
            return False
        return True

    def _make(self, spec: ZygoteSpec) -> MadeZygote:
        self._retire(spec.space, self._beside(spec))
        ours, theirs = Channel.pair()
        ours.limit_sending(SEND_PATIENCE)
        os.set_inheritable(theirs.fileno(), True)
        try:
            process = self._starter.start(spec, theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        with suppress(ChannelClosed):  # it died at once; its socket reports that too
            ours.send(spec)
        zygote = self._zygotes[spec.space, spec.revision] = MadeZygote(spec, process, ours)
        self._note_zygotes()
        self._selector.register(ours, selectors.EVENT_READ, lambda _: self._hear_zygote(zygote))
        logger.info("zygote of %s (%s) is being made, pid %d", spec.space, spec.revision, process.pid)
        return zygote

    def _note_zygotes(self) -> None:
        """Tell others of the zygotes; without room for that, the nursery goes on."""
        try:
            made = [Listed(each.spec.space, each.process.pid, each.ready) for each in self._zygotes.values()]
            roster.write(self._roster, [*made, *(Listed(spec.space, 0, False) for spec in self._prepared)])
        except OSError as error:
            logger.warning("the list of zygotes is out of date, because it cannot be written: %s", error)

    def _beside(self, spec: ZygoteSpec) -> str:
        """The revision that this one is made beside: one with other files, which serves until this one does."""
        others = [each for each in self._zygotes.values() if each.spec.space == spec.space and each.ready]
        latest = max(others, key=lambda each: each.used_at, default=None)
        return latest.spec.revision if latest and latest.spec.app_file != spec.app_file else ""

    def _retire(self, space: str, but: str, *, unready: bool = False) -> None:
        """End the zygotes of a Space but for one revision's; `unready`: also those that are made for nobody."""
        if unready:
            self._prepared = deque(spec for spec in self._prepared if spec.space != space)
        for zygote in [each for each in self._zygotes.values() if each.spec.space == space]:
            if zygote.spec.revision != but and (zygote.ready or (unready and not zygote.waiting)):
                self._bury(zygote)

    def _hear_zygote(self, zygote: MadeZygote) -> None:
        if self._zygotes.get((zygote.spec.space, zygote.spec.revision)) is not zygote:
            return  # removed by an earlier event of the same round
        try:
            message = zygote.channel.receive_arrived()
        except ChannelClosed as error:
            self._bury(zygote, Unmade(f"its process was ended: {error}") if isinstance(error, Garbled) else None)
            self._make_next()
            return
        match message:
            case None:
                pass
            case ZygoteReady(weights_bytes):
                zygote.ready, zygote.weights_bytes = True, weights_bytes
                self._note_zygotes()
                logger.info("zygote of %s is ready, pid %d", zygote.spec.space, zygote.process.pid)
                for worker in zygote.waiting:
                    self._introduce(zygote, worker)
                zygote.waiting.clear()
                self._make_next()
            case ZygoteFailed(traceback):
                self._bury(zygote, Unmade(traceback))
                self._make_next()
            case _:
                self._bury(zygote, Unmade("its process was ended: it sent a message that no zygote sends"))
                self._make_next()

    def _introduce(self, zygote: MadeZygote, worker: Channel) -> None:
        ours, theirs = Channel.pair()
        with_worker, with_zygote = ours.fileno(), theirs.fileno()
        try:
            zygote.channel.send(Adopt(), fd=with_zygote)
            worker.send(Connected(zygote.process.pid, zygote.weights_bytes, VERSION), fd=with_worker)
        except ChannelClosed:
            pass  # the socket of the one that is gone reports it
        finally:
            ours.close()
            theirs.close()

    def _bury(self, zygote: MadeZygote, answer: Unmade | None = None) -> None:
        """End a zygote. Workers that wait for it get `answer`; without one, they are told how its process died."""
        del self._zygotes[zygote.spec.space, zygote.spec.revision]
        self._note_zygotes()
        self._selector.unregister(zygote.channel)
        zygote.channel.close()
        zygote.process.terminate()
        try:
            status = zygote.process.wait(BURIAL_PATIENCE)
        except subprocess.TimeoutExpired:
            zygote.process.kill()
            status = zygote.process.wait()
        logger.info("zygote of %s is gone (%d), pid %d", zygote.spec.space, status, zygote.process.pid)
        self._children.adopt()
        for worker in zygote.waiting:
            with suppress(ChannelClosed):
                worker.send(answer or death_of(status, self._starter.log_of(zygote.spec)))


def main() -> None:
    """`python -m spaces_workers.nursery.server RUN_DIR LOG_DIR [preload|plain]`; exits quietly if there is a nursery.

    With `preload` it has zygotes forked from the fork server of the host. `zerofarm up` gives one of both, and removes
    control groups itself.
    """
    run_dir, log_dir = Path(sys.argv[1]), Path(sys.argv[2])
    for folder in (run_dir, log_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s nursery: %(message)s")
    with open(socket_path(run_dir, log_dir).with_suffix(".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        logger.info("serving %s on %s", run_dir, config.current().host)
        preloads = sys.argv[3:] == ["preload"]
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        forks = fork_server.socket_path(run_dir, log_dir) if preloads else None
        with ExitStack() as stack:
            if not sys.argv[3:]:
                stack.callback(control_groups.remove, log_dir.parent)
            nursery = stack.enter_context(closing(Nursery(run_dir, log_dir, forks)))
            nursery.serve()


if __name__ == "__main__":
    main()
