"""Whatever is announced of Spaces, that they have registered or fallen asleep, the workers' listeners go on."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import BecameIdle, Registered, Registry
from tests.unit.test_fuzzing import bounded_memory
from tests.waiting import PATIENCE


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=100)), min_size=1, max_size=5))
def test_each_announcement_names_a_space_whatever_its_bytes(queue: Queue, told: list[tuple[bool, bytes]]) -> None:
    keys = queue.keys
    with Registry(queue.redis).announcements() as announcements, bounded_memory():
        assert announcements.next(timeout=PATIENCE) is None  # subscribed
        for asleep, name in told:
            assert queue.redis.publish(keys.idle_spaces() if asleep else keys.registrations(), name) == 1
        for asleep, name in told:
            heard = None
            while heard is None:
                heard = announcements.next(timeout=PATIENCE)
            assert isinstance(heard, BecameIdle if asleep else Registered)
            assert heard.space == name.decode(errors="replace")
