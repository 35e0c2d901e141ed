"""Takes the pictures in this folder, of the home page, a demo and the operator's page: `python -m docs.pictures`.

It starts a farm with the demos on CPU stand-ins, has them do and fail something, and opens the pages in Chromium, which
`$CHROMIUM` names if it is not on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import spaces

HERE = Path(__file__).parent
DEMOS = HERE.parent / "app" / "spaces_app" / "demos"

SERVED = ("digits", "names", "search")

#: Width and height of a window. The pictures of a desk show the whole page.
DESK, PHONE, WINDOW = (1200, 900), (390, 844), (1200, 620)

#: Name, size and colours of the pictures behind the login.
PICTURES = (
    ("operator-page", DESK, "light"),
    ("operator-page-dark", DESK, "dark"),
    ("operator-page-phone", PHONE, "light"),
)

PATIENCE_MS = 120_000


def main() -> None:
    """Take all of them."""
    with tempfile.TemporaryDirectory(prefix="zf-") as name, farm(state := Path(name)) as address, browser() as chromium:
        take(chromium, address, state)


def take(chromium: Browser, address: str, state: Path) -> None:
    """The pictures of a farm while it has something to do."""
    save(opened(chromium, f"{address}/farm", DESK), "operator-login")
    login = (state / "operator.login").read_text().strip()
    with spaces.Farm((state / "broker.url").read_text().strip()) as caller:
        past(caller)
        save(drawn(opened(chromium, f"{address}/spaces/digits/", WINDOW)), "demo")
        home = opened(chromium, f"{address}/", WINDOW)
        home.locator("li[data-key]").nth(len(SERVED) - 1).wait_for()
        save(home, "home")
        for picture, size, colours in PICTURES:
            page = opened(chromium, f"{address}/farm", size, colours)
            enter(page, *login.split(":", 1))
            tasks = [draw(caller, digit, 16, 200) for digit in range(6)]
            page.locator("#queue .entry").nth(2).wait_for()
            save(page, picture)
            for task in tasks:
                task.cancel()


@contextmanager
def farm(folder: Path) -> Iterator[str]:
    """The address of a farm that is ready."""
    command = [sys.executable, "-m", "spaces_workers.cli", "up", *(str(DEMOS / name) for name in SERVED)]
    options = ["--json", "--port", "0", "--gpus", "none", "--state-dir", str(folder), "--run-dir", str(folder / "run")]
    with (folder / "up.log").open("w") as log:
        up = subprocess.Popen([*command, *options], env=os.environ | {"ZEROFARM_HOST": "host"}, stdout=log, stderr=log)
    try:
        yield address_of(folder / "up.log", up)
    finally:
        up.terminate()
        up.wait(60)


def address_of(log: Path, up: subprocess.Popen[bytes]) -> str:
    """The home page's, once all Spaces are served."""
    while up.poll() is None:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        for line in lines:
            if line.get("event") == "ready":
                return str(line["home"])
        time.sleep(0.5)
    raise SystemExit(f"the farm has ended:\n{log.read_text()}")


def past(caller: spaces.Farm) -> None:
    """Tasks that have succeeded, and one that has failed."""
    for digit in range(5):
        draw(caller, digit, 4, 20).result(120)
    failed = draw(caller, "seven", 4, 20)
    while not failed.done:
        time.sleep(0.1)


def draw(caller: spaces.Farm, digit: object, count: int, steps: int) -> spaces.TaskHandle:
    """A call of the demo of digits."""
    return caller.submit("digits", "generate", digit, count, steps, 2.0, 0, True)


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium without a window."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


def opened(chromium: Browser, url: str, size: tuple[int, int], colours: str = "light") -> Page:
    """A page in a window of its own."""
    width, height = size
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if colours == "dark" else "light"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    return page


def drawn(page: Page) -> Page:
    """The demo of digits, with digits."""
    page.get_by_label("5", exact=True).check()
    page.get_by_role("button", name="Draw").click()
    page.locator("img[src*='/file=']").first.wait_for()
    return page


def enter(page: Page, name: str, password: str) -> None:
    """Log in, and wait until all is drawn."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.locator("#charts svg").first.wait_for()


def save(page: Page, name: str) -> None:
    """In a palette, which is a quarter of the size."""
    path = HERE / f"{name}.png"
    page.screenshot(path=path, full_page=page.viewport_size == {"width": DESK[0], "height": DESK[1]})
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    main()
