"""Chromium for the tests of pages; whatever it is asked for may take as long as a busy machine needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.waiting import PATIENCE_MS


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A headless browser. `expect` waits as patiently as its tabs, where Playwright's own limit is 5 s."""
    expect.set_options(timeout=PATIENCE_MS)
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_path(), args=[*arguments, *flags], timeout=PATIENCE_MS)
        yield browser
        browser.close()


@contextmanager
def window(browser: Browser, **options: Any) -> Iterator[BrowserContext]:  # Any: Playwright's, of a context
    """The tabs of one person, without cookies or routes of others."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def _path() -> str:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "Chromium is needed: `make test` installs it, or set CHROMIUM to its path"
    return path
