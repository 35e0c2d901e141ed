"""Operators log in by a provider of OpenID Connect, which is a process of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpcore2
import httpx
import pytest
from authlib.integrations.base_client import framework_integration
from fastapi import FastAPI
from starlette.testclient import TestClient

from spaces.farm.queue.settings import read
from spaces.farm.queue.settings_file.login_secret import login_secret
from spaces.farm.queue.settings_file.login_table import LONGEST_SESSION
from spaces_app.home.app import make_app
from spaces_app.home.operator import acting, guard
from spaces_app.home.operator.attempts import OF_ONE
from spaces_app.home.operator.openid.provider import BEGUN_WITHIN, Provider
from spaces_app.home.snapshots import Snapshots
from spaces_workers.setup.operators import keep_operators, set_account
from tests.harness import free_port
from tests.provider.people import FAULTS, SIGNED_OTHERWISE
from tests.provider.process import SECRET, login_table, provider
from tests.unit.test_operator_page import NAVIGATION, SCRIPT, Doing, Farm, act, log_in, token_in

CALLBACK = "http://farm.example/farm/login/callback"

Answer = Any  # httpx's, of the client's own version


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("provider") / "provider.log"
    with provider(log, CALLBACK, "https://farm.example/gpu/farm/login/callback") as issuer:
        yield issuer


@pytest.fixture
def table(issuer: str, tmp_path: Path) -> str:
    """`[login]` of the farm."""
    return login_table(issuer, tmp_path / "login.secret")


def home(state_dir: Path, table: str, address: str = "") -> FastAPI:
    """The home page's server, as `python -m spaces_app.home` makes it."""
    file = state_dir / "farm.toml"
    file.write_text(table)
    rules = read(file).login
    keep_operators(state_dir)
    set_account(state_dir, "ada", "right", "operator")
    login = Provider(rules, lambda: login_secret(rules, file), address)
    return make_app(cast(Snapshots, Farm()), ["farm.example"], "", state_dir, provider=login, address=address)


def browser_of(app: FastAPI, base: str = "http://farm.example") -> TestClient:
    return TestClient(app, base_url=base, headers=NAVIGATION, follow_redirects=False)


@pytest.fixture
def browser(tmp_path: Path, table: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(acting, "Acting", Doing)
    with browser_of(home(tmp_path, table)) as browser:
        yield browser


def asked(browser: TestClient) -> str:
    """Where the farm sends the browser."""
    answer = browser.get("/farm/login/provider")
    assert answer.status_code == 302, problem(browser)
    return str(answer.headers["location"])


def sent_back(url: str, account: str) -> str:
    """Where the provider sends the browser after somebody has named their account."""
    assert "Account" in httpx.get(url).text
    answer = httpx.post(url, data={"account": account})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def come_back(browser: TestClient, account: str) -> Answer:
    return browser.get(sent_back(asked(browser), account))


def problem(browser: TestClient) -> str:
    """What the page of the login tells."""
    page = browser.get("/farm/login").text
    return unescape(page.partition('role="alert">')[2].partition("</p>")[0])


def logged_in(browser: TestClient, account: str) -> dict[str, str]:
    """Log in; the headers of the page's own requests."""
    answer = come_back(browser, account)
    assert (answer.status_code, answer.headers["location"]) == (303, "../../farm"), problem(browser)
    return SCRIPT | {"x-farm-token": token_in(browser.get("/farm").text)}


def refused(browser: TestClient, account: str) -> str:
    """Be refused; what the page of the login tells then."""
    answer = come_back(browser, account)
    assert (answer.status_code, answer.headers["location"]) == (303, "../login")
    assert browser.get("/farm").status_code == 303
    return problem(browser)


def test_the_page_of_the_login_offers_both(browser: TestClient) -> None:
    page = browser.get("/farm/login").text
    assert '<a class="main" href="login/provider">Log in with Lab account</a>' in page
    assert 'name="password"' in page


def test_the_provider_is_asked_for_a_code_with_state_nonce_and_pkce(browser: TestClient) -> None:
    query = {name: value for name, [value] in parse_qs(urlsplit(asked(browser)).query).items()}
    assert (query["response_type"], query["client_id"], query["redirect_uri"]) == ("code", "zerofarm", CALLBACK)
    assert (query["scope"], query["code_challenge_method"]) == ("openid profile email", "S256")
    assert all(len(query[name]) >= 20 for name in ("state", "nonce", "code_challenge"))
    again = parse_qs(urlsplit(asked(browser)).query)
    assert all([query[name]] != again[name] for name in ("state", "nonce", "code_challenge"))


def test_who_has_the_role_acts_and_the_record_says_who(browser: TestClient) -> None:
    answer = act(browser, logged_in(browser, "ada"))
    who = "ada@example.org (subject ada of 127.0.0.1)"
    assert answer.json() == {"done": f"pause digits by {who} on the operator's page"}


def test_a_viewer_does_not_act(browser: TestClient) -> None:
    headers = logged_in(browser, "vera")
    assert 'data-role="viewer"' in browser.get("/farm").text
    answer = act(browser, headers)
    assert (answer.status_code, "may look at the farm, not change it" in answer.text) == (403, True)


def test_who_has_no_role_is_refused(browser: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    said = refused(browser, "eve")
    assert said == "eve has no role on this farm. Ask its operator to give one of your groups a role."
    assert "gpu-admins" not in said
    assert "eve was refused: groups has ['visitors']" in caplog.text


def test_who_lacks_the_claim_is_refused_under_no_unverified_name(browser: TestClient) -> None:
    assert refused(browser, "groupless").startswith("groupless has no role on this farm")


def test_an_address_of_which_nothing_is_said_is_no_name(browser: TestClient) -> None:
    logged_in(browser, "unsaid")
    assert "unsaid (subject unsaid of 127.0.0.1), viewer" in browser.get("/farm").text


def test_the_name_of_an_account_cannot_look_like_the_subject_of_another(browser: TestClient) -> None:
    logged_in(browser, "mallory")
    shown = "ada@example.org subject ada of 127.0.0.1 (subject mallory of 127.0.0.1), viewer"
    assert shown in browser.get("/farm").text


def test_a_claim_may_stand_inside_another(tmp_path: Path, table: str) -> None:
    with browser_of(home(tmp_path, f'{table}claim = "realm_access.roles"\n')) as browser:
        logged_in(browser, "nested")
        assert "nested&lt;b&gt; (subject nested of 127.0.0.1), operator" in browser.get("/farm").text


def test_a_claim_that_the_token_lacks_is_asked_for(browser: TestClient) -> None:
    logged_in(browser, "asked-for")
    assert "ada@example.org (subject asked-for of" in browser.get("/farm").text


def test_what_is_told_of_somebody_else_is_not_believed(browser: TestClient) -> None:
    assert "answered in a form that was not expected" in refused(browser, "asked-for-another")


@pytest.mark.parametrize(("account", "role"), [("ada", True), ("groupless", False)])
def test_an_address_gives_a_role_only_if_it_is_verified(tmp_path: Path, table: str, account: str, role: bool) -> None:
    table = table.replace('"gpu-admins"', '"ada@example.org"')
    with browser_of(home(tmp_path, f'{table}claim = "email"\n')) as browser:
        if role:
            logged_in(browser, account)
        else:
            assert "does not say that it has verified the e-mail address" in refused(browser, account)


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ("wrong-nonce", "is not meant for this login: its 'nonce' is wrong"),
        ("no-nonce", "is not meant for this login: its 'nonce' is wrong"),
        ("wrong-audience", "is not meant for this login: its 'aud' is wrong"),
        ("of-another-farm", "is not meant for this login: its 'aud' is wrong"),
        ("other-issuer", "is not meant for this login: its 'iss' is wrong"),
        ("other-hash", "is not meant for this login: its 'at_hash' is wrong"),
        ("expired", "had expired. Try again, or compare its clock with the farm's"),
        ("foreign-key", "is not signed by its keys (bad_signature)"),
        ("unsigned", "is not signed by its keys (unsupported_algorithm)"),
        ("shared-secret", "is not signed by its keys (unsupported_algorithm)"),
    ],
)
def test_a_wrong_token_is_refused(browser: TestClient, account: str, words: str) -> None:
    assert words in refused(browser, account)


def test_each_fault_of_the_provider_is_tried() -> None:
    [mark] = [mark for mark in test_a_wrong_token_is_refused.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert {account for account, _ in mark.args[1]} == {*FAULTS, *SIGNED_OTHERWISE}


def test_a_wrong_state_is_refused(browser: TestClient) -> None:
    back = re.sub("state=[^&]*", "state=another", sent_back(asked(browser), "ada"))
    assert browser.get(back).headers["location"] == "../login"
    assert problem(browser) == "This login was not begun in this browser, or long ago. Begin it here."


def test_the_answer_to_another_browser_is_refused(browser: TestClient, tmp_path: Path, table: str) -> None:
    """Else somebody could be logged in as another, by a link."""
    with browser_of(home(tmp_path, table)) as other:
        back = sent_back(asked(other), "ada")
        asked(browser)
        browser.get(back)
        assert "was not begun in this browser" in problem(browser)


def test_an_answer_is_good_once(browser: TestClient) -> None:
    back = sent_back(asked(browser), "ada")
    assert browser.get(back).headers["location"] == "../../farm"
    assert browser.get(back).headers["location"] == "../login"


def test_a_login_that_was_begun_long_ago_is_refused(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    back = sent_back(asked(browser), "ada")
    monkeypatch.setattr(framework_integration, "time", SimpleNamespace(time=lambda: time.time() + BEGUN_WITHIN + 1))
    assert browser.get(back).headers["location"] == "../login"
    assert "was not begun in this browser, or long ago" in problem(browser)


def test_a_code_of_another_login_is_refused_by_its_verifier(browser: TestClient) -> None:
    first = parse_qs(urlsplit(sent_back(asked(browser), "ada")).query)["code"][0]
    browser.get(re.sub("code=[^&]*", f"code={first}", sent_back(asked(browser), "ada")))
    assert problem(browser) == "Lab account refused the login (invalid_grant)."


def test_whom_the_provider_does_not_know_is_told_so(browser: TestClient) -> None:
    assert refused(browser, "nobody") == "Lab account refused the login (access_denied)."


def test_a_link_cannot_write_on_the_page_of_the_login(browser: TestClient) -> None:
    browser.get("/farm/login/callback?error=call_0800&error_description=Call+0800&state=x")
    assert "was not begun in this browser" in problem(browser)
    state = parse_qs(urlsplit(asked(browser)).query)["state"][0]
    browser.get("/farm/login/callback", params={"error": "<b>Call 0800</b>", "state": state})
    assert problem(browser) == "Lab account refused the login (an error)."


def test_failed_logins_are_limited_and_passwords_stay_possible(browser: TestClient) -> None:
    for _ in range(OF_ONE):
        refused(browser, "eve")
    assert browser.get("/farm/login/provider").headers["location"] == "../login"
    assert problem(browser).startswith("Too many logins have failed. Try again in ")
    assert log_in(browser).status_code == 303


def test_links_of_other_pages_do_not_count_as_failures(browser: TestClient) -> None:
    """Else any page could keep the operators of its visitors' address from the farm."""
    for _ in range(OF_ONE):
        browser.get("/farm/login/callback?state=another&code=another")
    logged_in(browser, "ada")


def test_tls_is_prepared_once(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes up to 0.1 s, in which the event loop would serve nobody."""

    def prepared_again(**_: bool) -> None:
        raise AssertionError("a request prepares TLS")

    monkeypatch.setattr(httpcore2, "default_ssl_context", prepared_again)
    logged_in(browser, "ada")


@pytest.mark.parametrize("path", ["/farm/login/provider", "/farm/login/callback"])
def test_a_script_cannot_begin_or_end_a_login(browser: TestClient, path: str) -> None:
    assert browser.get(path, headers=SCRIPT).status_code == 403


def test_a_provider_that_is_away_is_told_and_passwords_stay_possible(tmp_path: Path) -> None:
    table = login_table(f"http://127.0.0.1:{free_port()}", tmp_path / "login.secret")
    with browser_of(home(tmp_path, table)) as browser:
        assert browser.get("/farm/login/provider").headers["location"] == "../login"
        assert problem(browser) == "Lab account does not answer (ConnectError). Use a password, or try again."
        assert problem(browser) == ""
        assert log_in(browser).status_code == 303
        assert browser.get("/farm").status_code == 200


def test_a_provider_that_was_away_is_asked_again(tmp_path: Path) -> None:
    port = free_port()
    table = login_table(f"http://127.0.0.1:{port}/realms/lab", tmp_path / "login.secret")
    with browser_of(home(tmp_path, table)) as browser:
        assert browser.get("/farm/login/provider").status_code == 303
        with provider(tmp_path / "log", CALLBACK, port=port):
            logged_in(browser, "ada")


def test_keys_that_a_provider_has_changed_are_learned(tmp_path: Path) -> None:
    port = free_port()
    table = login_table(f"http://127.0.0.1:{port}/realms/lab", tmp_path / "login.secret")
    with browser_of(home(tmp_path, table)) as browser:
        with provider(tmp_path / "log", CALLBACK, port=port):
            logged_in(browser, "ada")
            browser.cookies.clear()
        with provider(tmp_path / "log", CALLBACK, port=port):
            assert "bad_signature" in refused(browser, "ada")
            logged_in(browser, "ada")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{}/", "Lab account names itself otherwise than the farm's settings: the farm's log has the name."),
        ("{}/nowhere", "Lab account answers with an error (404). Use a password, or try again."),
    ],
)
def test_a_wrong_issuer_is_told(
    tmp_path: Path, table: str, written: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    named = re.search('issuer = "(.*)"', table)
    assert named is not None
    with browser_of(home(tmp_path, table.replace(named[1], written.format(named[1])))) as browser:
        for _ in range(2):
            browser.get("/farm/login/provider")
            assert problem(browser) == words
    if written == "{}/":
        assert f"[login] issuer must be {named[1]!r}: so the provider names itself" in caplog.text


def test_a_wrong_secret_is_told_and_written_nowhere(
    browser: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "login.secret").write_text("another secret")
    assert refused(browser, "ada") == "Lab account refused the login (invalid_client)."
    (tmp_path / "login.secret").chmod(0o644)
    assert refused(browser, "ada") == "The farm cannot read its secret for the provider: the farm's log says why."
    assert "login.secret may be read by others: chmod 600" in caplog.text
    (tmp_path / "login.secret").chmod(0o600)
    (tmp_path / "login.secret").write_text(SECRET)
    logged_in(browser, "ada")  # without a restart
    assert SECRET not in caplog.text
    assert "another secret" not in caplog.text


def test_below_a_path_of_another_address_the_way_back_and_the_cookie_are_right(tmp_path: Path, table: str) -> None:
    """A proxy shows the home page there, and takes the path away."""
    app = home(tmp_path, table, "https://farm.example/gpu")
    site = FastAPI()
    site.mount("/gpu", app)
    with browser_of(site, "https://farm.example") as browser:
        answer = browser.get("/gpu/farm/login/provider")
        assert "path=/gpu/farm; " in answer.headers["set-cookie"]
        assert "secure" in answer.headers["set-cookie"]
        back = sent_back(answer.headers["location"], "ada")
        assert back.startswith("https://farm.example/gpu/farm/login/callback?")
        assert browser.get(back).headers["location"] == "../../farm"
        assert browser.get("/gpu/farm").status_code == 200


def test_below_a_root_path_the_way_back_has_it(tmp_path: Path, table: str) -> None:
    site = FastAPI()
    site.mount("/gpu", home(tmp_path, table))
    with browser_of(site) as browser:
        url = browser.get("/gpu/farm/login/provider").headers["location"]
        assert parse_qs(urlsplit(url).query)["redirect_uri"] == ["http://farm.example/gpu/farm/login/callback"]


@pytest.mark.parametrize(("account", "seconds"), [("ada", 600.0), ("", LONGEST_SESSION)])
def test_a_session_ends_with_its_time(
    tmp_path: Path, table: str, account: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the page is used; whoever comes with a password has the longest time."""
    now = [time.time()]
    monkeypatch.setattr(guard, "time", SimpleNamespace(time=lambda: now[0]))
    with browser_of(home(tmp_path, f"{table}session = 600\n")) as browser:
        if account:
            logged_in(browser, account)
        else:
            log_in(browser)
        now[0] += seconds - 1
        assert browser.get("/farm").status_code == 200
        now[0] += 2
        assert browser.get("/farm").status_code == 303


def test_sessions_end_when_the_roles_of_the_table_change(tmp_path: Path, table: str) -> None:
    with browser_of(home(tmp_path, table)) as browser:
        logged_in(browser, "ada")
        cookies = browser.cookies
    with browser_of(home(tmp_path, table.replace("gpu-admins", "others"))) as browser:
        browser.cookies = cookies
        assert browser.get("/farm").status_code == 303
    with browser_of(home(tmp_path, table)) as browser:
        browser.cookies = cookies
        assert browser.get("/farm").status_code == 200


def test_who_logs_out_is_told_of_the_provider(browser: TestClient) -> None:
    headers = logged_in(browser, "ada")
    assert browser.post("/farm/logout", headers=headers).status_code == 204
    assert browser.get("/farm").status_code == 303
    page = unescape(browser.get("/farm/login").text)
    assert "You are logged out here, and still logged in at Lab account." in page
    url = page.partition('role="status">')[2].partition('href="')[2].partition('"')[0]
    assert f'href="{CALLBACK.removesuffix("/callback")}"' in httpx.get(url).text
    assert "logged out" not in browser.get("/farm/login").text


def test_who_logs_out_late_is_out(tmp_path: Path, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the time of the session was over, the button for logging out asked the provider, which logged in again."""
    now = [time.time()]
    monkeypatch.setattr(guard, "time", SimpleNamespace(time=lambda: now[0]))
    with browser_of(home(tmp_path, f"{table}session = 600\n")) as browser:
        headers = logged_in(browser, "ada")
        now[0] += 601
        assert act(browser, headers).status_code == 401
        for wrong in ({"x-farm-token": "another"}, {"Sec-Fetch-Site": "cross-site"}):
            assert browser.post("/farm/logout", headers=headers | wrong).status_code == 403
        assert browser.get("/farm").headers["location"] == "farm/login/provider"
        assert browser.post("/farm/logout", headers=headers).status_code == 204
        assert browser.get("/farm").headers["location"] == "farm/login"
        assert "You are logged out here" in browser.get("/farm/login").text
        assert browser.post("/farm/logout", headers=headers).status_code == 401


def test_who_came_with_a_password_logs_out_alone(browser: TestClient) -> None:
    log_in(browser)
    headers = SCRIPT | {"x-farm-token": token_in(browser.get("/farm").text)}
    assert browser.post("/farm/logout", headers=headers).status_code == 204
    assert "logged out" not in browser.get("/farm/login").text
