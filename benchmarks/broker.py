"""What does one broker carry? `python -m benchmarks.broker`

CPU seconds of the broker's one thread for everything that it is asked to do, one kind of call after another.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.scale.brokers import celery_message, cpu_seconds, make_task, volatile_broker
from spaces.farm.events import Said, Succeeded, Yielded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.warmth import Warmth

ROUNDS, CALLS = 15, 200

WARMTH = Warmth({f"space-{number}": 0.5 for number in range(10)}, unseen=8.0)
FRAME = Yielded(Payload(bytes(1024)))


def main() -> None:
    """One line for each kind of call, with how many of them a second one broker has time for."""
    with volatile_broker() as redis:
        queue = Queue(redis)
        message = celery_message(redis)
        calls = {
            "a task from push to end": lambda: _life(queue, message),
            "a streamed frame of 1 kB": _frames(queue, message),
            "a worker's beat": lambda: queue.leases.beat("w1", {"device": "NVIDIA H200", "busy": []}),
            "a second of an idle worker": lambda: _idle_second(queue),
            "a web process's beat": lambda: queue.leases.client_beat("web-1"),
        }
        for name, call in calls.items():
            seconds = median(_cost(queue, call) for _ in range(ROUNDS))
            print(f"{name}: {seconds * 1e6:.0f} us of the broker, {1 / seconds:,.0f} a second at most", flush=True)


def _cost(queue: Queue, call: Callable[[], object]) -> float:
    before = cpu_seconds(queue.redis)
    for _ in range(CALLS):
        call()
    return (cpu_seconds(queue.redis) - before) / CALLS


def _life(queue: Queue, message: bytes) -> None:
    """The queue's work for a task with one event, without Celery's own three events."""
    queue.push(make_task("space-3"), message)
    claimed = queue.claim("w1", ["large", "xlarge"], WARMTH, device="NVIDIA H200")
    assert claimed is not None
    queue.append(claimed.lease, [Said("half of it is done")])
    assert queue.end(claimed.lease, Succeeded(Payload(bytes(200)), 1.0))
    for event in ("task.sent", "task.started", "task.succeeded"):
        queue.redis.publish(f"celeryev/{event}", message)


def _frames(queue: Queue, message: bytes) -> Callable[[], object]:
    queue.push(make_task("space-3"), message)
    claimed = queue.claim("w1", ["large"])
    assert claimed is not None
    return lambda: queue.append(claimed.lease, [FRAME])


def _idle_second(queue: Queue) -> None:
    """A claim in vain, a wait for the bells, and a beat. A bell rings, for the wait itself would not end."""
    assert queue.claim("w1", ["large", "xlarge"], WARMTH, hold=0.25) is None
    queue.redis.lpush(queue.keys.call("w1"), "1")
    queue.redis.brpop([queue.keys.call("w1"), queue.keys.bell("large")], timeout=1)
    queue.leases.beat("w1", {"device": "NVIDIA H200", "busy": []})


if __name__ == "__main__":
    main()
