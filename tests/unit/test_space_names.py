"""A Space at NAME.DOMAIN: which names there are, and how requests come there, through a real Caddy to a page."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from spaces.errors import SpacesError
from spaces_workers.setup.ports import INSIDE, Ports
from spaces_workers.setup.served_space import ServedSpace
from spaces_workers.up.door.address import Certificates, Door, SpacesAt, find_caddy
from spaces_workers.up.door.caddy_config import configuration
from spaces_workers.up.door.chosen import DoorOptions, chosen_door, note_spaces_without_names
from spaces_workers.up.door.lookup import Lookup, Place
from spaces_workers.up.hosting.affinity import Request
from spaces_workers.up.reports import Note, Report
from tests.unit.test_fuzzing_of_visits import running_loop
from tests.waiting import wait_until

DOMAIN = "farm.example"

needs_caddy = pytest.mark.skipif(find_caddy() is None, reason="needs Caddy")


@pytest.mark.parametrize(
    ("name", "spaces_at", "url"),
    [
        ("digits", "name", "https://digits.farm.example:7860"),
        ("my-space-2", "name", "https://my-space-2.farm.example:7860"),
        ("a" * 63, "name", f"https://{'a' * 63}.farm.example:7860"),
        ("digits", "path", "https://farm.example:7860/spaces/digits"),
        ("a" * 64, "name", f"https://farm.example:7860/spaces/{'a' * 64}"),
        ("at-the-end-", "name", "https://farm.example:7860/spaces/at-the-end-"),
        ("xn--bcher-kva", "name", "https://farm.example:7860/spaces/xn--bcher-kva"),
        ("My_Space", "name", "https://farm.example:7860/spaces/My_Space"),
        ("a.b", "name", "https://farm.example:7860/spaces/a.b"),
    ],
)
def test_a_space_has_a_name_of_its_own_where_its_name_can_stand_before_a_domain(
    name: str, spaces_at: SpacesAt, url: str
) -> None:
    assert Door(Path("caddy"), "0.0.0.0", 7860, DOMAIN, spaces_at=spaces_at).url_of_space(name) == url


def test_without_a_domain_there_are_no_names() -> None:
    assert Door(Path("caddy"), "127.0.0.1", 7860).url_of_space("digits") == "http://127.0.0.1:7860/spaces/digits"
    with pytest.raises(SpacesError, match="--spaces-at name needs --domain"):
        chosen_door(DoorOptions("127.0.0.1", 0, spaces_at="name"), lambda _: None)


@pytest.mark.parametrize(("spaces_at", "noted"), [("name", ["xn--a"]), ("path", [])])
def test_a_space_that_has_no_name_is_noted(spaces_at: SpacesAt, noted: list[str]) -> None:
    heard: list[Report] = []

    def hear(report: Report) -> None:
        heard.append(report)

    door = Door(Path("caddy"), "0.0.0.0", 443, DOMAIN, spaces_at=spaces_at)
    note_spaces_without_names(door, [ServedSpace(name, Path("app.py")) for name in ("digits", "xn--a")], hear)
    said = "Space {0} is at https://farm.example/spaces/{0}/ alone, at one origin with the operator's page: "
    why = "{0} cannot stand before a domain"
    assert heard == [Note((said + why).format(name)) for name in noted]


class Echo(BaseHTTPRequestHandler):
    """A page that answers with the path and the headers that it was asked with."""

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[int]:
    """The port of a page."""
    with ThreadingHTTPServer((INSIDE, 0), Echo) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_address[1]
        server.shutdown()


class AtDoor:
    """A door with certificates of its own authority, before the Spaces `digits`, `xn--a`, `moved` and `broken`."""

    def __init__(self, folder: Path, page: int, certificates: Certificates) -> None:
        ports = Ports(INSIDE)
        asking = ports.exactly(0, "") if certificates == "public" else None
        caddy = find_caddy()
        assert caddy is not None
        self.door = Door(
            caddy, INSIDE, ports.exactly(0, ""), DOMAIN, certificates, spaces_at="name", asking_port=asking
        )
        self.folder = folder
        self.asked: list[str] = []
        self.places = {
            "digits": Place(page),
            "xn--a": Place(page),
            "moved": Place(page, moved_to="/elsewhere"),
            "broken": Place(page, "no luck"),
        }

    async def place(self, name: str, _: Request) -> Place | None:
        self.asked.append(name)
        return self.places.get(name)

    @contextmanager
    def opened(self) -> Iterator[AtDoor]:
        sockets = (self.folder / "admin", self.folder / "lookup")
        made = configuration(self.door, sockets=sockets, home=self.places["digits"].port, flower=None, proxies=())
        (self.folder / "door.json").write_text(json.dumps(signed_here(made)))
        with running_loop() as (loop, errors):
            lookup = asyncio.run_coroutine_threadsafe(self._lookup(sockets[1]), loop).result()
            command = [str(self.door.caddy), "run", "--config", str(self.folder / "door.json")]
            homes = dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"), str(self.folder))
            with (self.folder / "log").open("wb") as log, subprocess.Popen(command, env=homes, stderr=log) as running:
                try:
                    wait_until(self.answers)
                    yield self
                finally:
                    running.terminate()
            loop.call_soon_threadsafe(lookup.stop)
        assert errors == []

    async def _lookup(self, path: Path) -> Lookup:
        lookup = Lookup(self.place, self.door)
        lookup.start(path)
        return lookup

    def answers(self) -> bool:
        try:
            return self.root.exists() and self.ask("", "/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def root(self) -> Path:
        return self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def ask(self, name: str, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer to somebody who visits this name before the domain; empty: the domain itself."""
        host = f"{name}.{DOMAIN}" if name else DOMAIN
        trust = ssl.create_default_context(cafile=self.root)
        with httpx.Client(verify=trust) as visitor:
            return visitor.get(
                f"https://{INSIDE}:{self.door.port}{path}",
                headers={"Host": f"{host}:{self.door.port}", "Accept": "*/*", **(headers or {})},
                extensions={"sni_hostname": host},
            )


def signed_here(made: dict[str, Any]) -> dict[str, Any]:  # Any: Caddy's JSON
    """The configuration, with the authority that Caddy makes in place of a public one."""
    for policy in made["apps"]["tls"]["automation"]["policies"]:
        policy["issuers"] = [{"module": "internal"}]
    return made


@pytest.fixture(scope="module", params=["internal", "public"])
def at_door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, page: int) -> Iterator[AtDoor]:
    with AtDoor(tmp_path_factory.mktemp("d"), page, request.param).opened() as door:
        yield door


@needs_caddy
@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/", "/spaces/digits/"),
        ("/config?a=b", "/spaces/digits/config?a=b"),
        ("/spaces/digits/config", "/spaces/digits/config"),
        ("/spaces/digits", "/spaces/digits"),
        ("/spaces/digits2/x", "/spaces/digits/spaces/digits2/x"),
        ("/spaces/moved/", "/spaces/digits/spaces/moved/"),
        ("/farm", "/spaces/digits/farm"),
        ("/flower/tasks", "/spaces/digits/flower/tasks"),
        ("/file=%2Ftmp%2Fa%20b%3Fc?x=%2F&y=1?2", "/spaces/digits/file=%2Ftmp%2Fa%20b%3Fc?x=%2F&y=1?2"),
    ],
)
def test_the_page_gets_every_path_as_it_gets_it_below_its_own(at_door: AtDoor, path: str, asked: str) -> None:
    answer = at_door.ask("digits", path)
    assert (answer.status_code, answer.json()["path"]) == (200, asked)
    assert answer.json()["x-forwarded-host"] == f"digits.{DOMAIN}:{at_door.door.port}"
    assert answer.json()["x-forwarded-proto"] == "https"


@needs_caddy
def test_case_does_not_matter(at_door: AtDoor) -> None:
    port = at_door.door.port
    assert at_door.ask("digits", "/", {"Host": f"Digits.FARM.example:{port}"}).json()["path"] == "/spaces/digits/"


@needs_caddy
def test_what_is_said_of_the_sender_is_not_believed(at_door: AtDoor) -> None:
    forged = dict.fromkeys(("X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Forwarded-Prefix"), "203.0.113.9")
    told = at_door.ask("digits", "/", forged).json()
    assert told["x-forwarded-for"] == INSIDE
    assert not {"x-real-ip", "forwarded", "x-forwarded-prefix"} & told.keys()


@needs_caddy
@pytest.mark.parametrize(
    ("headers", "path", "location"),
    [
        ({"Accept": "text/html,*/*"}, "/spaces/digits", "/"),
        ({"Accept": "text/html,*/*"}, "/spaces/digits/?a=b", "/?a=b"),
        ({"Sec-Fetch-Mode": "cors"}, "/spaces/digits/file=%2Fa", "/file=%2Fa"),
    ],
)
def test_a_browser_is_sent_from_the_path_to_the_name(
    at_door: AtDoor, headers: dict[str, str], path: str, location: str
) -> None:
    """So that no page of a Space is at one origin with the operator's."""
    answer = at_door.ask("", path, headers)
    assert (answer.status_code, answer.headers["location"]) == (
        307,
        f"https://digits.{DOMAIN}:{at_door.door.port}{location}",
    )


@needs_caddy
def test_a_program_goes_on_by_the_path(at_door: AtDoor) -> None:
    assert at_door.ask("", "/spaces/digits/config").json()["path"] == "/spaces/digits/config"
    assert at_door.ask("", "/spaces/xn--a/", {"Accept": "text/html"}).json()["path"] == "/spaces/xn--a/"


@needs_caddy
def test_a_visitor_cannot_say_by_which_name_it_has_come(at_door: AtDoor) -> None:
    answer = at_door.ask("", "/spaces/digits/", {"Accept": "text/html", "X-Space-Host": f"digits.{DOMAIN}"})
    assert answer.status_code == 307
    forged = {"X-Space-Host": f"digits.{DOMAIN}", "X-Space-Above": "/x"}
    assert at_door.ask("", "/spaces/nobody/", forged).status_code == 404


@needs_caddy
def test_other_answers_of_the_lookup_are_the_visitors_own(at_door: AtDoor) -> None:
    moved = at_door.ask("moved", "/")
    assert (moved.status_code, moved.headers["location"]) == (302, f"https://{DOMAIN}:{at_door.door.port}/elsewhere/")
    broken = at_door.ask("broken", "/")
    assert (broken.status_code, broken.text) == (503, "Space broken has no page: no luck\n")


@needs_caddy
def test_an_unknown_name_has_no_page_and_no_public_certificate(at_door: AtDoor) -> None:
    """A public authority limits the certificates of a domain: who asks for names at random must not use them up."""
    if at_door.door.certificates == "internal":
        answer = at_door.ask("nobody", "/")
        assert (answer.status_code, answer.text) == (404, "There is no Space 'nobody' here.\n")
        assert at_door.ask("xn--a", "/").status_code == 404
        return
    assert at_door.ask("digits", "/").status_code == 200
    for name in ("nobody", "xn--a", "a.digits"):
        with pytest.raises(httpx.ConnectError):
            at_door.ask(name, "/")
    made = {path.stem for path in (at_door.folder / "caddy" / "certificates").rglob("*.crt")}
    assert {DOMAIN, f"digits.{DOMAIN}"} <= made <= {f"{each}{DOMAIN}" for each in ("", "digits.", "moved.", "broken.")}
    assert "nobody" in at_door.asked


@needs_caddy
def test_caddy_asks_at_a_port_that_answers_nothing_else(at_door: AtDoor) -> None:
    if (port := at_door.door.asking_port) is None:
        pytest.skip("Caddy makes these certificates itself")
    assert httpx.get(f"http://{INSIDE}:{port}/certificate?domain=digits.{DOMAIN}").status_code == 200
    for path in (f"/certificate?domain=nobody.{DOMAIN}", "/certificate", "/certificate?domain=%ff", "/lookup", "/"):
        assert httpx.get(f"http://{INSIDE}:{port}{path}").status_code == 404, path
