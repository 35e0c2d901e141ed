"""The farm of `docker-compose.yml`: both images, two workers, the proxy, an added Space, restarts and an upgrade."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.containers.compose_farm import LOGIN, ComposeFarm, copy_of_tree, eventually

ADDED = """
import gradio as gr
import spaces

@spaces.GPU
def louder(text):
    return text.upper()

gr.Interface(louder, "text", "text", api_name="louder").launch()
"""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeFarm]:
    found = ComposeFarm(copy_of_tree(tmp_path_factory.mktemp("tree")))
    found.up("--scale", "worker=2")
    try:
        yield found
    finally:
        found.compose("down", "--volumes", check=False)


def status(farm: ComposeFarm) -> Any:  # Any: JSON
    return json.loads(farm.within("worker", "zerofarm", "status", "--json").stdout)


def send(farm: ComposeFarm, name: str) -> None:
    """Send a signal to the process of the worker, whose number is in its claim."""
    script = f"""
import os, pathlib, re, signal, socket
for claim in pathlib.Path("/run/zerofarm/gpus").glob("*.lock"):
    if found := re.search(rf"process (\\d+) on {{socket.gethostname()}}$", claim.read_text()):
        os.kill(int(found[1]), signal.{name})
"""
    farm.within("worker", "python3", "-c", script)


def draw(farm: ComposeFarm) -> Any:  # Any: the client's
    return farm.client("digits").predict(7, 2, 4, 2.0, 0, False, api_name="/generate")


def test_two_workers_serve_the_demos_behind_one_address(farm: ComposeFarm) -> None:
    eventually(lambda: len(status(farm)["workers"]) == 2)
    eventually(lambda: all(f"/spaces/{name}/" in farm.page("/") for name in ("digits", "names", "search")))
    assert draw(farm)
    assert farm.client("names").predict("surname", "b", 2, 0.8, api_name="/generate")
    assert farm.client("search").predict("rain", "Everything", 3, api_name="/search")


def test_flower_is_behind_its_login(farm: ComposeFarm) -> None:
    eventually(lambda: "cpu0@compose" in farm.page("/flower/workers", LOGIN))
    assert farm.page("/flower/workers") == ""


def test_an_unknown_space_is_no_way_into_the_network(farm: ComposeFarm) -> None:
    for name in ("nobody", "broker", "home", "localhost"):
        assert farm.page(f"/spaces/{name}/") == ""


def test_the_health_check_tells_a_stuck_worker(farm: ComposeFarm) -> None:
    assert "answers" in farm.within("worker", "zerofarm", "ping", "--run-dir", "/run/zerofarm").stdout
    send(farm, "SIGSTOP")
    try:
        asked = farm.within("worker", "zerofarm", "ping", "--run-dir", "/run/zerofarm", check=False)
    finally:
        send(farm, "SIGCONT")
    assert asked.returncode != 0
    assert "did not answer" in asked.stdout + asked.stderr


@pytest.mark.parametrize("service", ["broker", "gateway", "worker", "home", "digits", "flower", "proxy"])
def test_each_service_can_be_restarted(farm: ComposeFarm, service: str) -> None:
    farm.compose("restart", service)
    eventually(lambda: len(status(farm)["workers"]) >= 1)
    assert draw(farm)


def test_a_space_is_added_while_the_farm_runs(farm: ComposeFarm) -> None:
    (farm.tree / "louder").mkdir()
    (farm.tree / "louder" / "app.py").write_text(ADDED)
    file = farm.tree / "docker-compose.yml"
    document = yaml.safe_load(file.read_text())
    services = document["services"]
    added = services["louder"] = json.loads(json.dumps(services["digits"]).replace("digits", "louder"))
    added["command"][1] = "/louder"
    added["volumes"].append("./louder:/louder:ro")
    services["tokens"]["command"].append("--space=louder")
    services["tokens"]["volumes"].append("token-louder:/secrets/louder")
    document["volumes"]["token-louder"] = None
    file.write_text(yaml.safe_dump(document))
    farm.up("--scale", "worker=2")
    assert farm.client("louder").predict("quiet", api_name="/louder") == "QUIET"


def test_tasks_that_wait_survive_an_upgrade_of_the_images(farm: ComposeFarm) -> None:
    client = farm.client("digits")
    farm.compose("stop", "worker")
    waiting = [client.submit(7, 1, 4, 2.0, seed, False, api_name="/generate") for seed in range(4)]
    eventually(lambda: sum(queue["waiting"] for queue in json.loads(farm.page("/api/status"))["queues"]) == 4)
    farm.up("--force-recreate", "--no-deps", "--scale", "worker=2", "worker")
    assert all(each.result(timeout=300) for each in waiting)
