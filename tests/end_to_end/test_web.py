"""A Space's page over a real farm: what its visitors get, see and may do, through gradio_client."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from spaces.farm.task import State
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until

QUEUE = "ZeroGPU queue"


def states(farm: Farm) -> list[str]:
    """The states of all tasks that the broker remembers."""
    return [str(farm.queue.state(key.decode().rpartition(":")[2]).state) for key in farm.redis.keys("*:task:*")]  # type: ignore[union-attr]


def test_a_button_returns_what_the_function_returned(visitor: Client) -> None:
    assert visitor.predict("Ada", api_name="/greet") == "Hello Ada"


def test_an_ordinary_handler_may_call_a_gpu_function(visitor: Client) -> None:
    assert visitor.predict("Ada", api_name="/plain") == "Hello Ada!"


def test_a_coroutine_is_a_gpu_function_too(visitor: Client) -> None:
    assert visitor.predict("Ada", api_name="/later") == "later Ada"


def test_a_generator_streams_every_value(visitor: Client) -> None:
    job = visitor.submit(5, 0.05, api_name="/count")
    assert list(job) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(("name", "argument", "shown"), [("greet", "Ada", "step "), ("tracked", 4, "tracking")])
def test_progress_reaches_the_page(studio: str, name: str, argument: Any, shown: str) -> None:
    with browsing(studio, name, argument) as lines:
        assert [bar for bar in bars(lines) if bar.startswith(shown)]


def test_a_gr_error_keeps_its_words(visitor: Client) -> None:
    with pytest.raises(AppError, match="too dark"):
        visitor.predict(api_name="/refuse")


def test_another_error_shows_no_more_than_gradio_would(visitor: Client, web_farm: Farm) -> None:
    with pytest.raises(AppError) as caught:
        visitor.predict(api_name="/fail")
    assert "secret" not in str(caught.value)
    assert "a secret of the author's" in (web_farm.folder / "web-studio.log").read_text()


def test_a_visitor_reads_why_a_task_was_stopped(visitor: Client) -> None:
    with pytest.raises(AppError, match=r"studio\.overrun was stopped after 1 s: it asked for 1 s"):
        visitor.predict(api_name="/overrun")


def test_a_visitor_reads_which_argument_cannot_be_sent(visitor: Client) -> None:
    with pytest.raises(AppError, match="argument 'name' of greet"):
        visitor.predict(api_name="/with_lock")


def test_a_running_plain_function_of_a_visitor_who_leaves_is_killed(
    studio: str, web_farm: Farm, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    with browsing(studio, "hold", 600, str(note)):
        wait_until(note.exists)
    wait_until(lambda: "running" not in states(web_farm))
    assert str(State.CANCELLED) in states(web_farm)


def test_a_queued_task_of_a_visitor_who_leaves_never_runs(
    studio: str, visitor: Client, web_farm: Farm, tmp_path: Path
) -> None:
    running = visitor.submit(str(tmp_path / "end"), str(tmp_path / "first"), api_name="/hold_until")
    wait_until((tmp_path / "first").exists)
    with browsing(studio, "hold", 0, str(tmp_path / "second")):
        wait_until(lambda: web_farm.queue.depth("large") == 1)
    wait_until(lambda: web_farm.queue.depth("large") == 0)
    (tmp_path / "end").touch()
    assert running.result(timeout=PATIENCE) == "held"
    assert not (tmp_path / "second").exists()


def test_a_visitor_who_waits_sees_place_and_seconds_and_then_the_progress_of_the_function(
    studio: str, visitor: Client, tmp_path: Path
) -> None:
    running = visitor.submit(str(tmp_path / "end"), str(tmp_path / "note"), api_name="/hold_until")
    wait_until((tmp_path / "note").exists)
    with browsing(studio, "greet", "Ada") as lines:
        shown = bars(lines)
        assert re.fullmatch(r"Queue: 1st of 1, about \d+ s", next(shown))
        (tmp_path / "end").touch()
        assert [bar for bar in shown if bar.startswith("step ")]
    assert running.result(timeout=PATIENCE) == "held"


def test_a_visitor_who_waits_is_told_so_and_one_who_does_not_is_not(
    studio: str, visitor: Client, tmp_path: Path
) -> None:
    with browsing(studio, "hold_until", str(tmp_path / "end"), str(tmp_path / "note")) as words:
        wait_until((tmp_path / "note").exists)
        with browsing(studio, "later", "Ada") as others:
            told = toasts(others)
            assert next(told) == "Waiting for a GPU to become available"
            (tmp_path / "end").touch()
            assert [*told] == ["Successfully acquired a GPU"]
        assert [*toasts(words)] == []


def test_a_visitor_is_warned_before_a_task_is_stopped(studio: str) -> None:
    """At four fifths of its time, where at least 2 s are left."""
    with browsing(studio, "dawdle") as words:
        wait_until(lambda: "dawdle has run for 8 s. It will be stopped at its time limit of 10 s." in next(words))


def test_a_stream_of_a_visitor_who_leaves_is_closed(studio: str, web_farm: Farm) -> None:
    with browsing(studio, "count", 100_000, 0.01) as words:
        wait_until(lambda: "process_generating" in next(words))
    wait_until(lambda: "running" not in states(web_farm))


def test_a_stream_of_large_values_leaves_nothing_when_its_visitor_leaves(web_farm: Farm) -> None:
    """The values that the visitor had not seen stayed in shared memory for good: 53 files of 1 MB after five frames."""
    url = web_farm.start_web("frames")
    with browsing(url, "sizes", 2000) as words:
        wait_until(lambda: "process_generating" in next(words))
    wait_until(lambda: "running" not in states(web_farm))
    wait_until(lambda: not web_farm.payloads(), otherwise=web_farm.payloads)


def test_tasks_of_a_web_process_that_is_killed_end(web_farm: Farm, tmp_path: Path) -> None:
    app = tmp_path / "doomed" / "app.py"
    app.parent.mkdir()
    app.write_text((Path(__file__).parents[1] / "spaces" / "studio" / "app.py").read_text())
    url = web_farm.start_web("doomed", app)
    with browsing(url, "hold", 600, str(tmp_path / "pid")):
        wait_until((tmp_path / "pid").exists)
        web_farm.webs["doomed"].kill()
        wait_until(lambda: "running" not in states(web_farm))


def messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """All that the browser is told, up to the end of the event."""
    for line in lines:
        message = json.loads(line.removeprefix("data: ") or "{}")
        yield message
        if message.get("msg") == "process_completed":
            return
    raise AssertionError("the stream ended before the event")


def bars(lines: Iterator[str]) -> Iterator[str]:
    """The texts of the progress bar."""
    for message in messages(lines):
        for bar in message.get("progress_data") or []:
            if bar["desc"]:
                yield bar["desc"]


def toasts(lines: Iterator[str]) -> Iterator[str]:
    """The toasts of the farm's queue."""
    for message in messages(lines):
        if message.get("msg") == "log" and message.get("title", QUEUE) == QUEUE:  # Gradio 4 has no titles
            yield message["log"]


@contextmanager
def browsing(url: str, function: str, *arguments: Any) -> Iterator[Iterator[str]]:
    """Press a button and listen to the page's stream, as a browser does; leaving closes the tab."""
    config = httpx.get(f"{url}/config").json()
    index = next(each["id"] for each in config["dependencies"] if each["api_name"] == function)
    request = {"data": arguments, "fn_index": index, "session_hash": uuid.uuid4().hex}
    base = f"{url}{config.get('api_prefix', '')}/queue"
    httpx.post(f"{base}/join", json=request).raise_for_status()
    with httpx.stream("GET", f"{base}/data", params={"session_hash": request["session_hash"]}) as stream:
        yield stream.iter_lines()
