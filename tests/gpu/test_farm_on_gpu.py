"""A farm whose worker has a real GPU: emulated objects become real, and harm to the GPU costs only one child."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gradio_client import Client

import spaces
from spaces.errors import TimeLimitExceeded
from spaces_workers.gpu import devices
from spaces_workers.gpu.devices import GIB, Device
from spaces_workers.gpu.probe import problem_of
from tests.harness import Farm, farm
from tests.waiting import wait_until

DEMOS = Path(__file__).parents[2] / "app" / "spaces_app" / "demos"


def call(client: spaces.Farm, function: str, *args: object) -> Any:
    return client.submit("on_gpu", function, *args).result(timeout=120)


def used(device: Device) -> int:
    reading = devices.reading(device)
    assert reading is not None
    return reading.used_bytes


def test_what_was_emulated_is_on_the_gpu(client: spaces.Farm, device: Device) -> None:
    facts = call(client, "facts")
    assert facts.pop("apart") < 1e-3
    assert facts.pop("capability") != [0, 0]
    assert facts == {
        "name": device.name,
        "visible": device.uuid,
        "count": 1,
        "is_cuda": True,
        "row": [1_000_000.0 + n for n in range(10)],
        "sum": pytest.approx(sum(range(39_999_990, 40_000_000)), rel=1e-6),
        "is_view": True,
        "is_tied": True,
        "seeded": True,
    }


def test_a_child_stays_warm(client: spaces.Farm) -> None:
    assert call(client, "pid") == call(client, "pid")


def test_children_draw_different_numbers(client: spaces.Farm) -> None:
    first = call(client, "draw")
    with pytest.raises(RuntimeError, match="device-side assert"):
        call(client, "bad_index")
    assert call(client, "draw") != first


def test_tensors_come_back_to_a_program_on_the_cpu(client: spaces.Farm) -> None:
    returned = call(client, "returns_tensor", 4)
    assert returned.device.type == "cpu"
    assert returned.tolist() == [0, 2, 4, 6]
    assert call(client, "echo_device", torch.ones(3)) == ("cpu", 3.0)


def test_streams_and_events_of_the_import_are_real_and_graphs_are_recorded(client: spaces.Farm) -> None:
    for _ in range(2):
        assert call(client, "graphs_and_streams") == (200.0, 600.0)


def test_compilers_work(client: spaces.Farm) -> None:
    assert call(client, "compiled") < 1e-4


def test_a_generator_streams(client: spaces.Farm) -> None:
    assert list(client.submit("on_gpu", "steps", 3)) == [1.0, 2.0, 3.0]


def test_a_loop_of_kernels_is_stopped_at_its_limit(client: spaces.Farm, device: Device) -> None:
    before = call(client, "pid")
    with pytest.raises(TimeLimitExceeded, match="it asked for 3 s"):
        call(client, "busy_for_ever")
    assert call(client, "pid") != before


def test_a_task_out_of_memory_says_so_and_gives_everything_back(client: spaces.Farm, device: Device) -> None:
    before = call(client, "pid")
    with pytest.raises(RuntimeError, match=r"CUDA out of memory\. Tried to allocate 4\.00 GiB"):
        call(client, "out_of_memory")
    assert call(client, "pid") != before
    wait_until(lambda: used(device) < device.memory_bytes / 4)


def test_a_fault_of_the_device_costs_one_child(client: spaces.Farm) -> None:
    before = call(client, "pid")
    with pytest.raises(RuntimeError, match="device-side assert"):
        call(client, "bad_index")
    assert call(client, "pid") != before


def test_the_driver_says_whether_a_gpu_can_be_taken(device: Device) -> None:
    assert problem_of(device) == ""
    gone = problem_of(replace(device, uuid="GPU-00000000-0000-0000-0000-000000000000"))
    assert gone.startswith("cuInit says ")


def test_memory_is_free_again_after_a_cancelled_task(client: spaces.Farm, device: Device) -> None:
    idle = used(device)
    handle = client.submit("on_gpu", "hold_memory", 8, 60)
    wait_until(lambda: used(device) > idle + 7 * GIB)
    handle.cancel()
    wait_until(lambda: used(device) < idle + GIB)


def test_spaces_that_do_not_fit_together_take_turns(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each needs two fifths of the worker's share in weights, and as much again while it computes."""
    share = 0.25
    monkeypatch.setenv("HUNGRY_GB", str(round(0.4 * share * device.memory_bytes / GIB, 1)))
    with farm(tmp_path) as made:
        script = Path(__file__).parents[1] / "spaces" / "hungry" / "app.py"
        for name in ("first", "second"):
            made.register(name, script)
        made.start_worker("gpu0", gpu=device.uuid, memory_fraction=share)
        pids: dict[str, set[int]] = {"first": set(), "second": set()}
        with made.client("first") as client:
            for name in ("first", "second", "first", "second", "second"):
                value, pid = client.submit(name, "work").result(timeout=120)
                assert value == 2
                pids[name].add(pid)
    assert {name: len(seen) for name, seen in pids.items()} == {"first": 2, "second": 2}


@pytest.mark.parametrize("demo", ["digits", "names"])
def test_a_demo_runs_on_the_gpu(gpu_farm: Farm, demo: str) -> None:
    """Real pipelines of diffusers and transformers, through their pages."""
    arguments: dict[str, list[Any]] = {"digits": [7, 4, 20, 2.0, 0, True], "names": []}
    with closing(Client(gpu_farm.start_web(demo, DEMOS / demo / "app.py"), verbose=False)) as visitor:
        assert visitor.predict(*arguments[demo], api_name="/generate")


def test_a_model_compiled_before_the_launch_runs_on_the_gpu(gpu_farm: Farm) -> None:
    with closing(Client(gpu_farm.start_web("compiled"), verbose=False)) as visitor:
        compared = visitor.predict(api_name="/compare")
    assert compared["device"] == "cuda:0"
    assert compared["apart"] < 1e-4
    assert compared["libraries"]
