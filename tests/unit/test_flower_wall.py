"""Which requests Flower answers: those of its own pages and of programs, not those of pages of Spaces."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from spaces_workers.flower.wall import TOKEN, Wall

LOGIN = {"Authorization": "Basic b3BlcmF0b3I6cGFzc3dvcmQ="}
NAVIGATION = LOGIN | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
SCRIPT = LOGIN | {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}

WALL = Wall("flower")


def request(headers: dict[str, str], path: str = "/flower/tasks", method: str = "GET") -> HTTPServerRequest:
    return HTTPServerRequest(
        headers=HTTPHeaders(headers | {"Host": "farm.example"}), start_line=RequestStartLine(method, path, "HTTP/1.1")
    )


def test_a_page_that_is_opened_is_shown() -> None:
    assert WALL.lets_in(request(NAVIGATION))


def test_programs_are_let_in() -> None:
    assert WALL.lets_in(request(LOGIN, "/flower/api/task/revoke/1", "POST"))


def test_a_page_of_flowers_has_the_token() -> None:
    token = WALL.token(request(NAVIGATION))
    for method, path in (("GET", "/flower/tasks/datatable"), ("POST", "/flower/api/task/revoke/1")):
        assert WALL.lets_in(request(SCRIPT | {TOKEN: token}, path, method))


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        (SCRIPT, "GET"),
        (SCRIPT, "POST"),
        (SCRIPT | {"Sec-Fetch-Mode": "no-cors"}, "POST"),
        (NAVIGATION | {"Sec-Fetch-Dest": "iframe"}, "GET"),
        (NAVIGATION | {"Sec-Fetch-Dest": "object"}, "GET"),
        (NAVIGATION | {"Sec-Fetch-Site": "same-origin"}, "POST"),  # a form
    ],
)
def test_other_pages_are_refused(headers: dict[str, str], method: str) -> None:
    assert not WALL.lets_in(request(headers, method=method))


def test_a_token_that_is_shown_without_a_login_is_worth_nothing() -> None:
    """Flower's page for a wrong address is shown to everybody."""
    stranger = {name: value for name, value in NAVIGATION.items() if name != "Authorization"}
    assert not WALL.lets_in(request(SCRIPT | {TOKEN: WALL.token(request(stranger))}))


@pytest.mark.parametrize("path", ["/flower/static/js/flower.js", "/flower/healthcheck"])
def test_what_is_the_same_for_everybody_is_shown(path: str) -> None:
    assert WALL.lets_in(request(SCRIPT, path))
