"""Where a Space comes from, as operators name it, and which of two running pages a request goes to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from spaces_workers.setup.served_space import ServedSpace
from spaces_workers.up.hosting import fetch
from spaces_workers.up.hosting.affinity import Request, page_for
from spaces_workers.up.hosting.origin import (
    Git,
    Hub,
    Local,
    Origin,
    OriginFault,
    check_same,
    checked_name,
    in_words,
    name_from,
    origin_of,
)
from spaces_workers.up.hosting.page import HostedPage, Standing
from spaces_workers.up.hosting.revision import Revision
from spaces_workers.up.keeper import Keeper


@pytest.mark.parametrize(
    ("text", "origin", "name"),
    [
        ("https://example.org/ada/Painter", Git("https://example.org/ada/Painter"), "painter"),
        ("https://example.org/ada/painter.git@v2", Git("https://example.org/ada/painter.git", "v2"), "painter"),
        ("https://example.org/painter@feature/x", Git("https://example.org/painter", "feature/x"), "painter"),
        ("https://ada:key@example.org/painter", Git("https://ada:key@example.org/painter"), "painter"),
        ("https://ada:key@example.org/painter@v2", Git("https://ada:key@example.org/painter", "v2"), "painter"),
        ("git@example.org:ada/painter.git", Git("git@example.org:ada/painter.git"), "painter"),
        ("git@example.org:ada/painter.git@0a1b2c", Git("git@example.org:ada/painter.git", "0a1b2c"), "painter"),
        ("ssh://git@example.org:22/painter.git", Git("ssh://git@example.org:22/painter.git"), "painter"),
        ("hf:ada/My_Painter", Hub("ada/My_Painter"), "my-painter"),
        ("hf:ada/painter@refs/pr/3", Hub("ada/painter", "refs/pr/3"), "painter"),
    ],
)
def test_an_origin_is_read_as_it_is_named(text: str, origin: Origin, name: str) -> None:
    assert origin_of(text) == origin
    assert name_from(origin) == name


def test_a_path_is_a_folder_or_a_script_of_this_host(tmp_path: Path) -> None:
    (tmp_path / "My Space").mkdir()
    (tmp_path / "My Space" / "app.py").touch()
    (tmp_path / "sketch.py").touch()
    assert origin_of("My Space", tmp_path) == Local(tmp_path / "My Space")
    assert name_from(Local(tmp_path / "My Space")) == name_from(Local(tmp_path / "My Space" / "app.py")) == "my-space"
    assert name_from(origin_of(str(tmp_path / "sketch.py"))) == "sketch"


@pytest.mark.parametrize("text", ["nowhere", "hf:ada", "hf:ada/b/c", "hf:"])
def test_what_names_no_origin_is_refused_with_those_that_would_do(text: str) -> None:
    with pytest.raises(OriginFault, match=r"hf:OWNER/NAME"):
        origin_of(text)


@pytest.mark.parametrize("name", ["", "Big", "a_b", "../x", "-a", "a" * 64])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(OriginFault, match="small letters, digits and dashes"):
        checked_name(name)


def test_a_password_is_not_shown() -> None:
    assert in_words("https://ada:key@example.org/painter@v2") == "https://example.org/painter@v2"


def test_revisions_of_one_place_are_the_same_space_and_another_place_is_not() -> None:
    check_same("painter", "https://example.org/painter@v1", "https://example.org/painter@v2")
    check_same("painter", "/gone/painter", "/gone/painter")
    with pytest.raises(OriginFault, match=r"a Space painter is served already, from https://example\.org/painter@v1"):
        check_same("painter", "https://example.org/painter@v1", "hf:ada/painter")


def test_a_hub_that_cannot_be_reached_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "space_info", unreachable)
    with pytest.raises(OriginFault, match="the Hub cannot be reached for Space ada/painter: no route to host"):
        fetch.fetch(Hub("ada/painter"), tmp_path / "painter")


class Answering:
    """The keeper of a page that answers."""

    answers = True


def page(number: int, standing: Standing) -> HostedPage:
    made = HostedPage(f"a.{number}", Revision(number, ServedSpace("a", Path("/a/app.py"))), 0, 0, standing)
    made.keeper = cast(Keeper, Answering())
    return made


@pytest.mark.parametrize(
    ("request_", "number"),
    [
        (Request("GET", "/spaces/a/", "", "text/html", "zerofarm-page=a.1"), 2),  # the page is loaded anew
        (Request("POST", "/spaces/a/gradio_api/queue/join", "", "*/*", "zerofarm-page=a.1"), 1),
        (Request("POST", "/spaces/a/gradio_api/queue/join", "", "*/*", "other=[1, 2]; bad; zerofarm-page=a.1"), 1),
        (Request("POST", "/spaces/a/gradio_api/queue/join", "", "*/*", "zerofarm-page=a.0"), 2),  # it has ended
        (Request("POST", "/spaces/a/gradio_api/queue/join", "", "*/*", ""), 2),
        (Request("GET", "/spaces/a/config", "", "*/*", "\x00"), 2),
    ],
)
def test_a_request_goes_to_the_revision_that_it_came_from(request_: Request, number: int) -> None:
    chosen = asyncio.run(page_for(request_, page(2, "current"), [page(1, "earlier")]))
    assert chosen.revision.number == number


@pytest.mark.parametrize(
    ("path", "query", "call"),
    [
        ("/spaces/a/gradio_api/queue/data", "session_hash=x1y2", "x1y2"),
        ("/spaces/a/queue/data", "a=b&session_hash=x1y2", "x1y2"),
        ("/spaces/a/gradio_api/call/say/0a1b", "", "0a1b"),
        ("/spaces/a/gradio_api/call/say", "", ""),
        ("/spaces/a/config", "session_hash=x", ""),
    ],
)
def test_the_second_request_of_a_call_names_it(path: str, query: str, call: str) -> None:
    assert Request("GET", path, query, "*/*", "").call == call
    assert Request("POST", path, query, "*/*", "").call == ""
