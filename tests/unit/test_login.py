"""Signing in with Hugging Face: with an application of the operator's, or not at all; never as the operator."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from gradio.oauth import _redirect_to_target

from spaces.web.login import stand_for_nobody


def oauth(client_id: str | None) -> Any:  # Any: as much of gradio.oauth as is looked at
    module: Any = ModuleType("gradio.oauth")
    module.OAUTH_CLIENT_ID = client_id
    module._redirect_to_target = _redirect_to_target
    module._add_oauth_routes = lambda app: app.get("/login/huggingface")(lambda: "the Hub's")
    stand_for_nobody(module)
    return module


def test_whoever_signs_in_without_an_application_stays_nobody(caplog: pytest.LogCaptureFixture) -> None:
    pages = [FastAPI(), FastAPI()]
    for page in pages:
        oauth(None)._add_mocked_oauth_routes(page)
    assert caplog.text.count("which fails: OAUTH_CLIENT_ID is not set") == 1
    with TestClient(pages[0], follow_redirects=False) as browser:
        for path in ("/login/huggingface", "/login/callback", "/logout"):
            answer = browser.get(path)
            assert (answer.status_code, answer.headers["location"]) == (307, "/")


@pytest.mark.parametrize("path", ["/ui/login/huggingface", "/ui/login/callback", "/ui/logout"])
def test_a_visitor_of_a_page_below_a_path_comes_back_to_it(path: str) -> None:
    """Who signed in at `/ui` found themselves at `/`, where there may be nothing."""
    site, page = FastAPI(), FastAPI()
    oauth(None)._add_mocked_oauth_routes(page)
    site.mount("/ui", page)
    with TestClient(site, follow_redirects=False) as browser:
        assert browser.get(path).headers["location"] == "/ui"
        assert browser.get(path, params={"_target_url": "/ui/second?a=b"}).headers["location"] == "/ui/second?a=b"


def test_an_application_of_the_operator_s_is_used() -> None:
    page = FastAPI()
    oauth("app")._add_mocked_oauth_routes(page)
    with TestClient(page) as browser:
        assert browser.get("/login/huggingface").json() == "the Hub's"
