"""Collects the metrics of a farm from its broker, for `prometheus_client`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from spaces.farm.farm_status import FarmStatus
from spaces.farm.page_addresses import Serving
from spaces.farm.queue.counters.bounds import BOUNDS
from spaces.farm.queue.counters.causes import Cause, Retry
from spaces.farm.queue.counters.counters import Counters, Histogram, Span
from spaces.farm.queue.counters.crowd import Crowd
from spaces.farm.queue.limits import LIMITS
from spaces.farm.size import Size
from spaces.farm.task import State
from spaces_app.home.metrics import catalogue as known
from spaces_app.home.metrics.catalogue import Made, Metric

#: What becomes of an evicted child, and whose leases expire: a series exists before its first event.
OUTCOMES, KINDS = ("killed", "asleep"), ("worker", "client")

FINAL = tuple(state for state in State if state.final)

_HISTOGRAMS = {Span.WAIT: known.WAIT, Span.SWAP: known.SWAP, Span.RUN: known.RUN, Span.OVERHEAD: known.OVERHEAD}


@dataclass(frozen=True, slots=True)
class Readings:
    """The values of the metrics at one moment."""

    status: FarmStatus
    counters: Counters
    crowd: Crowd


class FarmCollector(Collector):
    """The metrics of one moment. A Space that is removed, and a worker that has left, have no series any more."""

    def __init__(self, readings: Readings) -> None:
        self._status = readings.status
        self._counters = readings.counters
        self._crowd = readings.crowd

    def collect(self) -> Iterator[Made]:
        """Every metric of `catalogue.METRICS`, also one without a series."""
        yield from self._of_tasks()
        yield from self._of_workers()
        yield _gauge(known.WEB_PROCESSES, [((), self._crowd.web_processes)])
        yield _gauge(known.VISITORS, [((), self._crowd.visitors)])
        yield _counter(known.REFUSED, _each(LIMITS, {each.limit: each.tasks for each in self._status.refusals}))
        yield _counter(known.EXPIRED, _each(KINDS, self._counters.expired_leases))
        for span, metric in _HISTOGRAMS.items():
            yield _histogram(metric, {name: counts.spans[span] for name, counts in self._counters.spaces.items()})

    def _of_tasks(self) -> Iterator[Made]:
        status, spaces = self._status, self._counters.spaces
        running = Counter((task.space, task.size) for task in status.tasks if task.state == State.RUNNING)
        pairs = [(space, size) for space in status.spaces for size in Size]
        waiting = [((space.name, size), space.waiting_by_size.get(size, 0)) for space, size in pairs]
        yield _gauge(known.WAITING, waiting)
        yield _gauge(known.RUNNING, [((space.name, size), running[space.name, size]) for space, size in pairs])
        waits = ((queue.size, queue.expected_wait) for queue in status.queues)
        yield _gauge(known.EXPECTED_WAIT, [((size,), wait) for size, wait in waits if wait is not None])
        serving = Counter(str(space.page.serving) for space in status.spaces if space.page)
        yield _gauge(known.SPACES, _each(get_args(Serving), serving))
        yield _counter(known.TASKS, _of_each({name: (FINAL, each.ended) for name, each in spaces.items()}))
        yield _counter(known.STOPPED, _of_each({name: (Cause, each.stopped) for name, each in spaces.items()}))
        yield _counter(known.RETRIED, _of_each({name: (Retry, each.retried) for name, each in spaces.items()}))

    def _of_workers(self) -> Iterator[Made]:
        workers = {(worker.name, worker.uuid): worker for worker in self._status.workers}
        tallies = self._counters.workers
        sizes = Counter(size for worker in workers.values() for size in worker.sizes)
        yield _gauge(known.WORKERS, _each(Size, sizes))
        yield _gauge(known.MEMORY, [(key, worker.memory_bytes) for key, worker in workers.items()])
        residents = [((*key, each.space), each) for key, worker in workers.items() for each in worker.residents]
        yield _gauge(known.RESIDENT, [(key, each.held_bytes) for key, each in residents])
        yield _gauge(known.RESIDENT_HOST, [(key, each.host_bytes) for key, each in residents])
        yield _counter(known.BUSY, [(key, tallies[key[0]].busy_seconds) for key in workers])
        evicted = [(key, how, tallies[key[0]].evicted.get(how, 0)) for key in workers for how in OUTCOMES]
        yield _counter(known.EVICTIONS, [((*key, how), number) for key, how, number in evicted])


#: The values of a metric's labels, and the number.
Samples = Iterable[tuple[tuple[str, ...], float]]


def _each(names: Iterable[str], found: Mapping[str, int]) -> Samples:
    """All that were found, and 0 for a name that was not."""
    return [((str(name),), found.get(name, 0)) for name in dict.fromkeys((*map(str, names), *found))]


def _of_each(found: Mapping[str, tuple[Iterable[str], Mapping[str, int]]]) -> Samples:
    return [
        ((space, *key), number) for space, (names, numbers) in found.items() for key, number in _each(names, numbers)
    ]


def _gauge(metric: Metric, samples: Samples) -> GaugeMetricFamily:
    family = metric.gauge()
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _counter(metric: Metric, samples: Samples) -> CounterMetricFamily:
    family = metric.counter()
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, found: Mapping[str, Histogram]) -> HistogramMetricFamily:
    family = metric.histogram()
    bounds = [*map(str, BOUNDS), "+Inf"]
    for space, histogram in found.items():
        buckets = list(zip(bounds, map(float, accumulate(histogram.counts)), strict=True))
        family.add_metric((space,), buckets, histogram.sum)
    return family
