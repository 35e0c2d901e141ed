"""A task of `spaces.Farm` outlives the program that submitted it, and is found again by its id."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

import spaces
from spaces.errors import RefusedError
from spaces.farm.task import State
from spaces.farm.values.signing import derive_space_key
from tests.harness import FARM_KEY, Farm
from tests.waiting import PATIENCE, wait_until


def test_a_task_is_found_again_while_it_runs(shared_farm: Farm, client: spaces.Farm) -> None:
    task_id = client.submit("faults", "count", 5, pause=0.1).detach()
    gc.collect()
    with shared_farm.client() as later:
        handle = later.task(task_id)
        assert handle.id == task_id
        assert list(handle) == [0, 1, 2, 3, 4]


def test_a_task_that_ended_meanwhile_is_found_again(shared_farm: Farm, client: spaces.Farm) -> None:
    task_id = client.submit("faults", "echo", bytes(2**20)).detach()
    wait_until(lambda: shared_farm.queue.state(task_id).state is State.SUCCEEDED)  # type: ignore[union-attr]
    with shared_farm.client() as later:
        handle = later.task(task_id)
        assert handle.done
        assert handle.result(PATIENCE) == bytes(2**20)


@pytest.mark.parametrize("ended", [True, False])
def test_who_only_looks_at_a_task_leaves_its_outcome_to_others(
    shared_farm: Farm, client: spaces.Farm, ended: bool
) -> None:
    """The first handle that was found by the id, and dropped, had the outcome discarded."""
    with client.submit("faults", "count", 10_000, pause=0.1) as before:
        task_id = client.submit("faults", "echo", bytes(2**20)).detach()
        if ended:
            before.cancel()
            wait_until(lambda: shared_farm.queue.state(task_id).state is State.SUCCEEDED)  # type: ignore[union-attr]
        with shared_farm.client() as looks:
            assert looks.task(task_id).done is ended
        with shared_farm.client() as looks, looks.task(task_id) as handle:
            assert handle.done is ended
    with shared_farm.client() as reads:
        assert reads.task(task_id).result(PATIENCE) == bytes(2**20)


def test_an_error_is_found_again(shared_farm: Farm, client: spaces.Farm) -> None:
    with client.submit("faults", "fail") as handle:
        task_id = handle.detach()
    with shared_farm.client() as later, pytest.raises(ValueError, match="no such prompt"):
        later.task(task_id).result(PATIENCE)


PROGRAM = """
import sys, spaces
with spaces.Farm(sys.argv[1], sys.argv[2]) as farm:
    handle = farm.submit("faults", "count", 3, pause=0.2)
    print(handle.detach() if sys.argv[3] == "detach" else handle.id)
"""


def in_a_program(farm: Farm, how: str) -> str:
    """The id of a task whose program has ended."""
    arguments = [farm.broker.url, derive_space_key(FARM_KEY, "faults").hex(), how]
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return told.stdout.strip()


def test_a_task_outlives_the_program_that_submitted_it(shared_farm: Farm, client: spaces.Farm) -> None:
    handle = client.task(in_a_program(shared_farm, "detach"))
    assert list(handle) == [0, 1, 2]


def test_a_task_whose_program_left_it_is_refused_with_the_remedy(shared_farm: Farm, client: spaces.Farm) -> None:
    task_id = in_a_program(shared_farm, "leave")
    wait_until(lambda: shared_farm.queue.state(task_id).state.final)  # type: ignore[union-attr]
    with pytest.raises(RefusedError, match=r"call handle.detach\(\) there"):
        client.task(task_id)


def test_an_unknown_task_is_refused(client: spaces.Farm) -> None:
    with pytest.raises(RefusedError, match="does not know task 00ff"):
        client.task("00ff")
