"""A child: the fork of a zygote that holds the GPU and runs the tasks of one Space, one at a time.

It communicates only with its worker, over one socket, without Celery and the broker. Its main thread receives messages;
each task runs in a new thread, because in a child the first parallel operation of the *forking* thread hangs (libgomp).
"""

from __future__ import annotations

import ctypes
import os
import random
import selectors
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import NoReturn

from spaces import config, emulation
from spaces.errors import TimeLimitExceeded
from spaces.farm.events import End, Event
from spaces.farm.memory_errors import lacks_gpu_memory
from spaces_workers.child import hang
from spaces_workers.child.execution import Execution
from spaces_workers.child.memory_meter import Meter
from spaces_workers.child.sleep.cards import means_of
from spaces_workers.child.sleep.orders import Orders
from spaces_workers.child.sleep.sleeper import Sleeper
from spaces_workers.child.stragglers import are_settled, do_nothing, settled
from spaces_workers.child.upload import upload
from spaces_workers.forking.judgement import Loss
from spaces_workers.link.channel import Bell, Channel, ChannelClosed
from spaces_workers.link.kill_on_close import die_with
from spaces_workers.link.messages import ChildReady, Close, Fork, Idle, RunTask, TimeUp, Trim, Trimmed, Unfit
from spaces_workers.link.orphans import adopt_orphans
from spaces_workers.link.sleep_messages import Halt, Save, ShareCopy, ShowCopy, Sleep, Wake

#: Seconds that a task's threads may outlive it before the child is given up.
STRAGGLER_GRACE = 5.0


def live(channel: Channel, request: Fork, weights_bytes: int, losses: Sequence[Loss] = ()) -> NoReturn:
    """Run a child, from just after the fork to its end. `losses`: threads that the fork lacks."""
    try:
        _settle_in()
        meter, sleeper = _with_device(request, weights_bytes, channel)
        Child(channel, meter, Orders(sleeper, meter, channel), losses).serve()
    except ChannelClosed:
        os.killpg(
            0, signal.SIGKILL
        )  # the worker is gone, or discards this child with all processes that its tasks started
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


class Child:
    """Receives the worker's messages and runs its tasks."""

    def __init__(self, channel: Channel, meter: Meter, orders: Orders, losses: Sequence[Loss]) -> None:
        self._channel = channel
        self._meter = meter
        self._orders = orders
        self._losses = losses
        self._bell = Bell()
        self._selector = selectors.DefaultSelector()
        for each in (self._channel, self._bell):
            self._selector.register(each, selectors.EVENT_READ)
        self._next = _ThreadAhead(self._execute)
        hang.show_stacks_at_signal()

    def serve(self) -> None:
        """Run tasks until the worker closes the channel, which raises ChannelClosed."""
        _, end = self._channel.receive_with_fd()
        if end is None:
            raise TypeError("a child's first message brings the bond to its worker")
        die_with(end)
        self._channel.send(ChildReady(os.getpid(), self._meter.read()))
        while True:
            message, fd = self._channel.receive_with_fd()
            match message:
                case RunTask() as run:
                    self._run(run)
                case Close() | TimeUp() | Halt():
                    pass  # the task, or the move, has just ended by itself
                case Trim():
                    self._channel.send(Trimmed(self._meter.trim()))
                case Save() | Sleep() | Wake() as order:
                    self._channel.send(self._orders.obey(order, unchanged=self._is_still()))
                case ShowCopy(name):
                    self._show(name)
                case ShareCopy(name) if fd is not None:
                    self._channel.send(self._orders.share(name, fd))
                case other:
                    raise TypeError(f"a child cannot {type(other).__name__}")

    def _is_still(self) -> bool:
        """Whether no thread that the Space has left can change tensors between two tasks."""
        return do_nothing(set(threading.enumerate()) - {threading.current_thread(), self._next.thread})

    def _show(self, name: bytes) -> None:
        answer, fd = self._orders.show(name)
        self._channel.send(answer, fd=fd)
        if fd is not None:
            os.close(fd)

    def _run(self, run: RunTask) -> None:
        self._before = set(threading.enumerate())
        self._meter.begin()
        self._orders.task_begins()
        execution = Execution(run, self._tell)
        thread = self._next.begin(execution)
        self._attend(execution)
        thread.join()
        if not execution.is_settled:
            self._channel.send(Idle(settled(self._before, STRAGGLER_GRACE), self._meter.read()))
        self._next = _ThreadAhead(self._execute)

    def _execute(self, execution: Execution) -> None:
        try:
            end = execution.end()
            sys.stdout.flush()
            sys.stderr.flush()
            self._tell_end(execution, end)
        except ChannelClosed:
            pass  # the main thread sees it too
        finally:
            execution.ended = True
            self._bell.ring()

    def _tell_end(self, execution: Execution, end: End) -> None:
        """Send the end, and that this child can have another task unless threads of this one still compute."""
        execution.is_settled = are_settled(self._before)
        execution.ended = True  # the next message may be another task
        self._channel.send(end, *([Idle(True, self._meter.read())] if execution.is_settled else []))

    def _attend(self, execution: Execution) -> None:
        """Receive the worker's messages while the task runs."""
        while not execution.ended:
            ready = {key.fileobj for key, _ in self._selector.select()}
            if self._channel in ready and not execution.ended:
                self._hear(self._channel.receive(), execution)
        self._bell.silence()

    def _hear(self, message: object, execution: Execution) -> None:
        match message:
            case Close():
                execution.closing = True
            case TimeUp(hung_for):
                if hung_for:
                    hang.tell(execution.label, hung_for, execution.native_thread_id, self._losses)
                _interrupt(execution)
            case other:
                raise TypeError(f"a child cannot {type(other).__name__} while it runs a task")

    def _tell(self, event: Event) -> None:
        self._channel.send(event)


class _ThreadAhead:
    """The thread of the next task, started before that arrives: to start one takes as long as many a function."""

    def __init__(self, execute: Callable[[Execution], None]) -> None:
        self._given: SimpleQueue[Execution] = SimpleQueue()
        self.thread = threading.Thread(target=lambda: execute(self._given.get()), name="next task", daemon=True)
        self.thread.start()

    def begin(self, execution: Execution) -> threading.Thread:
        """Execute it on this thread."""
        self.thread.name = execution.label
        self._given.put(execution)
        return self.thread


def _interrupt(execution: Execution) -> None:
    """Raise in the task's thread at the time limit, so that its `finally` clauses run within the grace period."""
    if execution.thread_id:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(execution.thread_id), ctypes.py_object(TimeLimitExceeded)
        )


def _settle_in() -> None:
    """Undo the last of the inherited state: process group, signals, seeds."""
    if os.getpgrp() != os.getpid():  # a fork is in its zygote's group still
        os.setsid()
    adopt_orphans()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # with a handler, a library that raises one to exit would continue
    _reseed()
    threading.current_thread().name = f"child of {config.current().space}"


def _reseed() -> None:
    """Seed the random generators anew: all forks of one process would draw the same numbers."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        torch.seed()


def _with_device(request: Fork, weights_bytes: int, channel: Channel) -> tuple[Meter, Sleeper | None]:
    """Take the device. A child that cannot tells its worker why."""
    try:
        if request.visible_devices:
            os.environ["CUDA_VISIBLE_DEVICES"] = request.visible_devices
            _take_gpu(request.memory_fraction)
        else:
            emulation.stay()
        return means_of(request, weights_bytes)
    except Exception as error:
        name, text = type(error).__name__, str(error)
        channel.send(Unfit(f"{name}: {text}", lacks_gpu_memory(name, text)))
        raise


def _take_gpu(memory_fraction: float) -> None:
    torch = sys.modules.get("torch")
    emulation.leave("cuda:0", upload)
    if torch is not None and memory_fraction < 1:
        torch.cuda.set_per_process_memory_fraction(memory_fraction)
