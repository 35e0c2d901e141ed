"""A farm without Caddy: each page has a port of its own, and visitors of a Space that sleeps reach the porter."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.end_to_end.test_up import Up, serving
from tests.harness import SPACES
from tests.waiting import wait_until

#: `zerofarm`, which finds no Caddy.
WITHOUT_CADDY = """
from spaces_workers.commands import up
up.find_caddy = lambda: None
from spaces_workers.cli import main
main()
"""

SETTINGS = """
[idle]
after = 1.5

[quota]
enabled = true
trusted_proxies = ["127.0.0.9"]
"""

#: Where requests come from, what they say of that, and the visitor who is charged.
VISITORS = [
    ("127.0.0.1", {"X-Forwarded-For": "203.0.113.1"}, "127.0.0.1"),
    ("127.0.0.7", {}, "127.0.0.7"),
    ("127.0.0.8", {"X-Forwarded-For": "203.0.113.8", "X-Zerofarm-Came-From": f"203.0.113.8 {'0' * 64}"}, "127.0.0.8"),
    ("127.0.0.9", {"X-Forwarded-For": "203.0.113.9"}, "203.0.113.9"),
    ("127.0.0.9", {"X-Forwarded-For": "203.0.113.8, 203.0.113.10"}, "203.0.113.10"),
]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A farm with quotas, which believes one proxy, and a Space that is stopped soon."""
    folder = tmp_path_factory.mktemp("doorless")
    (folder / "state").mkdir()
    (folder / "state" / "farm.toml").write_text(SETTINGS)
    program = [sys.executable, "-P", "-c", WITHOUT_CADDY]
    farm = Up(folder, str(SPACES / "echo"), "--gpus", "none", "--no-flower", program=program)
    with serving(farm):
        yield farm


def charged(farm: Up) -> list[str]:
    return sorted(each["visitor"] for each in json.loads(farm.run("quota", "--json").stdout))


def call(page: str, address: str, headers: dict[str, str]) -> str:
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=page, transport=transport, headers=headers, timeout=240) as visitor:
        event = visitor.post("/gradio_api/call/echo", json={"data": ["hello"]}).json()["event_id"]
        return visitor.get(f"/gradio_api/call/echo/{event}").text


def test_who_starts_a_sleeping_space_is_charged_by_the_own_address(farm: Up) -> None:
    """All of them were `address:127.0.0.1`, that of the porter, also those whom a trusted proxy named."""
    page = farm.ready()["spaces"]["echo"]
    wait_until(lambda: farm.told("idle", name="Space echo"))
    with ThreadPoolExecutor(len(VISITORS)) as threads:
        answers = [threads.submit(call, page, address, headers) for address, headers, _ in VISITORS]
        assert all("hello from process" in each.result() for each in answers)
    assert charged(farm) == sorted(f"address:{known}" for *_, known in VISITORS)
