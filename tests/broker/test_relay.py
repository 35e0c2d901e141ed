"""The gateway passes on events as each page takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from spaces.farm.connection import connect
from spaces.farm.events import Event, Succeeded, Yielded
from spaces.farm.links.frames import HEADER
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import Queue
from spaces.farm.stream.entries import entry_of, events_of
from spaces_workers.gateway.outlet import Outlet
from spaces_workers.gateway.relay import Forwarding, Reader, Relay
from tests.waiting import wait_until

from .support import MESSAGE, claimed, make_task

EVENTS: list[Event] = [Yielded(Payload(b"%d" % number)) for number in range(5)]
RESULT = Succeeded(Payload(b"result"))


class Page:
    """The outlet of a page: what it was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data[HEADER.size :])


@pytest.mark.parametrize("takes_several", [True, False])
def test_a_page_gets_what_was_written_together_as_it_takes_it(
    queue: Queue, broker_url: str, takes_several: bool
) -> None:
    relay, page = Relay(lambda: connect(broker_url)), Page()
    reader = Reader(cast(Outlet, page))
    reader.takes_several = takes_several
    task = replace(make_task(), reader=relay.name)
    forwarding = Forwarding(task.id, task.space, reader)
    relay.expect(forwarding)
    wait_until(lambda: queue.redis.pubsub_numsub(queue.keys.inbox(relay.name))[0][1] == 1)
    queue.push(task, MESSAGE)
    forwarding.release()
    lease = claimed(queue).lease
    queue.append(lease, EVENTS[:1])
    queue.append(lease, EVENTS[1:])
    queue.end(lease, RESULT)
    wait_until(lambda: task.id not in reader.tasks)
    relay.close()
    parts = [data.split(b" ", 3) for data in page.sent]
    together = [list(events_of(task.id, packed)) for _, _, _, packed in parts]
    one_by_one = [[event] for event in EVENTS]
    assert together == [*([one_by_one[0], EVENTS[1:]] if takes_several else one_by_one), [RESULT]]
    entries = [entry_of(entry) for _, entry, _, _ in parts]
    assert entries == sorted({*entries})
