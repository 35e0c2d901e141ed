"""Traces of tasks, as a collector of OpenTelemetry gets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gradio_client import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import spaces
from tests.collector import Collector, Span, collector
from tests.end_to_end.test_up import Up, serving
from tests.harness import SPACES, Farm, farm, free_port
from tests.waiting import PATIENCE, wait_until

SPACES_OF_TESTS = ("faults", "traced")

#: Parts of a task that a worker had, in the order in which they begin.
PARTS = ["call", "encode", "wait", "process", "swap", "run"]


@contextmanager
def home_page(farm: Farm, **environment: str) -> Iterator[None]:
    """The home page's server with these variables, which has begun to read what has ended."""
    log = farm.folder / "home.log"
    command = [sys.executable, "-m", "spaces_app.home", "--port", str(free_port()), "--state-dir", str(farm.state_dir)]
    variables = os.environ | {"ZEROFARM_URL": farm.broker.url_of("home"), "ZEROFARM_ROLE": "none"} | environment
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=variables)
    try:
        wait_until(lambda: reads(farm), otherwise=log.read_text)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
        print(log.read_text())  # shown where a test fails


def reads(farm: Farm) -> bool:
    """Whether the broker knows that somebody writes traces."""
    key = farm.queue.keys.history()
    return bool(farm.redis.exists(key) and farm.redis.xinfo_groups(key))


@pytest.fixture(scope="module")
def collected() -> Iterator[Collector]:
    with collector() as made:
        yield made


@pytest.fixture(scope="module")
def traced_farm(tmp_path_factory: pytest.TempPathFactory, collected: Collector) -> Iterator[Farm]:
    """A farm whose processes have the operator's variables."""
    with pytest.MonkeyPatch.context() as patch, farm(tmp_path_factory.mktemp("farm")) as made:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collected.url)
        patch.setenv("TRACED_COLLECTOR", f"{collected.url}/v1/traces")
        made.register()
        made.start_gateway(*SPACES_OF_TESTS)
        made.start_worker()
        with home_page(made, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20secret"):
            yield made


@pytest.fixture
def client(traced_farm: Farm) -> Iterator[spaces.Farm]:
    """A program, by the gateway."""
    with traced_farm.client_of_gateway() as client:
        yield client


def spans_of(collected: Collector, task_id: str) -> dict[str, Span]:
    return wait_until(lambda: collected.of_task(task_id))


def test_a_task_is_one_trace_across_its_processes(client: spaces.Farm, collected: Collector) -> None:
    handle = client.submit("faults", "add", "a word of the visitor's", " and another")
    handle.result()
    found = spans_of(collected, handle.task.id)
    assert list(found) == PARTS
    assert {part: each.service for part, each in found.items()} == dict.fromkeys(PARTS[:3], "zerofarm-page") | (
        dict.fromkeys(PARTS[3:], "zerofarm-worker")
    )
    assert len({each.trace for each in found.values()}) == 1
    call, process = found["call"], found["process"]
    parents = {part: each.parent for part, each in found.items()}
    assert parents == {"call": "", "swap": process.id, "run": process.id} | dict.fromkeys(
        ("encode", "wait", "process"), call.id
    )


def test_the_parts_of_a_task_follow_each_other(client: spaces.Farm, collected: Collector) -> None:
    handle = client.submit("faults", "nap", 0.3)
    handle.result()
    spans = {part: each.sent for part, each in spans_of(collected, handle.task.id).items()}
    assert spans["call"].start_time_unix_nano == spans["encode"].start_time_unix_nano
    for before, after in (("encode", "wait"), ("wait", "process"), ("swap", "run")):
        assert spans[before].end_time_unix_nano == spans[after].start_time_unix_nano
    assert spans["process"].start_time_unix_nano == spans["swap"].start_time_unix_nano
    assert spans["run"].end_time_unix_nano <= spans["process"].end_time_unix_nano
    assert spans["process"].end_time_unix_nano == spans["call"].end_time_unix_nano
    assert spans["encode"].end_time_unix_nano > spans["encode"].start_time_unix_nano
    assert spans["run"].end_time_unix_nano - spans["run"].start_time_unix_nano >= 0.3e9


def test_spans_say_what_ran_and_how_but_nothing_of_the_visitors(client: spaces.Farm, collected: Collector) -> None:
    handle = client.submit("faults", "add", "a word of the visitor's", "")
    handle.result()
    told = spans_of(collected, handle.task.id)["process"].attributes
    assert told["messaging.system"] == "celery"
    assert told["messaging.operation.type"] == "process"
    assert told["messaging.destination.name"] == "zerofarm.large"
    assert told["messaging.message.id"] == told["zerofarm.task"] == handle.task.id
    assert (told["zerofarm.space"], told["zerofarm.outcome"], told["zerofarm.attempt"]) == ("faults", "succeeded", 1)
    assert told["zerofarm.start"] in ("cold", "warm")
    assert not any(b"word of the visitor" in body for body in collected.bodies)


def test_a_failed_task_names_the_class_of_its_error_alone(client: spaces.Farm, collected: Collector) -> None:
    handle = client.submit("faults", "add", "a word of the visitor's", 1)
    with pytest.raises(TypeError):
        handle.result()
    found = spans_of(collected, handle.task.id)
    assert {part for part, each in found.items() if each.sent.status.code == 2} == {"call", "process", "run"}
    assert found["run"].attributes["error.type"] == "TypeError"
    assert not any(b"concatenate" in body for body in collected.bodies)


def test_a_task_that_no_worker_had_only_waits(client: spaces.Farm, traced_farm: Farm, collected: Collector) -> None:
    end = traced_farm.folder / "end"
    first = client.submit("faults", "reversed_when", str(end), b"ab")
    second = client.submit("faults", "nap", 1.0)
    second.cancel()
    assert list(spans_of(collected, second.task.id)) == PARTS[:3]
    end.touch()
    assert first.result() == b"ba"


def test_a_task_belongs_to_the_trace_of_its_caller(client: spaces.Farm, collected: Collector) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("test").start_as_current_span("caller") as caller:
        handle = client.submit("faults", "add", 1, 2)
    handle.result()
    call = spans_of(collected, handle.task.id)["call"]
    mine = caller.get_span_context()
    assert (call.trace, call.parent) == (trace.format_trace_id(mine.trace_id), trace.format_span_id(mine.span_id))


def test_only_the_home_page_has_the_collectors_secret(
    client: spaces.Farm, traced_farm: Farm, collected: Collector
) -> None:
    client.submit("faults", "add", 1, 2).result()
    wait_until(lambda: collected.headers)
    assert collected.headers[0]["authorization"] == "Bearer secret"
    seen = client.submit("faults", "environment").result()
    assert not [name for name in seen if name.startswith("OTEL_")]


def test_a_task_whose_worker_was_killed_has_its_trace_too(
    client: spaces.Farm, traced_farm: Farm, collected: Collector
) -> None:
    [worker] = traced_farm.workers
    handle = client.submit("faults", "nap", 2.0)
    wait_until(lambda: handle.state == "running")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    traced_farm.workers.clear()
    traced_farm.start_worker()
    handle.result()
    assert spans_of(collected, handle.task.id)["process"].attributes["zerofarm.attempt"] == 2


def test_spans_of_the_authors_code_are_within_the_function(traced_farm: Farm, collected: Collector) -> None:
    """The page and the forked child of a Space with an SDK of its own."""
    url = traced_farm.start_web("traced")
    visitor = Client(url, verbose=False)
    assert visitor.predict("red", api_name="/click") == "red paint"
    visitor.close()
    named = wait_until(lambda: complete({each.name: each for each in collected.spans}))
    assert named["call traced.paint"].parent == named["click"].id
    assert named["mix"].parent == named["run traced.paint"].id
    assert len({named[name].trace for name in ("click", "call traced.paint", "run traced.paint", "mix")}) == 1
    assert {named["click"].service, named["mix"].service} == {"traced"}


def complete(named: dict[str, Span]) -> dict[str, Span]:
    return named if {"click", "mix", "run traced.paint"} <= named.keys() else {}


def test_zerofarm_up_gives_each_process_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collected.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret")
        started = Up(tmp_path, str(SPACES / "echo"), "--gpus", "none", "--no-flower")
        with serving(started):
            visitor = started.client()
            visitor.predict("ada", api_name="/echo")
            found = wait_until(lambda: {each.name: each for each in collected.spans if each.name.endswith("echo.echo")})
            assert {f"{part} echo.echo" for part in PARTS} == set(found)
            assert found["encode echo.echo"].sent.end_time_unix_nano > found["call echo.echo"].sent.start_time_unix_nano
            assert collected.headers[0]["authorization"] == "Bearer secret"
            assert not [name for seen in variables(visitor) for name in seen if name.startswith("OTEL_")]


def variables(visitor: Client) -> list[dict[str, str]]:
    """Those of the page and of a child."""
    seen: list[dict[str, str]] = visitor.predict(api_name="/variables")
    return seen
