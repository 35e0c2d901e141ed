"""Whatever a child answers when it is told to sleep or to wake, it is believed nothing that cannot be."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.incoming import LENGTH
from spaces_workers.link.messages import MemoryUse, Trimmed, ZygoteSpec
from spaces_workers.link.sleep_messages import Asleep, Awake, Saved, Unable
from spaces_workers.worker.child_link import ChildLink, StaysAwake, UnfitChild
from tests.unit.test_child_ends import Zygote
from tests.unit.test_fuzzing import bounded_memory, damaged

numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2**40)


def _message(name: str, *values: object) -> msgpack.ExtType:
    """A message as it is packed, with values that its own class may refuse."""
    return msgpack.ExtType(1, msgpack.packb((name, *values)))


uses = st.builds(partial(_message, MemoryUse.__name__), numbers, st.none() | numbers)
ANSWERS = st.one_of(
    st.builds(partial(_message, Asleep.__name__), uses, numbers, numbers, numbers),
    st.builds(partial(_message, Awake.__name__), uses, numbers),
    st.builds(partial(_message, Trimmed.__name__), uses),
    st.builds(partial(_message, Unable.__name__), st.text(max_size=20), st.booleans(), st.booleans()),
    st.builds(partial(_message, Unable.__name__), st.text(max_size=20), st.booleans(), st.booleans(), numbers, numbers),
    st.builds(partial(_message, Saved.__name__), numbers, numbers),
)
packed = ANSWERS.map(msgpack.packb)
fuzzed = settings(max_examples=300)


@fuzzed
@given(st.lists(packed | damaged(packed), max_size=3))
def test_no_answer_of_a_child_makes_room_that_is_not_there(answers: list[bytes]) -> None:
    """One that held less than nothing would have let other Spaces' children sleep without a limit."""
    ours, theirs = socket.socketpair()
    child = ChildLink(ZygoteSpec("digits", "", "", "", b""), 0, Channel(ours), Zygote(None))
    child._bond.given()
    child._bond.cut()  # nobody is at its other end
    theirs.sendall(b"".join(LENGTH.pack(len(each)) + each for each in answers))
    theirs.shutdown(socket.SHUT_WR)
    with bounded_memory(), suppress(StaysAwake, UnfitChild, ChannelClosed):
        child.save(pinned=False)
        child.put_to_sleep(pinned=False)
        child.wake(keep=False)
        child.trim()
    assert min(child.memory.held_bytes, child.memory.peak_bytes or 0, child.host_bytes, child.pinned_bytes) >= 0
    theirs.close()
    child.channel.close()
