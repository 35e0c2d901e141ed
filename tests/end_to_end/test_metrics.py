"""A real Prometheus scrapes a real farm: whatever dashboard and alerts name exists and moves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from spaces.errors import ChildCrashed, RefusedError
from spaces.farm.page_addresses import Page, Pages, pages_path
from spaces.farm.task import State
from spaces_app.home.metrics.catalogue import METRICS, Metric
from spaces_workers.setup.metrics_token import keep_metrics_token
from tests.harness import SPACES, Farm, configured_farm, free_port
from tests.waiting import PATIENCE, wait_until

FILES = Path(__file__).parents[2] / "deploy" / "prometheus"

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="Prometheus is not installed: apt-get install prometheus",
)

MEGABYTES = 40

#: Of two Spaces one fits on the stand-in, so that one is put to sleep.
SETTINGS = f"""
[isolation]
level = "none"

[memory]
sleep = "on"
stand_in_gb = {(MEGABYTES << 20) * 1.6 / 1e9}

[limits]
space_queue = 3
"""

PANELS = json.loads((FILES / "dashboard.json").read_text())["panels"]

#: As Grafana replaces them.
VARIABLES = {"$space": ".*", "$__rate_interval": "30s"}

DRAWN = [target["expr"] for panel in PANELS for target in panel["targets"]]


def named(text: str) -> set[str]:
    """The metrics that a text names, without what a histogram's series end in."""
    found = re.findall(r"\bzerofarm_\w+", text)
    return {re.sub(r"_seconds_(bucket|sum|count)$", "_seconds", name) for name in found}


NAMED = named(" ".join(DRAWN)) | named((FILES / "alerts.yml").read_text())


class Prometheus:
    """A running Prometheus."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def ask(self, path: str, **query: str) -> Any:  # Any: JSON
        answer = self._http.get(path, params=query).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def now(self, expression: str) -> list[Any]:
        """The series that an expression has now."""
        return list(self.ask("query", query=expression)["result"])

    def lately(self, expression: str) -> list[Any]:
        """The series that it had in the last ten minutes."""
        now = time.time()
        span = {"start": str(now - 600), "end": str(now), "step": "1"}
        return list(self.ask("query_range", query=expression, **span)["result"])


@contextmanager
def running(command: list[str], log: Path, environment: dict[str, str] | None = None) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def home_page(farm: Farm) -> Iterator[int]:
    """The home page's server, for pages of which one does not start. Yields its port."""
    port = free_port()
    pages = {"faults": Page("", "serving"), "first": Page("", "serving"), "second": Page("", "failed")}
    Pages(spaces=pages).write(pages_path(farm.state_dir))
    command = [sys.executable, "-m", "spaces_app.home", "--port", str(port), "--state-dir", str(farm.state_dir)]
    with running(command, farm.folder / "home.log", os.environ | {"ZEROFARM_URL": farm.broker.url}):
        yield port


@contextmanager
def prometheus_of(farm: Farm, home: int) -> Iterator[Prometheus]:
    """Prometheus with the configuration and the rules of `deploy`, only more often."""
    folder, port = farm.folder / "prometheus", free_port()
    shutil.copytree(FILES, folder)
    shutil.copy(farm.state_dir / "metrics.token", folder)
    written = (FILES / "prometheus.yml").read_text().replace("127.0.0.1:7860", f"127.0.0.1:{home}")
    (folder / "prometheus.yml").write_text(written.replace("scrape_interval: 15s", "scrape_interval: 1s"))
    command = [
        *("prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"),
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1/")
    with running(command, farm.folder / "prometheus.log"), http:
        prometheus = Prometheus(http)
        wait_until(lambda: _is_up(prometheus))
        yield prometheus


def _is_up(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.now('up{job="zerofarm"} == 1'))
    except (httpx.HTTPError, ValueError):
        return False


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPY_MB", str(MEGABYTES))
        with configured_farm(tmp_path_factory.mktemp("metrics"), SETTINGS) as made:
            made.state_dir.mkdir()
            keep_metrics_token(made.state_dir)
            for name in ("first", "second"):
                made.register(name, SPACES / "sleepy" / "app.py")
            made.register("faults")
            yield made


@pytest.fixture(scope="module")
def prometheus(farm: Farm) -> Iterator[Prometheus]:
    """It has seen a farm on which everything happened that there is a metric of."""
    with home_page(farm) as home, prometheus_of(farm, home) as prometheus:
        use(farm, prometheus)
        yield prometheus


def use(farm: Farm, prometheus: Prometheus) -> None:
    """Success, failure, a crash, an eviction; tasks that wait, one too many; a worker that dies with its task."""
    worker = farm.start_worker()
    with farm.client() as client:
        for space in ("first", "second", "first"):
            client.submit(space, "facts").result(timeout=PATIENCE)
        wait_until(lambda: prometheus.now("sum(zerofarm_resident_host_bytes) > 0"))
        with pytest.raises(ValueError, match="no such prompt"):
            client.submit("faults", "fail").result(timeout=PATIENCE)
        with pytest.raises(ChildCrashed):
            client.submit("faults", "crash").result(timeout=PATIENCE)
        naps = [client.submit("faults", "nap", 600.0)]
        wait_until(lambda: naps[0].state == State.RUNNING)
        naps += [client.submit("faults", "nap", 0.1) for _ in range(3)]
        with pytest.raises(RefusedError, match="3 tasks of faults wait"):
            client.submit("faults", "nap", 0.1)
        wait_until(lambda: prometheus.now("sum(zerofarm_tasks_waiting) == 3"))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        farm.start_worker()
        wait_until(lambda: prometheus.now('sum(zerofarm_tasks_retried_total{cause="worker_died"}) > 0'))
        for nap in naps:
            nap.cancel()
        client.submit("faults", "add", 1, 2).result(timeout=PATIENCE)


def test_the_alerts_are_tried_by_their_own_tests() -> None:
    subprocess.run(["promtool", "test", "rules", "alerts_test.yml"], cwd=FILES, check=True)


def test_every_metric_that_dashboard_and_alerts_name_is_served() -> None:
    assert {metric.name for metric in METRICS} >= NAMED
    assert len(NAMED) > 15


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: str(metric.name))
def test_every_metric_moves(prometheus: Prometheus, metric: Metric) -> None:
    series = f"{metric.name}_count" if metric.kind == "histogram" else metric.name
    wait_until(lambda: prometheus.lately(f"sum({series}) > 0"))


@pytest.mark.parametrize("expression", DRAWN)
def test_every_panel_draws_something(prometheus: Prometheus, expression: str) -> None:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    wait_until(lambda: prometheus.lately(expression))


def test_prometheus_can_evaluate_every_rule(prometheus: Prometheus) -> None:
    def unwell() -> list[str]:
        [group] = prometheus.ask("rules")["groups"]
        return [rule["name"] for rule in group["rules"] if rule["health"] != "ok"]

    wait_until(lambda: not unwell(), otherwise=unwell)


def test_a_killed_worker_takes_no_counter_along(prometheus: Prometheus) -> None:
    """The first worker, which was killed, had all of these tasks."""
    found = prometheus.now('zerofarm_tasks_total{space="faults", state=~"failed|crashed"}')
    assert [sample["value"][1] for sample in found] == ["1", "1"]
    assert prometheus.now("sum(zerofarm_evictions_total) >= 2")


def test_the_series_of_a_removed_space_end(farm: Farm, prometheus: Prometheus) -> None:
    assert prometheus.now('zerofarm_tasks_total{space="second"}')
    pages = Pages(spaces={"faults": Page("", "serving")})
    pages.write(pages_path(farm.state_dir))
    farm.redis.delete(farm.queue.keys.space("second"))
    wait_until(lambda: not prometheus.now('{space="second", job="zerofarm"}'))
