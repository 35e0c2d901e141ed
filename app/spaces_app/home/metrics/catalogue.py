"""Every metric of a farm: name, kind, labels, meaning. `docs/metrics.md` is made from this.

No label has a value that a visitor chooses. Names are those that Prometheus shows: a counter ends in `_total`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

Kind: TypeAlias = Literal["gauge", "counter", "histogram"]

#: How `prometheus_client` names the kinds.
Made: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    kind: Kind
    labels: Sequence[str]
    help: str

    def gauge(self) -> GaugeMetricFamily:
        """An empty family of a gauge."""
        return GaugeMetricFamily(self.name, self.help, labels=self.labels)

    def counter(self) -> CounterMetricFamily:
        """An empty family of a counter."""
        return CounterMetricFamily(self.name.removesuffix("_total"), self.help, labels=self.labels)

    def histogram(self) -> HistogramMetricFamily:
        """An empty family of a histogram."""
        return HistogramMetricFamily(self.name, self.help, labels=self.labels)


WAITING = Metric("zerofarm_tasks_waiting", "gauge", ("space", "size"), "Tasks that wait for a GPU")
RUNNING = Metric("zerofarm_tasks_running", "gauge", ("space", "size"), "Tasks that a worker has")
EXPECTED_WAIT = Metric(
    "zerofarm_expected_wait_seconds",
    "gauge",
    ("size",),
    "Seconds until a task that arrives now begins; no series while no live worker serves the size",
)
WORKERS = Metric("zerofarm_workers", "gauge", ("size",), "Live workers that serve the size")
SPACES = Metric("zerofarm_spaces", "gauge", ("state",), "Spaces that `zerofarm up` serves, by the state of their page")
WEB_PROCESSES = Metric("zerofarm_web_processes", "gauge", (), "Live web processes and programs that submit tasks")
VISITORS = Metric(
    "zerofarm_visitors_waiting",
    "gauge",
    (),
    "Different visitors among the oldest 5,000 waiting tasks; without quotas, the number of these tasks",
)
MEMORY = Metric("zerofarm_gpu_memory_bytes", "gauge", ("worker", "UUID"), "Memory that the worker's children may hold")
RESIDENT = Metric(
    "zerofarm_resident_bytes",
    "gauge",
    ("worker", "UUID", "space"),
    "Memory of the device that the Space's child holds",
)
RESIDENT_HOST = Metric(
    "zerofarm_resident_host_bytes",
    "gauge",
    ("worker", "UUID", "space"),
    "Memory of the host that holds copies of the Space's weights, for its sleep",
)

TASKS = Metric("zerofarm_tasks_total", "counter", ("space", "state"), "Tasks that have ended; a loss has state `lost`")
STOPPED = Metric(
    "zerofarm_runs_stopped_total",
    "counter",
    ("space", "cause"),
    "Runs that were killed or stopped before their function returned or raised",
)
RETRIED = Metric(
    "zerofarm_tasks_retried_total", "counter", ("space", "cause"), "Claimed tasks that went back to the queue"
)
REFUSED = Metric("zerofarm_tasks_refused_total", "counter", ("limit",), "Tasks that a limit refused, or ended")
EVICTIONS = Metric(
    "zerofarm_evictions_total",
    "counter",
    ("worker", "UUID", "outcome"),
    "Children that made room for another Space, by what became of them",
)
BUSY = Metric(
    "zerofarm_gpu_busy_seconds_total",
    "counter",
    ("worker", "UUID"),
    "Seconds in which the worker had a task",
)
EXPIRED = Metric(
    "zerofarm_lease_expiries_total", "counter", ("kind",), "Leases of workers and web processes that have expired"
)

WAIT = Metric("zerofarm_task_wait_seconds", "histogram", ("space",), "From a task's arrival until a worker took it")
SWAP = Metric("zerofarm_task_swap_seconds", "histogram", ("space",), "Then, until a child of its Space was ready")
RUN = Metric("zerofarm_task_run_seconds", "histogram", ("space",), "The run of its function")
OVERHEAD = Metric(
    "zerofarm_task_overhead_seconds", "histogram", ("space",), "The rest, on the worker, until the task's end"
)

METRICS = (
    *(WAITING, RUNNING, EXPECTED_WAIT, WORKERS, SPACES, WEB_PROCESSES, VISITORS, MEMORY, RESIDENT, RESIDENT_HOST),
    *(TASKS, STOPPED, RETRIED, REFUSED, EVICTIONS, BUSY, EXPIRED, WAIT, SWAP, RUN, OVERHEAD),
)
