"""The metrics of a farm: their reference is current, their labels are bounded, and strangers do not read them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from prometheus_client.core import Metric as Made
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from spaces.errors import FarmUnavailable
from spaces.farm.farm_status import FarmStatus, QueueStatus, ResidentStatus, SpaceStatus, TaskStatus, WorkerStatus
from spaces.farm.page_addresses import Page
from spaces.farm.queue.counters.counters import Counters, Histogram, SpaceCounts, Span, WorkerTally
from spaces.farm.queue.counters.crowd import Crowd
from spaces_app.home.app import make_app
from spaces_app.home.metrics.__main__ import reference
from spaces_app.home.metrics.access import read_token
from spaces_app.home.metrics.catalogue import METRICS
from spaces_app.home.metrics.collector import Readings
from spaces_app.home.snapshots import Snapshots
from spaces_workers.setup.metrics_token import keep_metrics_token

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"

TOKEN = "a token"

WAIT = Histogram((*(0 for _ in range(13)), 1, 0, 1), 5000.0)

STATUS = FarmStatus(
    now=0.0,
    home="",
    flower="",
    workers=(
        WorkerStatus(
            *("gpu0@host", "host", 1, "NVIDIA H200", ("large",), 100, 60, ("digits.generate",), ("digits",), 3),
            residents=(ResidentStatus("digits", "asleep", 60, 70),),
            uuid="GPU-1",
        ),
    ),
    queues=(QueueStatus("large", 2, 7.5), QueueStatus("xlarge", 0, None)),
    refusals=(),
    spaces=(SpaceStatus("digits", (), 2, 1, 7.5, Page("", "serving"), waiting_by_size={"large": 2}),),
    tasks=(TaskStatus("1", "digits.generate", "digits", "running", "gpu0@host", None, 0, 0, None, 60, size="large"),),
)

COUNTS = SpaceCounts({"failed": 4}, {"time_limit": 1}, {}, dict.fromkeys(Span, WAIT))


class Reader:
    """A farm of one Space, seen at one moment."""

    def readings(self) -> Readings:
        counters = Counters({"digits": COUNTS}, {"gpu0@host": WorkerTally(1.5, {"asleep": 2})}, {"worker": 1})
        return Readings(STATUS, counters, Crowd(3, 2))


class NoFarm:
    """A broker that is away."""

    def readings(self) -> Readings:
        raise FarmUnavailable("the broker does not answer")

    counters = readings


def client(farm: object, address: str = "127.0.0.1") -> TestClient:
    app = make_app(cast(Snapshots, farm), ["farm.example"], TOKEN)
    return TestClient(app, base_url="http://farm.example", client=(address, 50000))


@pytest.fixture(scope="module")
def families() -> dict[str, Made]:
    text = client(Reader()).get("/metrics").text
    return {each.name: each for each in text_string_to_metric_families(text)}


def value(families: dict[str, Made], name: str, **labels: str) -> float:
    [found] = [
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return found


def test_the_reference_is_current() -> None:
    assert DOCUMENT.read_text() == reference() + "\n", "python -m spaces_app.home.metrics > docs/metrics.md"


def test_every_metric_is_served_with_the_labels_that_the_reference_has(families: dict[str, Made]) -> None:
    assert {each.name.removesuffix("_total") for each in METRICS} == {*families}
    for metric in METRICS:
        for sample in families[metric.name.removesuffix("_total")].samples:
            assert {*sample.labels} - {"le"} == {*metric.labels}


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("zerofarm_tasks_waiting", {"space": "digits", "size": "large"}, 2),
        ("zerofarm_tasks_waiting", {"space": "digits", "size": "xlarge"}, 0),
        ("zerofarm_tasks_running", {"space": "digits", "size": "large"}, 1),
        ("zerofarm_expected_wait_seconds", {}, 7.5),
        ("zerofarm_workers", {"size": "xlarge"}, 0),
        ("zerofarm_spaces", {"state": "serving"}, 1),
        ("zerofarm_web_processes", {}, 3),
        ("zerofarm_visitors_waiting", {}, 2),
        ("zerofarm_resident_bytes", {"UUID": "GPU-1", "space": "digits"}, 60),
        ("zerofarm_resident_host_bytes", {"UUID": "GPU-1", "space": "digits"}, 70),
        ("zerofarm_tasks_total", {"state": "failed"}, 4),
        ("zerofarm_tasks_total", {"state": "lost"}, 0),
        ("zerofarm_runs_stopped_total", {"cause": "time_limit"}, 1),
        ("zerofarm_tasks_retried_total", {"cause": "worker_died"}, 0),
        ("zerofarm_tasks_refused_total", {"limit": "quota"}, 0),
        ("zerofarm_evictions_total", {"UUID": "GPU-1", "outcome": "asleep"}, 2),
        ("zerofarm_gpu_busy_seconds_total", {"UUID": "GPU-1"}, 1.5),
        ("zerofarm_lease_expiries_total", {"kind": "client"}, 0),
        ("zerofarm_task_wait_seconds_bucket", {"le": "1800.0"}, 1),
        ("zerofarm_task_wait_seconds_bucket", {"le": "+Inf"}, 2),
        ("zerofarm_task_wait_seconds_sum", {}, 5000),
    ],
)
def test_a_metric_has_the_value_of_its_source(
    families: dict[str, Made], name: str, labels: dict[str, str], expected: float
) -> None:
    assert value(families, name, **labels) == expected


def test_a_program_of_this_host_needs_no_token() -> None:
    assert client(Reader()).get("/metrics").status_code == 200
    assert client(Reader(), "::1").get("/metrics").status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_who_comes_through_a_proxy_of_this_host_needs_the_token(header: str) -> None:
    answer = client(Reader()).get("/metrics", headers={header: "127.0.0.1"})
    assert answer.status_code == 403
    assert "metrics.token" in answer.text


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("", 403), ("Bearer", 403), ("Bearer another", 403), (f"Basic {TOKEN}", 403), (f"Bearer {TOKEN}", 200)],
)
def test_a_stranger_needs_the_token(authorization: str, status: int) -> None:
    answer = client(Reader(), "10.2.3.4").get("/metrics", headers={"Authorization": authorization})
    assert answer.status_code == status


def test_without_a_token_no_stranger_is_answered() -> None:
    app = make_app(cast(Snapshots, Reader()), ["farm.example"], "")
    with TestClient(app, base_url="http://farm.example", client=("10.2.3.4", 1)) as stranger:
        assert stranger.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403


def test_a_page_of_another_site_cannot_read_them() -> None:
    assert client(Reader()).get("/metrics", headers={"Host": "evil.example"}).status_code == 421


def test_prometheus_hears_that_the_broker_is_away() -> None:
    assert client(NoFarm()).get("/metrics").status_code == 503


def test_the_form_of_openmetrics_is_served_to_those_that_ask() -> None:
    answer = client(Reader()).get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_the_token_is_made_once_for_its_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_token(tmp_path) == ""
    made = keep_metrics_token(tmp_path)
    assert keep_metrics_token(tmp_path) == made == read_token(tmp_path)
    assert (tmp_path / "metrics.token").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("ZEROFARM_METRICS_TOKEN", "another")
    assert read_token(tmp_path) == "another"


def test_a_quantile_is_linear_within_its_bucket() -> None:
    assert WAIT.quantile(0.5) == 1800.0
    assert Histogram((10, *(0 for _ in range(15))), 1.0).quantile(0.5) == 0.025
    assert Histogram(tuple(0 for _ in range(16)), 0.0).quantile(0.5) is None
