"""A worker ends a task and claims the next one in a step, beside the channel that claims otherwise."""

from __future__ import annotations

from celery import Celery

from spaces.farm.celery import here, steps
from spaces.farm.celery.celery_app import submit
from spaces.farm.celery.steps import Step
from spaces.farm.queue.queue import Queue
from spaces.farm.task import Lease, State
from tests.waiting import wait_until

from .celery_consumer import RESULT, Worker, drained
from .support import in_thread, make_task, state_of


class Stepping:
    """Ends tasks as a run does, in steps."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def end(self, lease: Lease) -> Step:
        step = steps.begun()
        assert step is not None
        _, reply = self._queue.end_and_claim(lease, RESULT, 0.0, 0.0, step.arguments())
        step.answered(reply)
        here.settled(lease)
        return step


def test_the_task_that_a_step_has_claimed_is_passed_on_by_the_channel(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    first, second = make_task(estimate=1), make_task(estimate=2)
    submit(app, first)
    submit(app, second)
    message = worker.take()
    step = Stepping(queue).end(message.properties["lease"])
    assert step.found is not None
    assert step.found.lease == Lease(second, "w1", 1)
    message.ack()
    drained(worker.connection)  # the channel claims nothing while it has not heard of the step
    assert len(worker.messages) == 1
    assert step.finish()
    assert worker.messages[-1].properties["lease"] == Lease(second, "w1", 1)
    worker.messages[-1].ack()


def test_after_a_step_that_found_nothing_the_channel_waits_for_the_bell_at_once(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    submit(app, make_task())
    message = worker.take()
    step = Stepping(queue).end(message.properties["lease"])
    assert step.found is None
    message.ack()
    assert step.finish()
    before = queue.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    thread = in_thread(lambda: drained(worker.connection, 5.0))
    wait_until(lambda: queue.redis.info("clients")["blocked_clients"] == 1)
    assert queue.redis.info("commandstats")["cmdstat_evalsha"]["calls"] == before
    submit(app, make_task())
    thread.join()
    assert len(worker.messages) == 2


def test_there_is_no_step_while_the_channel_claims_or_consumes_nothing(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    thread = in_thread(lambda: drained(worker.connection, 5.0))
    wait_until(lambda: queue.redis.info("clients")["blocked_clients"] == 1)
    assert steps.begun() is None
    submit(app, make_task())
    thread.join()
    worker.consumer.cancel()
    assert steps.begun() is None


def test_a_task_of_a_step_that_celery_cannot_be_told_of_keeps_the_worker_from_claiming(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    """Its connection was lost during the step. The task runs on, and the worker has room for one."""
    first, second, third = (make_task(estimate=seconds) for seconds in (1, 2, 3))
    for task in (first, second, third):
        submit(app, task)
    message = worker.take()
    step = Stepping(queue).end(message.properties["lease"])
    worker.close()
    assert not step.finish()
    here.unheard(second.id)
    other = Worker(app)
    drained(other.connection)
    assert (other.messages, state_of(queue, third)) == ([], State.QUEUED)
    here.over(second.id)
    queue.end(Lease(second, "w1", 1), RESULT)
    assert other.take().properties["lease"] == Lease(third, "w1", 1)
    other.close()
