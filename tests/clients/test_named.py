"""Pages of each major version of Gradio at NAME.DOMAIN: a browser, and Gradio's client for Python."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import expect, sync_playwright

from tests.clients.conftest import GRADIOS, serving_each_gradio, tell
from tests.end_to_end.named import BY_NAME, visiting
from tests.end_to_end.test_operator_page import PATIENCE_MS, chromium_path
from tests.end_to_end.test_up import Up

CONTENT = b"zerofarm" * 400_000


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with serving_each_gradio(tmp_path_factory.mktemp("named"), *BY_NAME) as farm, visiting(farm):
        yield farm


@pytest.mark.parametrize("space", GRADIOS)
def test_a_program_calls_streams_uploads_and_downloads(named: Up, tmp_path: Path, space: str) -> None:
    """Also on Gradio 4, of which this client looks for the page at the root of the address."""
    client = Client(named.ready()["spaces"][space], verbose=False, download_files=str(tmp_path))
    job = client.submit(5, api_name="/count")
    assert job.result(120) == "4"
    assert job.outputs() == list("01234")
    (tmp_path / "upload.bin").write_bytes(CONTENT)
    digest = client.predict(handle_file(tmp_path / "upload.bin"), api_name="/digest")
    assert digest == hashlib.sha256(CONTENT).hexdigest()
    assert Path(client.predict(3_000_064, api_name="/make")).stat().st_size == 3_000_064
    tell(space, f"`gradio_client` {version('gradio_client')} at NAME.DOMAIN", passes=True)


@pytest.mark.parametrize("space", GRADIOS)
def test_a_browser_calls(named: Up, space: str) -> None:
    page = named.ready()["spaces"][space]
    assert httpx.get(f"{page}/config").json()["root"] == f"{page}/spaces/{space}"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox", "--disable-gpu"])
        tab = chromium.new_context(ignore_https_errors=True).new_page()
        tab.set_default_timeout(PATIENCE_MS)
        tab.goto(page)
        tab.get_by_label("text", exact=False).first.fill("hello")
        tab.get_by_role("button", name="Shout").click()
        expect(tab.get_by_label("out", exact=True)).to_have_value("HELLO", timeout=PATIENCE_MS)
        chromium.close()
