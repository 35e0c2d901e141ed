"""The front door of the containers with names of Spaces: `deploy/Caddyfile` in a real Caddy, before pages that echo."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import httpx
import pytest

from spaces_workers.setup.ports import INSIDE, Ports
from spaces_workers.up.door.address import find_caddy
from tests.unit.test_space_names import Echo
from tests.waiting import wait_until

DOMAIN = "farm.example"

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="needs Caddy")

CADDYFILE = Path(__file__).parents[2] / "deploy" / "Caddyfile"


class EchoOfSpace(Echo):
    """A page of a container; Caddy asks whether it is there by HEAD."""

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()


class Proxy:
    """Caddy with the file of the containers, where each container is a socket in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.asking, plain = (Ports(INSIDE).exactly(0, "") for _ in range(3))
        text = CADDYFILE.read_text().replace(".space.internal:7860", ".sock").replace("127.0.0.1:2020", self.asks_at)
        text = text.replace("proxy {re.", f"proxy unix/{folder}/{{re.").replace("home:7860", f"unix/{folder}/home.sock")
        here = f"{{\n\tlocal_certs\n\tskip_install_trust\n\thttps_port {self.port}\n\thttp_port {plain}\n"
        (folder / "Caddyfile").write_text(text.replace("{\n", here, 1))

    @property
    def asks_at(self) -> str:
        return f"{INSIDE}:{self.asking}"

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        homes = dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"), str(self.folder))
        environment = os.environ | homes | {"ZEROFARM_SITE": DOMAIN, "ZEROFARM_SPACES_AT": "name"}
        command = [str(find_caddy()), "run", "--config", str(self.folder / "Caddyfile"), "--adapter", "caddyfile"]
        with (
            (self.folder / "log").open("wb") as log,
            subprocess.Popen(command, env=environment, stderr=log) as running,
        ):
            try:
                wait_until(self._answers)
                yield self
            finally:
                running.terminate()

    def _answers(self) -> bool:
        try:
            return self._root.exists() and self.ask(DOMAIN, "/").status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def _root(self) -> Path:
        return self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def ask(self, host: str, path: str, *, sni: str = "", **headers: str) -> httpx.Response:
        trust = ssl.create_default_context(cafile=self._root)
        with httpx.Client(verify=trust, timeout=60, headers={"Host": host, "Accept": "*/*", **headers}) as visitor:
            return visitor.get(f"https://{INSIDE}:{self.port}{path}", extensions={"sni_hostname": sni or host})


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("p")
    servers = [ThreadingUnixStreamServer(str(folder / f"{name}.sock"), EchoOfSpace) for name in ("digits", "home")]
    for server in servers:
        threading.Thread(target=server.serve_forever).start()
    with Proxy(folder).running() as proxy:
        yield proxy
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/config?a=b", "/spaces/digits/config?a=b"),
        ("/spaces/digits/config", "/spaces/digits/config"),
        ("/farm", "/spaces/digits/farm"),
        ("/file=%2Ftmp%2Fa%20b?x=%2F", "/spaces/digits/file=%2Ftmp%2Fa%20b?x=%2F"),
    ],
)
def test_a_page_gets_at_its_name_what_it_gets_at_its_path(proxy: Proxy, path: str, asked: str) -> None:
    told = proxy.ask(f"digits.{DOMAIN}", path).json()
    assert (told["path"], told["x-forwarded-host"]) == (asked, f"digits.{DOMAIN}")


def test_a_browser_is_sent_from_the_path_to_the_name_and_a_program_is_not(proxy: Proxy) -> None:
    for headers in ({"Accept": "text/html"}, {"Sec-Fetch-Mode": "cors"}):
        sent = proxy.ask(DOMAIN, "/spaces/digits/x?a=b", **headers)
        assert (sent.status_code, sent.headers["location"]) == (307, f"https://digits.{DOMAIN}/x?a=b")
    assert proxy.ask(DOMAIN, "/spaces/digits/x").json()["path"] == "/spaces/digits/x"


def test_only_a_space_gets_a_certificate(proxy: Proxy) -> None:
    asked = f"http://{proxy.asks_at}/certificate?domain="
    answers = [httpx.get(f"{asked}{name}.{DOMAIN}").status_code for name in ("digits", "nobody")]
    assert (answers[0], answers[1] >= 400) == (200, True)
    with pytest.raises(httpx.ConnectError):
        proxy.ask(f"nobody.{DOMAIN}", "/")


@pytest.mark.parametrize("name", ["DIGITS", "digits_2", "-digits"])
def test_a_host_that_no_space_can_have_is_not_found(proxy: Proxy, name: str) -> None:
    """The answer was an empty page with the status 200."""
    assert proxy.ask(f"{name}.{DOMAIN}", "/", sni=f"digits.{DOMAIN}").status_code == 404
