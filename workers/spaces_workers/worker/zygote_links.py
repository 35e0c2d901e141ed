"""The worker's connections to zygotes: it gets one link to each from the nursery, and forks children through it."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from spaces.errors import SpacesError
from spaces_workers.link.channel import Channel, ChannelClosed, Garbled
from spaces_workers.link.messages import ChildReady, Exited, Fork, Forked, Unfit, ZygoteSpec
from spaces_workers.nursery import client as nursery
from spaces_workers.worker.child_link import ChildLink, UnfitChild

#: Seconds within which a child must report that it is ready; a later child hangs on a lock that the fork copied.
READY_PATIENCE = 30.0

#: Attempts to fork a child before its Space is given up.
FORK_ATTEMPTS = 3

#: Seconds to wait for the exit status of a child; the zygote may be gone itself.
EXIT_PATIENCE = 5.0


class ZygoteLink:
    """A worker's connection to one zygote."""

    def __init__(self, nursery_socket: Path, spec: ZygoteSpec) -> None:
        self._channel, self.weights_bytes = nursery.connect(nursery_socket, spec)
        self._spec = spec
        self._words: dict[int, Exited] = {}  #: by pid, of children that have ended
        self._receiving = threading.Lock()

    def fork(self, request: Fork) -> ChildLink:
        """A child that is ready for tasks. Raises UnfitChild, SpacesError if none gets ready, ChannelClosed."""
        for _ in range(FORK_ATTEMPTS):
            child = self._fork_once(request)
            try:
                child.tie()
                match child.channel.receive(READY_PATIENCE):
                    case ChildReady(memory=held):
                        child.memory = held
                        return child
                    case Unfit() as unfit:
                        child.discard()
                        raise UnfitChild(self._spec.space, unfit)
                    case other:
                        raise Garbled(f"its first message was {type(other).__name__}")
            except (TimeoutError, ChannelClosed):
                child.discard()
                reason = child.how_it_ended().reason
        raise SpacesError(f"no child of Space {self._spec.space!r} got ready in {FORK_ATTEMPTS} attempts: it {reason}")

    def word_of(self, pid: int) -> Exited | None:
        """How a child ended, once that is known; None if the zygote is gone."""
        deadline = time.monotonic() + EXIT_PATIENCE
        with self._receiving, contextlib.suppress(ChannelClosed, TimeoutError):
            while pid not in self._words:
                self._note(self._channel.receive(max(0.0, deadline - time.monotonic())))
        return self._words.pop(pid, None)

    @property
    def is_gone(self) -> bool:
        return self._channel.is_closed

    def close(self) -> None:
        """Disconnect from the zygote, which kills the children that it made for this link."""
        self._channel.close()

    def _fork_once(self, request: Fork) -> ChildLink:
        ours, theirs = Channel.pair()
        with self._receiving:
            self._channel.send(request, fd=theirs.fileno())
            theirs.close()
            while True:
                message = self._channel.receive()
                if isinstance(message, Forked):
                    return ChildLink(self._spec, message.pid, ours, self)
                self._note(message)

    def _note(self, message: object) -> None:
        match message:
            case Exited() as word:
                self._words[word.pid] = word
            case _:
                raise Garbled(f"a zygote sent {type(message).__name__}, which no zygote sends here")


class Zygotes:
    """The zygotes that this worker is connected to."""

    def __init__(self, run_dir: Path, log_dir: Path) -> None:
        self._run_dir = run_dir
        self._nursery_socket = nursery.socket_path(run_dir, log_dir)
        self._log_dir = log_dir
        self._links: dict[tuple[str, str], ZygoteLink] = {}
        # The kernel ties a process to the *thread* that started it: this thread lives as long as the worker.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nursery-starter")
        self._nursery = self._ensure_nursery()

    def weights_bytes(self, spec: ZygoteSpec) -> int:
        """The bytes of a Space's weights; its zygote is made if missing (seconds)."""
        return self._link(spec).weights_bytes

    def fork(self, spec: ZygoteSpec, request: Fork) -> ChildLink:
        """A ready child of a Space. If the zygote or the nursery has died, it is made again, once."""
        try:
            return self._link(spec).fork(request)
        except ChannelClosed:
            self._let_go(spec.space)
            return self._link(spec).fork(request)

    def knows(self, spec: ZygoteSpec) -> bool:
        """Whether this worker has forked from a zygote of the Space, which is then probably still ready."""
        return (spec.space, spec.revision) in self._links

    def prepare(self, spec: ZygoteSpec) -> None:
        """Ask for a zygote before its first task."""
        nursery.prepare(self._nursery_socket, spec)

    def retire(self, space: str) -> None:
        """Have the zygotes of a Space given up. Children that run tasks finish them."""
        nursery.retire(self._nursery_socket, space)

    def close(self) -> None:
        """Disconnect from every zygote, and stop the nursery if this worker started it."""
        for link in self._links.values():
            link.close()
        self._links.clear()
        if self._nursery is not None:
            self._nursery.terminate()
            self._nursery.wait()
        self._starter.shutdown()

    def _ensure_nursery(self) -> subprocess.Popen[bytes] | None:
        return self._starter.submit(nursery.ensure, self._run_dir, self._log_dir).result()

    def _let_go(self, space: str) -> None:
        """Disconnect from every zygote of a Space: dead ones and those of older revisions, whose children are gone."""
        for key in [key for key in self._links if key[0] == space]:
            self._links.pop(key).close()

    def _link(self, spec: ZygoteSpec) -> ZygoteLink:
        key = (spec.space, spec.revision)
        if key not in self._links:
            self._let_go(spec.space)
            self._nursery = self._ensure_nursery() or self._nursery
            self._links[key] = ZygoteLink(self._nursery_socket, spec)
        return self._links[key]
