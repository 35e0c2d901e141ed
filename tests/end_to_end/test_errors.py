"""The messages for visitors and the log when a task fails: each kind of end with its own message and reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from spaces.farm.task import State
from tests.end_to_end.pages import CLIENT, WORKER, fails, refused
from tests.harness import Farm
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def errors(web_farm: Farm) -> Iterator[Client]:
    """A visitor of a Space with `show_error=True`."""
    with closing(Client(web_farm.start_web("errors"), verbose=False)) as visitor:
        yield visitor


ENDS = {
    "overrun": (
        WORKER,
        r"errors\.overrun was stopped after 1 s: it asked for 1 s\. Raise @spaces\.GPU\(duration=\.\.\.\)",
    ),
    "too_large": (WORKER, r"Out of memory: Unable to allocate 4\.00 PiB for an array with shape"),
    "too_large_for_torch": (WORKER, r"Out of memory: .*DefaultCPUAllocator: can't allocate memory"),
    "too_large_for_the_gpu": (WORKER, r"Out of memory: CUDA out of memory\. Tried to allocate 20\.00 GiB\. GPU 0 has"),
    "crash": (WORKER, r"errors\.crash crashed: its process was killed by SIGSEGV\. The log of the Space may say why"),
    "killed": (WORKER, r"errors\.killed crashed: its process was killed by SIGKILL \(it held up to [\d.]+ [MG]iB\)"),
    "left": (WORKER, r"errors\.left crashed: its process exited with code 3"),
    "of_no_duration": (CLIENT, "duration must be positive, got -5"),
    "with_generator": (CLIENT, r"argument 'value' of echo\(\) cannot be sent to a GPU worker: it is a generator"),
    "returns_generator": (
        CLIENT,
        r"the value that returns_generator\(\) returned cannot be sent back: it is a generator",
    ),
    "sending": (CLIENT, r"errors\.count runs in another process, so send\(\) cannot pass a value into it"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_visitor_reads_the_reason(errors: Client, name: str) -> None:
    title, words = ENDS[name]
    refused(errors, f"/{name}", words=words, title=title)


def test_a_visitor_reads_who_cancelled(errors: Client, web_farm: Farm) -> None:
    job = errors.submit(api_name="/hold")
    (task,) = wait_until(lambda: running(web_farm))
    web_farm.queue.cancel(task, "an operator needs the GPU")
    fails(job, words=r"errors\.hold was cancelled: an operator needs the GPU", title=WORKER)


def test_a_function_s_own_words_are_shown_where_its_author_allows_it(errors: Client, web_farm: Farm) -> None:
    with pytest.raises(AppError, match=r"^no such prompt$"):
        errors.predict(api_name="/fail")
    log = (web_farm.folder / "web-errors.log").read_text()
    assert "spaces.errors.RemoteTraceback" in log
    assert 'tests/spaces/errors/app.py", line' in log
    assert "in fail\n" in log


def running(farm: Farm) -> list[str]:
    """The ids of the tasks that run."""
    ids = [os.fsdecode(key).rpartition(":")[2] for key in farm.redis.keys("*:task:*")]
    return [each for each in ids if (state := farm.queue.state(each)) and state.state is State.RUNNING]
