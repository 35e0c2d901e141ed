"""A process can wait for any descriptor to be readable, also if it has thousands."""

from __future__ import annotations

import fcntl
import resource
import socket
from collections.abc import Iterator

import pytest

from spaces_workers.link.channel import Channel
from spaces_workers.link.messages import ZygoteSpec
from spaces_workers.link.sleep_messages import Halt
from spaces_workers.worker.child_link import ChildLink
from tests.unit.test_child_ends import Zygote

#: `select` takes descriptors below 1,024 only.
HIGH = 1500


@pytest.fixture
def enough_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * HIGH, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("enough_descriptors")
def test_a_worker_with_many_descriptors_sees_whether_a_child_is_gone() -> None:
    """A worker that held a thousand shared copies failed every task: "filedescriptor out of range in select()"."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = ChildLink(
            ZygoteSpec("digits", "", "", "", b""),
            0,
            Channel.from_fd(fcntl.fcntl(ours.fileno(), fcntl.F_DUPFD_CLOEXEC, HIGH)),
            Zygote(None),
        )
        child._bond.given()
        child._bond.cut()  # nobody is at its other end
        assert not child.gone
        Channel.from_fd(theirs.detach()).send(Halt())
        assert child.gone
        child.channel.close()
