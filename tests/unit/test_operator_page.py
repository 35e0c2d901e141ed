"""Who may open the operator's page, and who may act there."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis import RedisError
from starlette.testclient import TestClient

from spaces.errors import SpacesError
from spaces.farm.links.operator_line import SOCKET, told
from spaces.farm.queue.counters.samples import Sample
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.queue import CancelOutcome, Queue
from spaces_app.home.app import make_app
from spaces_app.home.operator import acting, page, shared_view
from spaces_app.home.operator import hosted as hosted_pages
from spaces_app.home.operator.attempts import OF_ALL, OF_ONE, WITHIN, Attempts
from spaces_app.home.operator.charts import POINTS, points
from spaces_app.home.operator.logs import log_of
from spaces_app.home.operator.view import shown
from spaces_app.home.snapshots import Snapshots
from spaces_workers.setup.operators import keep_operators, login_path, remove_account, set_account
from spaces_workers.up.door.address import Door
from spaces_workers.up.door.caddy_config import configuration
from tests.unit.test_metrics import NoFarm

NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"}

#: As the script of another page of the same address asks, such as that of a Space behind the door.
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}


class Away:
    """A broker that does not answer."""

    def __getattr__(self, _: str) -> Any:  # Any: a command
        return self._fail

    def _fail(self, *_: object, **__: object) -> None:
        raise RedisError("away")


class Farm(NoFarm):
    """Has a queue that nobody reaches."""

    queue = SimpleNamespace(redis=Away(), keys=Keys())
    url = "redis://nowhere"


class Doing:
    """Does whatever is asked."""

    def __init__(self, _queue: object, _url: str, by: str, _state_dir: Path, _alias: str | None) -> None:
        self._by = by

    def do(self, request: acting.Request) -> str:
        return f"{request.verb} {request.target} by {self._by}"


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    keep_operators(tmp_path)
    set_account(tmp_path, "ada", "right", "operator")
    set_account(tmp_path, "vera", "right", "viewer")
    return tmp_path


@pytest.fixture
def browser(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(acting, "Acting", Doing)
    app = make_app(cast(Snapshots, Farm()), ["farm.example"], "", state_dir)
    with TestClient(app, base_url="http://farm.example", headers=NAVIGATION, follow_redirects=False) as client:
        yield client


def log_in(browser: TestClient, name: str = "ada", password: str = "right") -> Any:  # Any: an answer
    return browser.post("/farm/login", data={"name": name, "password": password})


def token_in(page: str) -> str:
    return page.partition('name="farm-token" content="')[2].partition('"')[0]


def logged_in(browser: TestClient, name: str = "ada") -> dict[str, str]:
    """Log in; the headers of the page's own requests."""
    assert log_in(browser, name).status_code == 303
    return SCRIPT | {"x-farm-token": token_in(browser.get("/farm").text)}


def act(browser: TestClient, headers: dict[str, str]) -> Any:  # Any: an answer
    return browser.post("/farm/act", json={"verb": "pause", "target": "digits"}, headers=headers)


def test_a_stranger_is_sent_to_the_login(browser: TestClient) -> None:
    answer = browser.get("/farm")
    assert (answer.status_code, answer.headers["location"]) == (303, "farm/login")
    assert browser.get("/farm/events", headers=SCRIPT).status_code == 401


def test_an_operator_acts_under_their_name(browser: TestClient) -> None:
    answer = act(browser, logged_in(browser))
    assert answer.json() == {"done": "pause digits by ada on the operator's page"}


def test_a_viewer_sees_and_does_not_act(browser: TestClient) -> None:
    headers = logged_in(browser, "vera")
    assert 'data-role="viewer"' in browser.get("/farm").text
    answer = act(browser, headers)
    assert answer.status_code == 403
    assert "vera may look at the farm, not change it" in answer.text


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", "right"), ("", "")])
def test_a_wrong_password_opens_nothing(browser: TestClient, name: str, password: str) -> None:
    assert log_in(browser, name, password).status_code == 401
    assert browser.get("/farm").status_code == 303


def test_the_first_password_is_kept_for_the_farms_user_and_hashed_elsewhere(state_dir: Path) -> None:
    name, _, password = login_path(state_dir).read_text().partition(":")
    accounts = state_dir / "operators.json"
    assert name == "operator"
    assert password not in accounts.read_text()
    assert "$argon2id$" in accounts.read_text()
    for file in (login_path(state_dir), accounts, state_dir / "session.key"):
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_second_start_keeps_the_operators(state_dir: Path) -> None:
    before = (state_dir / "operators.json").read_text()
    keep_operators(state_dir)
    assert (state_dir / "operators.json").read_text() == before


def test_a_new_password_ends_the_sessions(browser: TestClient, state_dir: Path) -> None:
    headers = logged_in(browser)
    set_account(state_dir, "ada", "another", "operator")
    assert act(browser, headers).status_code == 401


def test_an_operator_who_is_removed_is_out(browser: TestClient, state_dir: Path) -> None:
    headers = logged_in(browser)
    assert remove_account(state_dir, "ada")
    assert act(browser, headers).status_code == 401


def test_a_role_that_is_taken_is_gone_at_the_next_request(browser: TestClient, state_dir: Path) -> None:
    headers, accounts = logged_in(browser), state_dir / "operators.json"
    assert act(browser, headers).status_code == 200
    told = json.loads(accounts.read_text())
    told["ada"]["role"] = "viewer"
    accounts.write_text(json.dumps(told))
    assert act(browser, headers).status_code == 403


def test_a_copy_of_the_cookie_opens_nothing_after_the_logout(browser: TestClient) -> None:
    """The farm forgot nothing and kept nothing: the cookie worked until its time was over."""
    headers, cookie = logged_in(browser), browser.cookies["zerofarm"]
    assert browser.post("/farm/logout", headers=headers).status_code == 204
    browser.cookies.clear()
    copied = headers | {"Cookie": f"zerofarm={cookie}"}
    assert act(browser, copied).status_code == 401
    assert browser.get("/farm", headers={"Cookie": f"zerofarm={cookie}"}).status_code == 303
    assert act(browser, logged_in(browser)).status_code == 200


def test_an_open_page_hears_nothing_more_once_its_operator_is_out(
    browser: TestClient, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events went on for ten minutes."""
    views = count(1)

    def view(_: object) -> str:
        if (number := next(views)) == 3:
            remove_account(state_dir, "ada")
        return str(number)

    monkeypatch.setattr(shared_view.SharedView, "latest", view)
    monkeypatch.setattr(page, "INTERVAL", 0.01)
    monkeypatch.setattr(page, "LONGEST_STREAM", 20.0)
    answer = browser.get("/farm/events", headers=logged_in(browser))
    assert answer.text == "data: 1\n\ndata: 2\n\n"


def test_no_thread_that_serves_others_waits_for_the_broker(
    browser: TestClient, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a broker did not answer, the open page of one operator held up all visitors of the home page."""
    serves: list[bool] = []

    def asked(*_: object) -> None:
        serves.append(asyncio._get_running_loop() is not None)
        raise RedisError("away")

    monkeypatch.setattr(Away, "_fail", asked)
    monkeypatch.setattr(Farm, "latest", lambda _: SimpleNamespace(spaces=[]), raising=False)
    monkeypatch.setattr(shared_view.SharedView, "latest", lambda _: remove_account(state_dir, "ada"))
    headers = logged_in(browser)
    assert browser.get("/farm/log/digits", headers=headers).status_code == 404
    assert browser.get("/farm/events", headers=headers).status_code == 200
    assert len(serves) >= 3
    assert not any(serves)


def test_passwords_cannot_be_tried_often(browser: TestClient) -> None:
    for _ in range(OF_ONE):
        log_in(browser, password="wrong")
    answer = log_in(browser)
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.text


def test_an_address_may_try_again_after_a_while() -> None:
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    for _ in range(OF_ONE):
        attempts.failed("10.0.0.1")
    assert (attempts.wait_of("10.0.0.1"), attempts.wait_of("10.0.0.2")) == (WITHIN, 0.0)
    for number in range(OF_ALL):
        attempts.failed(f"10.1.0.{number}")
    assert attempts.wait_of("10.0.0.2") == WITHIN
    now[0] = WITHIN
    assert attempts.wait_of("10.0.0.1") == 0.0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-farm-token": "another"},
        {"x-farm-token": "{own}", "Sec-Fetch-Site": "same-site"},
        {"x-farm-token": "{own}", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_page_cannot_act_for_an_operator(browser: TestClient, headers: dict[str, str]) -> None:
    own = logged_in(browser)["x-farm-token"]
    given = SCRIPT | {name: value.replace("{own}", own) for name, value in headers.items()}
    assert act(browser, given).status_code == 403


def test_an_old_browser_is_believed_by_its_origin(browser: TestClient) -> None:
    own = logged_in(browser)
    browser.headers.clear()
    bare = {"x-farm-token": own["x-farm-token"]}
    assert act(browser, bare | {"Origin": "http://evil.example"}).status_code == 403
    assert act(browser, bare | {"Origin": "http://farm.example"}).status_code == 200


@pytest.mark.parametrize("headers", [SCRIPT, NAVIGATION | {"Sec-Fetch-Dest": "iframe"}])
def test_a_script_or_a_frame_cannot_read_the_page(browser: TestClient, headers: dict[str, str]) -> None:
    """A Space has the address of this page, so its script could read the token, and act."""
    logged_in(browser)
    answer = browser.get("/farm", headers=headers)
    assert answer.status_code == 403
    assert "farm-token" not in answer.text


def test_a_window_that_another_page_opened_is_cut_off(browser: TestClient) -> None:
    logged_in(browser)
    headers = browser.get("/farm").headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_the_door_takes_from_spaces_what_would_get_around_this(tmp_path: Path) -> None:
    door = Door(Path("caddy"), "127.0.0.1", 7860)
    made = configuration(door, sockets=(tmp_path / "a", tmp_path / "b"), home=1, flower=None, proxies=())
    spaces, *_ = made["apps"]["http"]["servers"]["door"]["routes"]
    removed = spaces["handle"][1]["headers"]["response"]["delete"]
    assert removed == ["Service-Worker-Allowed", "Cross-Origin-Opener-Policy"]


def test_the_cookie_is_sent_to_this_page_alone(browser: TestClient) -> None:
    cookie = log_in(browser).headers["set-cookie"].lower()
    assert "path=/farm;" in cookie
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_a_page_of_another_site_cannot_reach_it_by_its_own_name(browser: TestClient) -> None:
    assert browser.get("/farm/login", headers={"Host": "evil.example"}).status_code == 421


def test_a_farm_without_operators_has_no_such_page(tmp_path: Path) -> None:
    app = make_app(cast(Snapshots, Farm()), state_dir=tmp_path)
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/farm").status_code == 404


@contextmanager
def zerofarm_up(state_dir: Path, answer: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:  # Any: JSON
    """The control socket of a farm that answers so to one request. Yields the requests."""
    requests: list[dict[str, Any]] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(state_dir / SOCKET))
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as sock:
                requests.append(json.loads(sock.makefile("rb").readline()))
                sock.sendall(told(answer))

        thread = threading.Thread(target=serve)
        thread.start()
        yield requests
        thread.join()


def acting_in(state_dir: Path) -> acting.Acting:
    queue = SimpleNamespace(redis=None, keys=Keys(), scripts=None)
    return acting.Acting(cast(Queue, queue), "redis://nowhere", "ada", state_dir)


@pytest.mark.parametrize("verb", ["restart", "rollback"])
def test_zerofarm_up_is_asked_to_restart_and_to_roll_back(tmp_path: Path, verb: str) -> None:
    with zerofarm_up(tmp_path, {"done": {}}) as requests:
        said = acting_in(tmp_path).do(acting.Request(verb, "digits"))
    assert said.startswith("digits is ")
    assert requests == [{"action": verb, "by": "ada", "with": {"space": "digits"}}]


@pytest.mark.parametrize(("alias", "told"), [("ada", "ada"), (None, "ada@example.org on the operator's page")])
def test_who_cancels_by_a_provider_s_account_is_not_named_in_full_to_visitors(
    tmp_path: Path, alias: str | None, told: str
) -> None:
    reasons: list[str] = []

    def cancel(_task: str, reason: str) -> CancelOutcome:
        reasons.append(reason)
        return CancelOutcome.ENDED

    queue = cast(Queue, SimpleNamespace(redis=None, keys=Keys(), scripts=None, cancel=cancel))
    by = "ada@example.org on the operator's page"
    acting.Acting(queue, "", by, tmp_path, alias).do(acting.Request("cancel", "3f2a"))
    assert reasons == [f"cancelled by the operator {told}"]


def test_a_fault_of_zerofarm_up_is_told(tmp_path: Path) -> None:
    with zerofarm_up(tmp_path, {"fault": "there is no earlier revision"}), pytest.raises(SpacesError, match="earlier"):
        acting_in(tmp_path).do(acting.Request("rollback", "digits"))
    with pytest.raises(SpacesError, match="there is no action 'format'"):
        acting_in(tmp_path).do(acting.Request("format", "digits"))


def test_a_farm_that_hangs_does_not_keep_the_view_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_pages, "PATIENCE", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET))
        listener.listen()
        assert hosted_pages.hosted(tmp_path) == {}


def test_all_who_look_are_shown_one_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read all remembered tasks for itself, once a second."""
    numbers = count(1)
    monkeypatch.setattr(shared_view, "_view", lambda *_: f"view {next(numbers)}")
    shared = shared_view.SharedView(cast(Snapshots, Farm()), tmp_path)
    assert [shared.latest(), shared.latest()] == ["view 1", "view 1"]


def test_a_broker_that_fails_under_an_action_is_told(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Doing, _request: acting.Request) -> str:
        raise RedisError("read only")

    monkeypatch.setattr(Doing, "do", fail)
    answer = act(browser, logged_in(browser))
    assert (answer.status_code, answer.json()) == (503, {"detail": "the broker does not answer: read only"})


def sample(at: float, **facts: Any) -> Sample:  # Any: fields of a sample
    usual: dict[str, Any] = {
        "waiting": 0,
        "running": 0,
        "ended": 0,
        "failed": 0,
        "wait_counts": (0,) * 16,
        "wait_sum": 0.0,
    }
    return Sample(**usual | {"busy_seconds": {}, "at": at} | facts)


def test_a_point_tells_what_happened_since_the_point_before() -> None:
    waits = (4, *(0,) * 15)
    [point] = points(
        [
            sample(0, failed=1, busy_seconds={"a": 5.0}),
            sample(30, failed=3, waiting=2, wait_counts=waits, busy_seconds={"a": 20.0, "b": 9.0}),
        ]
    )
    assert (point.failed, point.waiting, point.wait_p50, point.busy) == (2, 2, 0.025, 0.25)


def test_a_day_has_no_more_points_than_can_be_seen() -> None:
    drawn = points([sample(30.0 * number) for number in range(2880)])
    assert POINTS / 2 < len(drawn) <= POINTS
    assert drawn[-1].at == 30.0 * 2879


def test_the_name_of_a_visitor_is_shortened() -> None:
    assert shown("user:ada") == "user:ada"
    assert shown("token:0123456789abcdef") == "token:0123456789a…"


def test_the_log_of_a_page_is_that_of_the_revision_that_wrote_last(tmp_path: Path) -> None:
    """The operator's page always showed the log of the first revision, which an added Space never had."""
    logs = tmp_path / "logs"
    (logs / "builds").mkdir(parents=True)
    for at, name in enumerate(("web-painter.log", "web-painter.1.log", "web-painter.2-2.log", "web-painter-two.3.log")):
        (logs / name).touch()
        os.utime(logs / name, (at, at))
    assert log_of(tmp_path, "painter", "web").name == "web-painter.2-2.log"
    assert log_of(tmp_path, "echo", "web").name == "web-echo.log"
    assert log_of(tmp_path, "painter", "worker") == logs / "zygote-painter.log"
    assert log_of(tmp_path, "painter", "build") == logs / "builds" / "painter.log"
