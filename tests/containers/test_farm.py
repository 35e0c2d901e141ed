"""The farm of `docker-compose.yml`: both images, two workers, the proxy, an added Space, restarts and an upgrade."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers.compose_farm import LOGIN, ComposeFarm, copy_of_tree, eventually

#: A start of all containers may be part of it.
pytestmark = pytest.mark.timeout(1800)

DEMOS = ("digits", "names", "search")
SERVICES = ("broker", "gateway", "worker", "home", *DEMOS, "flower", "proxy")
TWO_WORKERS = ("--scale", "worker=2")

SEPARATED = "deploy/docker-compose.separated.yml"

#: What `pip`, `uv` and ours say when they install something, and Gradio or the Hub when they ask for something.
ASKING = ("Installing", "Collecting", "Downloading", "Resolved", "could not be had", "ConnectionError", "MaxRetryError")

RULES = """
[quota]
enabled = true

[tiers.anonymous]
longest = 1
"""

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
    try:
        found.up(*TWO_WORKERS)
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


def workers_are(farm: ComposeFarm, number: int) -> bool:
    return len(status(farm)["workers"]) == number


def test_two_workers_serve_the_demos_behind_one_address(farm: ComposeFarm) -> None:
    eventually(lambda: workers_are(farm, 2))
    eventually(lambda: all(f"/spaces/{name}/" in farm.page("/api/status") for name in DEMOS))
    assert draw(farm)
    assert farm.client("names").predict("surname", "b", 2, 0.8, api_name="/generate")
    assert farm.client("search").predict("rain", "Everything", 3, api_name="/search")


def test_pages_and_workers_have_the_same_python(farm: ComposeFarm) -> None:
    """Values that a page has pickled are read by a worker."""
    ask = ("python3", "-c", "import sys; print(sys.version_info[:2])")
    assert farm.within("digits", *ask).stdout == farm.within("worker", *ask).stdout


def test_nothing_is_asked_for_at_a_start(farm: ComposeFarm) -> None:
    """The demos asked the package index for extras of Gradio at each start."""
    said = "".join(farm.compose("logs", service).stdout for service in (*DEMOS, "home", "worker"))
    said += farm.within("worker", "sh", "-c", "cat /state/logs/*.log").stdout
    assert "Spaces are" in said, "these are no logs"
    assert [line for line in said.splitlines() if any(word in line for word in ASKING)] == []
    assert farm.within("worker", "find", "/state", "-name", "environments").stdout == ""


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


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_can_be_restarted(farm: ComposeFarm, service: str) -> None:
    farm.compose("restart", service)
    eventually(lambda: workers_are(farm, 2))
    assert draw(farm)


def test_the_rules_of_the_farm_limit_visitors(farm: ComposeFarm) -> None:
    """Nothing was mounted where the farm reads its rules. A page asks for them when it starts."""
    file = farm.tree / "deploy" / "farm.toml"
    shipped = file.read_text()
    file.write_text(RULES)
    try:
        farm.compose("restart", "gateway", "digits")
        with pytest.raises(Exception, match="larger than the maximum allowed"):
            draw(farm)
    finally:
        file.write_text(shipped)
        farm.compose("restart", "gateway", "digits")
    assert draw(farm)


def test_workers_can_separate_spaces(farm: ComposeFarm) -> None:
    """They run without a capability, and Docker's profiles forbid what it takes unless a file of ours allows it."""
    farm.up("--force-recreate", "--no-deps", *TWO_WORKERS, "worker", files=(SEPARATED,))
    eventually(lambda: workers_are(farm, 2))
    assert draw(farm)
    assert "Spaces are partly separated" in farm.compose("logs", "worker").stdout
    assert "/state/spaces/digits/home" in farm.within("worker", "find", "/state/spaces", "-name", "home").stdout


def test_a_space_is_added_while_the_farm_runs(farm: ComposeFarm) -> None:
    (farm.tree / "louder").mkdir()
    (farm.tree / "louder" / "app.py").write_text(ADDED)
    add_to_file(farm.tree / "docker-compose.yml", "louder")
    farm.up(*TWO_WORKERS)
    assert farm.client("louder").predict("quiet", api_name="/louder") == "QUIET"


def add_to_file(file: Path, space: str) -> None:
    """As deploy/README.md says it, with the demo's service as the pattern."""
    document = yaml.safe_load(file.read_text())
    services = document["services"]
    added = services[space] = json.loads(json.dumps(services["digits"]).replace("digits", space))
    added["command"][1] = f"/{space}"
    added["volumes"].append(f"./{space}:/{space}:ro")
    services["tokens"]["command"].append(f"--space={space}")
    services["tokens"]["volumes"].append(f"token-{space}:/secrets/{space}")
    document["volumes"] |= {f"token-{space}": None, f"cache-{space}": None}
    file.write_text(yaml.safe_dump(document))


def test_tasks_that_wait_survive_an_upgrade_of_the_images(farm: ComposeFarm) -> None:
    client = farm.client("digits")
    farm.compose("stop", "worker")
    waiting = [client.submit(7, 1, 4, 2.0, seed, False, api_name="/generate") for seed in range(4)]
    eventually(lambda: sum(queue["waiting"] for queue in json.loads(farm.page("/api/status"))["queues"]) == 4)
    farm.up("--force-recreate", "--no-deps", *TWO_WORKERS, "broker", "gateway", "home", "worker")
    assert all(each.result(timeout=600) for each in waiting)
