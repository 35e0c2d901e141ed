"""Pages behind a reverse proxy that shows them below a path, which it strips or keeps."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.pages import called
from tests.end_to_end.proxies import nginx, plain
from tests.harness import SPACES, Farm, configured_farm

SETTINGS = """
[spaces.studio]
root_path = "/spaces/studio"

[spaces.mounted]
root_path = "/spaces/mounted"
"""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm with a worker whose operator has a proxy."""
    with configured_farm(tmp_path_factory.mktemp("farm"), SETTINGS) as made:
        made.start_worker()
        yield made


@pytest.fixture(scope="module")
def studio(proxied: Farm) -> str:
    return proxied.start_web("studio", path="/config")


@pytest.fixture(scope="module")
def mounted(proxied: Farm) -> str:
    return proxied.start_web("mounted", SPACES / "mounted" / "app.py", path="/ui/config")


def test_a_page_accepts_large_headers_in_pieces(studio: str) -> None:
    """Behind one address the cookies of all Spaces arrive at each: 400, if a proxy sent them in pieces."""
    with socket.create_connection(("127.0.0.1", int(studio.rpartition(":")[2])), timeout=60) as sock:
        sock.sendall(b"GET /config HTTP/1.1\r\nHost: farm\r\nConnection: close\r\nCookie: c=" + b"x" * 100_000)
        time.sleep(0.5)  # so that the page reads this piece by itself
        sock.sendall(b"\r\n\r\n")
        assert sock.makefile("rb").readline().startswith(b"HTTP/1.1 200")


@pytest.fixture(params=["stripped", "kept"])
def strips(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "stripped")


@pytest.mark.parametrize("proxy", [plain, nginx])
@pytest.mark.parametrize(("space", "below"), [("studio", ""), ("mounted", "/ui")])
def test_a_page_below_a_path_finds_its_files_and_its_queue(
    request: pytest.FixtureRequest, tmp_path: Path, proxy: Any, space: str, below: str, strips: bool
) -> None:
    """The page asked for its files, and joined its queue, at the root of the proxy: 404."""
    port, prefix = int(request.getfixturevalue(space).rpartition(":")[2]), f"/spaces/{space}"
    with proxy(tmp_path, port, prefix, strips=strips) as front:
        page = f"http://127.0.0.1:{front}{prefix}{below}"
        html = httpx.get(f"{page}/").raise_for_status().text
        config = httpx.get(f"{page}/config").raise_for_status().json()
        assert config["root"] == page
        assert json.dumps(page) in html
        assert httpx.get(f"{config['root']}/theme.css").status_code == 200
        function = "greet" if space == "studio" else "shout"
        assert called(config["root"], function, "Ada") == ["Hello Ada" if space == "studio" else "ADA"]


@pytest.mark.parametrize("proxy", [plain, nginx])
def test_a_picture_that_a_mounted_page_shows_is_found(mounted: str, tmp_path: Path, proxy: Any, strips: bool) -> None:
    with proxy(tmp_path, int(mounted.rpartition(":")[2]), "/spaces/mounted", strips=strips) as front:
        [picture] = called(f"http://127.0.0.1:{front}/spaces/mounted/ui", "paint", "red")
        assert picture["url"].startswith(f"http://127.0.0.1:{front}/spaces/mounted/ui/")
        assert httpx.get(picture["url"]).raise_for_status().headers["content-type"].startswith("image/")


def test_a_page_that_is_shown_below_a_path_answers_at_its_own_port_too(studio: str) -> None:
    assert called(studio, "greet", "Ada") == ["Hello Ada"]
