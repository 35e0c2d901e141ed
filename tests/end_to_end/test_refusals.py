"""What visitors read of a task that never ran: refused by a limit of the farm, or given up after a long wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest
from gradio_client import Client
from gradio_client.client import Job

from tests.end_to_end.pages import CLIENT, WORKER, fails, refused
from tests.harness import Farm, configured_farm
from tests.waiting import wait_until

SETTINGS = """
[limits]
space_queue = 2
farm_queue = 3
longest_wait = 3600
payload_bytes = 65536
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm with narrow limits and without a worker: every accepted task waits."""
    with configured_farm(tmp_path_factory.mktemp("farm"), SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def queued(limited: Farm) -> Iterator[Client]:
    """A visitor of a page of it."""
    with closing(Client(limited.start_web("queued"), verbose=False)) as visitor:
        yield visitor


def test_a_visitor_reads_how_long_a_task_may_wait(queued: Client, limited: Farm) -> None:
    job = queued.submit("hello", api_name="/shout")
    wait_until(lambda: limited.queue.depth("large") == 1)
    arrivals = limited.queue.keys.arrivals()
    (task,) = cast(list[bytes], limited.redis.zrange(arrivals, 0, -1))
    limited.redis.zadd(arrivals, {task: 1.0})
    words = r"queued\.shout was cancelled: it waited longer than 60 min, and no task may wait longer in this farm"
    fails(job, words=words, title="ZeroGPU queue timeout")


def test_a_visitor_reads_that_the_queue_of_the_space_is_full(queued: Client, limited: Farm) -> None:
    waiting = [queued.submit("hello", api_name="/shout") for _ in range(2)]
    wait_until(lambda: limited.queue.depth("large") == 2)
    words = r"queued\.shout was not queued: 2 tasks of queued wait, and no more than 2 may\. Try again later"
    refused(queued, "/shout", "hello", words=words, title=CLIENT)
    give_up(limited, waiting)


def test_a_visitor_reads_that_the_queue_of_the_farm_is_full(queued: Client, limited: Farm) -> None:
    url = limited.start_web("studio")
    with closing(Client(url, verbose=False)) as other:
        waiting = [queued.submit("hello", api_name="/shout"), *(other.submit("Ada", api_name="/later") for _ in "12")]
        wait_until(lambda: limited.queue.depth("large") == 3)
        words = r"queued\.shout was not queued: 3 tasks wait in this farm, and no more than 3 may\. Try again later"
        refused(queued, "/shout", "hello", words=words, title=CLIENT)
        give_up(limited, waiting)


def test_a_visitor_reads_how_large_arguments_may_be(queued: Client) -> None:
    words = r"queued\.shout was not queued: its arguments have 97\.8 KiB, and no more than 64 KiB may be sent"
    refused(queued, "/shout", "x" * 100_000, words=words, title=CLIENT)


def test_a_visitor_reads_which_sizes_there_are(queued: Client, limited: Farm) -> None:
    limited.queue.leases.beat("a slice of a GPU", {"sizes": ["large"]})
    words = (
        r"\.shout_on_a_whole_gpu was not queued: it needs a GPU of size 'xlarge', and the workers of this farm serve"
    )
    refused(queued, "/shout_on_a_whole_gpu", "hello", words=f"{words} 'large'", title=CLIENT)
    limited.queue.leases.leave("a slice of a GPU")


def give_up(limited: Farm, waiting: list[Job]) -> None:
    """Cancel all waiting tasks, and let their visitors be told."""
    limited.queue.purge("large", "nobody serves here")
    for job in waiting:
        fails(job, words="was cancelled: nobody serves here", title=WORKER)
