"""Pages reach the farm through a gateway: all works as before, and no page can act for another Space."""

from __future__ import annotations

import math
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

import spaces
from spaces.errors import FarmUnavailable, RefusedError, TaskCancelled
from spaces.farm import wire
from spaces.farm.links import messages as says
from spaces.farm.links.frames import HEADER
from spaces.farm.task import LOAD, State, Task
from tests.harness import Farm
from tests.processes.gateway_line import bare_page, task_of
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(scope="module")
def gated(shared_farm: Farm) -> Farm:
    """A farm with a gateway for two Spaces."""
    shared_farm.start_gateway("faults", "other")
    return shared_farm


@pytest.fixture
def page(gated: Farm) -> Iterator[spaces.Farm]:
    """The page of the Space `faults`."""
    with gated.client_of_gateway() as page:
        yield page


# --- what works as before


def test_values_streams_and_errors_arrive(page: spaces.Farm) -> None:
    assert page.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
    assert list(page.submit("faults", "count", 300)) == list(range(300))
    with pytest.raises(KeyError, match="third"):
        list(page.submit("faults", "yield_then_fail"))


def test_a_program_that_knows_an_earlier_revision_asks_again(page: spaces.Farm) -> None:
    record = page._spaces.latest("faults")
    assert page.submit("faults", "add", 1, 2).task.only_latest
    page._spaces._known["faults"] = math.inf, replace(record, revision="0" * 16)
    handle = page.submit("faults", "add", 1, 2)
    assert (handle.task.revision, handle.result(timeout=60)) == (record.revision, 3)


def test_a_large_value_waits_in_the_memory_of_the_host(page: spaces.Farm) -> None:
    data = os.urandom(500_000)
    assert page.submit("faults", "echo", data).result(timeout=PATIENCE) == data


def test_a_value_of_another_host_passes_the_gateway_in_pieces(gated: Farm) -> None:
    data = os.urandom(3_000_000)
    with gated.client_of_gateway(host="elsewhere") as page:
        assert page.submit("faults", "echo", data).result(timeout=PATIENCE) == data


def test_a_task_is_seen_and_cancelled(page: spaces.Farm) -> None:
    running, waiting = page.submit("faults", "nap", 600), page.submit("faults", "nap", 600)
    wait_until(lambda: running.state is State.RUNNING)
    assert waiting.position == 0
    waiting.cancel("enough")
    running.cancel("enough")
    for handle in (waiting, running):
        with pytest.raises(TaskCancelled, match="enough"):
            handle.result(timeout=PATIENCE)


def test_a_detached_task_is_found_again(page: spaces.Farm) -> None:
    task_id = page.submit("faults", "add", 2, 2).detach()
    assert page.task(task_id).result(timeout=PATIENCE) == 4


def test_what_nobody_reads_is_discarded(page: spaces.Farm) -> None:
    """The fixture of the farm fails if a payload stays."""
    with page.submit("faults", "echo", os.urandom(200_000)) as handle:
        wait_until(lambda: handle.state.final)


def test_neither_celery_nor_redis_is_imported(gated: Farm) -> None:
    code = f"""
import os, sys, spaces
os.environ["ZEROFARM_RUN_DIR"], os.environ["ZEROFARM_HOST"] = {str(gated.run_dir)!r}, "test-host"
with spaces.Farm({gated.address_of("faults")!r}) as farm:
    assert farm.submit("faults", "add", 1, 2).result() == 3
print(*sorted(name for name in ("celery", "kombu", "redis") if name in sys.modules))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert (found.stdout, found.returncode) == ("\n", 0), found.stderr


# --- what a page cannot do


def test_no_page_submits_for_another_space(gated: Farm) -> None:
    with bare_page(gated.address_of("faults")) as page:
        assert page.ask(says.Submit(task_of("other", "add", 1, 2))).text == (
            "this connection may not use Space 'other'"
        )
        assert page.ask(says.Find("other")).error == "RefusedError"


def test_no_page_loads_its_space_on_a_gpu(gated: Farm) -> None:
    """Only operators may: it is charged to nobody."""
    with bare_page(gated.address_of("faults")) as page:
        refused = page.ask(says.Submit(replace(task_of("faults", "add"), function=LOAD)))
    assert refused.text == "only operators of the farm may load a Space: `zerofarm load faults`"


def test_a_page_cannot_read_stop_or_follow_a_task_of_another_space(own_farm: Farm) -> None:
    own_farm.start_gateway("faults")
    task = task_of("other", "add")
    own_farm.queue.push(task, b"{}")
    with bare_page(own_farm.address_of("faults")) as page:
        mine = task_of("faults", "add", id=task.id)
        for message in (
            *(says.Cancel(task.id, "mine"), says.AskState(task.id), says.Join(task.id), says.Unfollow(task.id)),
            *(says.Keep(mine), says.Submit(mine)),
        ):
            assert "does not know task" in page.ask(message).text
        assert page.ask(says.AskPlaces((task.id,))).places == (says.ThePlace(0, 0, None),)
        page.tell(says.Follow(task.id, "0-0"))
        page.tell(says.Credit(task.id, 5))
        page.ask(says.AskHosts())
        wait_until(lambda: page.failures or page.next(timeout=0.1))
        own_farm.queue.cancel(task.id, "the end")
        assert page.next(timeout=0.3) is None
        assert page.events == []
        assert [(failure.task, failure.error) for failure in page.failures] == [(task.id, "TaskLost")]
    assert own_farm.redis.hget(own_farm.queue.keys.task(task.id), "reader") == b""
    assert not own_farm.redis.exists(own_farm.queue.keys.credit(task.id))


def test_no_page_gets_the_arguments_of_a_failed_task_that_was_not_detached(gated: Farm, page: spaces.Farm) -> None:
    with page.submit("faults", "fail") as failing:
        with pytest.raises(ValueError, match="no such prompt"):
            failing.result(timeout=PATIENCE)
        with bare_page(gated.address_of("faults")) as other:
            answer = other.ask(says.Join(failing.id))
    assert isinstance(answer, says.Refusal)
    assert "call handle.detach() there" in answer.text


def test_what_a_page_says_of_itself_is_replaced(gated: Farm) -> None:
    lies = {"client": "the client of another", "reader": "an inbox", "visitor": "space:other", "estimate": -1e9}
    with bare_page(gated.address_of("faults")) as page:
        task = task_of("faults", "add", 1, 2, **lies)
        assert page.ask(says.Submit(task)) == says.Done()
        packed: Any = gated.redis.hget(gated.queue.keys.task(task.id), "task")
        client, reader, estimate = cast(
            "list[bytes]", gated.redis.hmget(gated.queue.keys.task(task.id), "client", "reader", "estimate")
        )
        assert client.startswith(b"test-host:faults:")
        assert reader != b"an inbox"
        assert float(estimate) >= 0
        if packed is not None:  # it has not ended yet
            told = wire.unpack_as(Task, packed)
            assert told.visitor == "space:faults"
        wait_until(lambda: page.next() and page.kinds()[-1:] == ["Succeeded"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("time_limit", float("nan")), ("time_limit", float("inf")), ("time_limit", -1.0), ("size", "huge")],
)
def test_a_task_that_would_disturb_the_ranking_is_refused(field: str, value: object, gated: Farm) -> None:
    with bare_page(gated.address_of("faults")) as page:
        assert "no GPU of size" in page.ask(says.Submit(task_of("faults", "add", **{field: value}))).text


@pytest.mark.parametrize("name", ["../../x", "a:b", "0" * 31, "0" * 32 + "\n"])
def test_names_are_checked_before_they_are_part_of_a_key(name: str, gated: Farm) -> None:
    with bare_page(gated.address_of("faults")) as page:
        for message in (
            says.Submit(task_of("faults", "add", id=name)),
            says.Submit(task_of("faults", "add", revision=name)),
            says.AskState(name),
            says.WriteBlob(name, 0, b""),
            says.ReadBlob(name, 0),
        ):
            assert page.ask(message).error == "RefusedError"


def test_a_page_registers_only_its_own_space(gated: Farm) -> None:
    record = gated.registry.find("faults")
    with bare_page(gated.address_of("other")) as page:
        told = page.ask(says.Register(replace(record, name="faults", client="x", host="y")))
        assert told.name == "other"
        assert told.client.startswith("test-host:other:")
    assert gated.registry.find("faults") == record


def test_garbage_ends_one_connection(gated: Farm) -> None:
    address = gated.address_of("faults")
    garbage = [b"\xff" * 8, HEADER.pack(3, 5) + b"\xc1\xc1\xc1", HEADER.pack(2**31, 5)]
    for data in garbage:
        with bare_page(address) as page:
            page.socket.sendall(data)
            with pytest.raises(ConnectionError):
                page.next()
    with bare_page(address, greets=False) as page:
        assert page.ask(says.Hello("not hexadecimal", 1)).error == "RefusedError"


@pytest.mark.parametrize("after", [f"{2**70}-0", "5--3", f"0-{2**64 - 1}"])
def test_no_page_keeps_events_from_others_by_the_entry_that_it_asks_for(after: str, gated: Farm) -> None:
    """The broker refuses to look after such an entry, and it is asked for the events of all pages at once."""
    with bare_page(gated.address_of("other")) as hostile, gated.client_of_gateway() as page:
        task = task_of("other", "add", 1, 2)
        hostile.ask(says.Submit(task))
        hostile.tell(says.Follow(task.id, after))
        hostile.ask(says.AskHosts())
        assert list(page.submit("faults", "count", 20, 0.05)) == list(range(20))
        hostile.ask(says.Cancel(task.id, "the end"))


REFUSED = [says.AskQuota("\udcff"), says.AskQuota("nobody"), says.ReadBlob("0" * 32, 2**63 - 1), says.Find("faults")]


@pytest.mark.parametrize("message", REFUSED, ids=lambda each: type(each).__name__)
def test_a_value_that_the_broker_cannot_hold_is_refused(message: object, gated: Farm) -> None:
    with bare_page(gated.address_of("other")) as page:
        assert page.ask(message).error == "RefusedError"
        assert isinstance(page.ask(says.AskHosts()), says.TheHosts)


def test_another_user_is_not_served(gated: Farm) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    path = gated.address_of("faults").removeprefix("gateway://")
    for folder in Path(path).parents:  # so that it is the gateway that refuses, and not a folder
        if gated.run_dir in (folder, *folder.parents):
            folder.chmod(0o755)
    Path(path).chmod(0o777)
    code = f"""
import os, socket
os.setuid(12345)
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect({path!r})
    print(sock.recv(1))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    if "PermissionError" in found.stderr:
        return  # a folder above is closed to others, which is as good
    assert found.stdout == "b''\n", found.stderr


# --- what breaks


def test_calls_are_answered_once_although_the_gateway_is_killed_again_and_again(own_farm: Farm, tmp_path: Path) -> None:
    own_farm.start_worker()
    gateway = own_farm.start_gateway("faults")
    with own_farm.client_of_gateway() as page, ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(lambda n=n: page.submit("faults", "add", n, 1).result()) for n in range(200)]  # type: ignore[misc]
        stream = page.submit("faults", "count", 400, 0.005)
        seen = []
        for number, value in enumerate(stream):
            seen.append(value)
            if number % 100 == 50:
                gateway.kill()
                gateway.wait()
                gateway = own_farm.start_gateway("faults")
        assert seen == list(range(400))
        assert [call.result(timeout=PATIENCE) for call in calls] == [n + 1 for n in range(200)]
    tasks = own_farm.redis.keys("*:task:*")
    assert len(tasks) == 201
    attempts = {own_farm.redis.hget(key, "attempt") for key in tasks}
    assert attempts == {b"1"}


def test_a_page_waits_for_a_gateway_that_is_away_and_says_so_at_last(
    own_farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_farm.start_worker()
    gateway = own_farm.start_gateway("faults")
    with own_farm.client_of_gateway() as page:
        assert page.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
        gateway.kill()
        gateway.wait()
        monkeypatch.setattr("spaces.farm.links.line.PATIENCE", 0.2)
        with pytest.raises(FarmUnavailable, match="was not queued: the farm takes no tasks now"):
            page.submit("faults", "add", 1, 2)
        monkeypatch.undo()
        own_farm.start_gateway("faults")
        assert page.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3


def test_a_page_that_does_not_read_is_disconnected_and_misses_nothing(gated: Farm) -> None:
    gateway = psutil.Process(gated.gateways[0].pid)
    before = gateway.memory_info().rss
    address = gated.address_of("faults")
    task = task_of("faults", "frames", 200, 60_000, yields=True)
    with bare_page(address) as page:
        assert page.ask(says.Submit(task)) == says.Done()
        with bare_page(address) as other:
            wait_until(lambda: other.ask(says.AskState(task.id)).state == "succeeded")
        wait_until(lambda: is_disconnected(page.socket))
        with pytest.raises(ConnectionError):
            wait_until(lambda: not page.next())
        assert "Succeeded" not in page.kinds()
    assert gateway.memory_info().rss - before < 64 * 2**20
    events = page.events
    while not events[-1].split(b" ", 3)[3].count(b"Succeeded"):
        with bare_page(address) as again:
            again.tell(says.Follow(task.id, events[-1].split(b" ", 3)[1].decode()))
            with suppress(ConnectionError):
                wait_until(lambda again=again: again.next() and again.kinds()[-1:] == ["Succeeded"])  # type: ignore[misc]
            events += again.events
    entries = [event.split(b" ", 3)[1] for event in events]
    assert len(entries) == len({*entries}) == 202  # each once: the start, 200 values, the end


def is_disconnected(sock: socket.socket) -> bool:
    """Whether the other side has closed it, whatever is left to read."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))


def test_a_broker_that_is_away_is_told_and_calls_go_on_afterwards(own_farm: Farm) -> None:
    own_farm.start_worker()
    own_farm.start_gateway("faults")
    with own_farm.client_of_gateway() as page:
        waiting = page.submit("faults", "count", 200, 0.01)
        seen = [next(iter(waiting))]
        own_farm.kill_broker()
        with pytest.raises((FarmUnavailable, RefusedError)):
            page.submit("faults", "add", 1, 2)
        own_farm.revive_broker()
        assert page.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
        assert seen + list(waiting) == list(range(200))


def test_tasks_of_a_page_end_when_it_dies(own_farm: Farm) -> None:
    """Its lease is the connection: no beat of it comes any more."""
    own_farm.start_gateway("faults")
    with bare_page(own_farm.address_of("faults")) as page:
        task = task_of("faults", "nap", 600)
        assert page.ask(says.Submit(task)) == says.Done()
        client = cast(bytes, own_farm.redis.hget(own_farm.queue.keys.task(task.id), "client")).decode()
        assert own_farm.queue.leases.has_client(client)
        assert page.ask(says.Leave()) == says.Done()
    state = own_farm.queue.state(task.id)
    assert state is not None
    assert state.state is State.CANCELLED
