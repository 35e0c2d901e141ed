"""`zerofarm up --no-demos`: a farm begins without a Space, says how to add the first, and keeps what was added."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from tests.end_to_end.hosted import said, write_space
from tests.end_to_end.test_operator_page import browser, person
from tests.end_to_end.test_up import Start, start

__all__ = ["browser", "person", "start"]  # fixtures

EMPTY = ("--no-demos", "--gpus", "none", "--no-flower")


def test_an_empty_farm_says_how_to_add_the_first_space_and_keeps_it(
    start: Start, person: BrowserContext, tmp_path: Path
) -> None:
    farm = start(*EMPTY)
    ready = farm.ready()
    assert (ready["spaces"], ready["failed"]) == ({}, [])
    home = person.new_page()
    assert "zerofarm add" in farm.run("list").stdout
    home.goto(ready["home"])
    expect(home.get_by_text("zerofarm add")).to_be_visible()

    added = farm.run("add", str(write_space(tmp_path / "painter", "one")))
    assert added.returncode == 0, added.stderr
    expect(home.locator("li[data-key=painter]")).to_be_visible()
    expect(home.get_by_text("zerofarm add")).to_be_hidden()
    assert said(f"{ready['home'].rstrip('/')}/spaces/painter") == "ada says one"
    assert farm.stop() == 0

    again = start(*EMPTY)
    assert list(again.ready()["spaces"]) == ["painter"]
    assert again.stop() == 0
    assert again.errors == ""
