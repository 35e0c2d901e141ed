"""Whatever a page sends to the gateway, it gets answers or is disconnected, and the gateway goes on.

Messages of every kind are sent with any values in their fields, and damaged, by a page that was welcomed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spaces.farm import wire
from spaces.farm.links import messages as says
from spaces.farm.links.frames import EVENT, FAILURE, FIRST_CALL, ONE_WAY, Frames, frame
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.registry import SpaceRecord
from spaces.farm.task import FunctionName, Task
from spaces.farm.version import VERSION
from spaces_workers.gateway.admission import ByPlace
from spaces_workers.gateway.broker_side import BrokerSide
from spaces_workers.gateway.outlet import Drains, Outlet
from spaces_workers.gateway.session import Session
from spaces_workers.gateway.tenant import Tenant
from tests.unit.test_fuzzing import bounded_memory, damaged

HELLO = says.Hello("0123456789ab", VERSION)

#: The task that the page has submitted, so that messages of its own tasks get further than names.
ID = "0123456789abcdef" * 2
TASK = Task("digits", FunctionName("__main__", "f"), Payload(b"arguments"), id=ID)

texts = st.text(st.characters(), max_size=40)
ids = st.just(ID) | texts
numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 1001)
entries = st.builds("{}-{}".format, numbers, numbers) | texts
names = st.just(ID) | st.text("0123456789abcdef", min_size=32, max_size=32) | texts
tasks = st.builds(
    Task,
    st.sampled_from(["digits", "other", ""]),
    st.builds(FunctionName, st.text(max_size=9), st.text(max_size=9), st.integers(0, 9)),
    st.builds(Payload, st.binary(max_size=50)),
    id=ids,
    time_limit=st.floats() | st.just(1.0),
    size=st.sampled_from(["large", "xlarge", "small"]),
    visitor=texts | st.text(max_size=300),
    summary=st.text(max_size=2000),
)
records = st.builds(
    SpaceRecord,
    st.text(max_size=9),
    st.sampled_from(["0123456789abcdef", "0123456789abcdef.1", "x"]),
    *(st.text(max_size=9), st.text(max_size=9), st.booleans(), st.text(max_size=9), st.text(max_size=9)),
    st.booleans(),
    st.just(()),
)

ASKED = st.one_of(
    st.builds(says.Submit, tasks),
    st.builds(says.Keep, tasks),
    st.builds(says.Register, records, names),
    st.builds(says.Follow, ids, entries),
    st.builds(says.Join, ids),
    st.builds(says.Credit, ids, numbers),
    st.builds(says.Cancel, ids, texts | st.text(max_size=2000)),
    st.builds(says.Withdraw, ids),
    st.builds(says.AskState, ids),
    st.builds(says.AskPlaces, st.lists(ids, max_size=3).map(tuple)),
    st.builds(says.Unfollow, ids),
    st.builds(says.AskQuota, texts),
    st.builds(says.Find, st.sampled_from(["digits", "other"])),
    st.builds(says.WriteBlob, names, numbers, st.binary(max_size=50)),
    st.builds(says.ReadBlob, names, numbers),
    st.builds(says.DropBlob, names),
    st.sampled_from([says.AskHosts(), says.Beat(), says.Leave(), HELLO, says.Done()]),
)
packed = ASKED.map(wire.pack)
frames = st.builds(frame, st.sampled_from([ONE_WAY, FIRST_CALL, FIRST_CALL + 1]), packed | damaged(packed))
streams = st.lists(frames, max_size=6).map(b"".join) | damaged(st.lists(frames, max_size=6).map(b"".join))

fuzzed = settings(max_examples=300, suppress_health_check=[*HealthCheck])


@pytest.fixture(scope="module")
def broker(broker_url: str) -> Iterator[BrokerSide]:
    """The gateway's side of the broker."""
    made = BrokerSide(broker_url, "here")
    yield made
    with made.queue().redis as redis:
        redis.flushall()
    made.relay.close()


@pytest.fixture(scope="module")
def drains() -> Drains:
    """Has a thread for as long as this process lives."""
    return Drains()


@fuzzed
@given(streams)
def test_a_page_gets_answers_or_is_disconnected_whatever_it_sends(
    broker: BrokerSide, drains: Drains, data: bytes
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, bounded_memory():
        hello, submit = (frame(FIRST_CALL, wire.pack(each)) for each in (HELLO, says.Submit(TASK)))
        theirs.sendall(hello + submit + data)
        theirs.shutdown(socket.SHUT_WR)
        outlet = Outlet(ours, drains)
        Session(ours, outlet, broker, ByPlace(Tenant("digits"))).serve()
        drains.remove(outlet)
        ours.shutdown(socket.SHUT_RDWR)
        answers = list(_read(theirs))
    assert isinstance(answers[0], says.Welcome)
    assert all(isinstance(each, get_args(says.Answer)) for each in answers)


def _read(page: socket.socket) -> Iterator[Any]:  # Any: messages
    """What the gateway has said, but for events."""
    reader = Frames(page)
    with suppress(ConnectionError):
        while (found := reader.next(0.0)) is not None:
            if found[0] == FAILURE:
                assert isinstance(wire.unpack(found[1]), says.Undeliverable)
            elif found[0] != EVENT:
                yield wire.unpack(found[1])
