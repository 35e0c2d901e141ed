"""Operators are told of Spaces that nobody serves any more, and of two pages that have one name."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from spaces.farm.page_addresses import Page, Pages
from spaces.farm.queue.control.audit import Audit
from spaces.farm.queue.control.rivals import announce
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry, SpaceRecord, record_of
from spaces.farm.queue.status import StatusReader
from spaces.source import Source

from .support import expire_client


def registered(queue: Queue, name: str, client: str, host: str = "one", folder: str = "/srv/a") -> SpaceRecord:
    if client:
        queue.leases.client_beat(client)
    record = record_of(name, Source(Path(folder, "app.py")), "0" * 16, host, [], client=client)
    announce(queue, record)
    Registry(queue.redis).register(record, None)
    return record


def test_a_space_that_nobody_serves_any_more_says_so(queue: Queue) -> None:
    registered(queue, "digits", "web-1")
    registered(queue, "names", "web-2")
    registered(queue, "idle", "web-3")
    for client in ("web-2", "web-3"):
        expire_client(queue, client)
    pages = Pages(spaces={"idle": Page("", "idle")})
    served = {space.name: space.served for space in StatusReader(queue).read(pages).spaces}
    assert served == {"digits": True, "names": False, "idle": True}


def test_two_pages_of_one_name_are_told(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    registered(queue, "digits", "web-1")
    with caplog.at_level(logging.WARNING):
        registered(queue, "digits", "web-2", folder="/srv/b")
    assert (
        "two pages are named digits: that of /srv/a/app.py on one, and now that of /srv/b/app.py on one" in caplog.text
    )
    [action] = Audit(queue.redis).latest(5)
    assert (action.verb, action.target) == ("two pages", "digits")


@pytest.mark.parametrize("case", ["the same page again", "the other is gone", "the same files elsewhere started"])
def test_a_page_that_comes_again_is_not_another(queue: Queue, case: str) -> None:
    registered(queue, "digits", "web-1")
    if case == "the other is gone":
        expire_client(queue, "web-1")
        registered(queue, "digits", "web-2", folder="/srv/b")
    else:
        registered(queue, "digits", "web-1" if case == "the same page again" else "web-2")
    assert Audit(queue.redis).latest(5) == []


def test_a_proposed_revision_is_found_by_nobody_until_it_is_promoted(queue: Queue) -> None:
    registry = Registry(queue.redis)
    first = registered(queue, "digits", "web-1")
    second = record_of("digits", Source(Path("/srv/b/app.py")), "1" * 16, "one", [], client="web-2")
    registry.propose(second, b"files")
    assert registry.find("digits") == first
    assert registry.find("digits", "1" * 16) == second, "a task of its page finds it"
    assert registry.candidate("digits") == second
    registry.promote(second)
    assert registry.find("digits") == second
    assert registry.candidate("digits") is None
    assert registry.archive(second) == b"files"


def test_a_space_that_is_forgotten_is_found_no_more_and_workers_hear_of_it(queue: Queue) -> None:
    registry = Registry(queue.redis)
    registered(queue, "digits", "web-1")
    with registry.announcements() as told:
        registry.forget("digits")
        heard = [told.next(5.0) for _ in range(3)]
    assert [each.space for each in heard if each] == ["digits"]
    assert registry.all() == []
    assert StatusReader(queue).read(Pages()).spaces == ()
