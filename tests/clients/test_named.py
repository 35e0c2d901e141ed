"""Pages of each major version of Gradio at NAME.DOMAIN: a browser, and Gradio's client for Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.clients.by_python import CLIENT, call_stream_upload_and_download
from tests.clients.conftest import GRADIOS, serving_each_gradio, tell
from tests.end_to_end.browsers import chromium, window
from tests.end_to_end.named import BY_NAME, visiting
from tests.end_to_end.test_up import Up


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with serving_each_gradio(tmp_path_factory.mktemp("named"), *BY_NAME) as farm, visiting(farm):
        yield farm


@pytest.mark.parametrize("space", GRADIOS)
def test_a_program_calls_streams_uploads_and_downloads(named: Up, tmp_path: Path, space: str) -> None:
    """Also on Gradio 4, of which this client looks for the page at the root of the address."""
    call_stream_upload_and_download(named.ready()["spaces"][space], tmp_path)
    tell(space, f"{CLIENT} at NAME.DOMAIN", passes=True)


@pytest.mark.parametrize("space", GRADIOS)
def test_a_browser_calls(named: Up, space: str) -> None:
    page = named.ready()["spaces"][space]
    assert httpx.get(f"{page}/config").json()["root"] == f"{page}/spaces/{space}"
    with chromium() as browser, window(browser, ignore_https_errors=True) as context:
        tab = context.new_page()
        tab.goto(page)
        tab.get_by_label("text", exact=False).first.fill("hello")
        tab.get_by_role("button", name="Shout").click()
        expect(tab.get_by_label("out", exact=True)).to_have_value("HELLO")
