"""Many visitors of one page wait at once: the page answers all the same, and each of them is shown their place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness import Farm, farm
from tests.waiting import PATIENCE, wait_until

CROWD = 60  #: of each kind; the three together are more than the threads and the events of a page on Gradio alone


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Farm, str]]:
    """A farm without a worker, and a page on it."""
    with farm(tmp_path_factory.mktemp("crowd")) as made:
        yield made, made.start_web("crowd")


class Visitor:
    """One page in a browser, by the protocol that Gradio's own pages speak."""

    def __init__(self, page: Page, number: int) -> None:
        self.session = f"visitor{number}"
        self.places: list[str] = []
        self.values: list[Any] = []  # Any: whatever the page is sent
        self._page = page

    async def call(self, function: str, text: str) -> Any:
        """Press a button and read until the end. Returns the page's final content."""
        await self.press(function, text)
        return await self.read()

    async def press(self, function: str, text: str) -> None:
        """Press a button; the call is queued then."""
        page = self._page
        body = {"data": [text], "fn_index": page.functions[function], "session_hash": self.session}
        (await page.client.post(f"{page.prefix}/queue/join", json=body)).raise_for_status()

    async def read(self) -> Any:
        """Read until the end."""
        page, parameters = self._page, {"session_hash": self.session}
        async with page.client.stream("GET", f"{page.prefix}/queue/data", params=parameters) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data:") and (end := self._end(json.loads(line[5:]))) is not None:
                    return end
        raise AssertionError("the page ended the stream before the call had ended")

    def _end(self, message: dict[str, Any]) -> Any:
        match message["msg"]:
            case "progress" if (bars := message["progress_data"]) and (words := bars[0]["desc"]):
                self.places.append(words)
            case "process_generating":
                self.values.append(message["output"])
            case "process_completed":
                assert message["success"], message
                return message["output"].get("data")
        return None


class Page:
    """The page of a Space, and the connections of its visitors."""

    def __init__(self, client: httpx.AsyncClient, config: dict[str, Any]) -> None:
        self.client = client
        self.prefix = config.get("api_prefix", "")
        self.functions = {each["api_name"]: each["id"] for each in config["dependencies"]}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Page]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=120.0, limits=limits) as client:
        yield Page(client, (await client.get("/config")).json())


async def wait_for(condition: Any, patience: float = PATIENCE) -> None:
    await asyncio.to_thread(wait_until, condition, patience)


def test_a_page_answers_while_a_crowd_waits_and_shows_everybody_their_place(crowded: tuple[Farm, str]) -> None:
    """Before, 48 waiting calls took the threads that serve the page, which answered after 20 to 70 s."""
    asyncio.run(_all_wait_and_are_answered(*crowded))


async def _all_wait_and_are_answered(made: Farm, url: str) -> None:
    async with opened(url) as page:
        crowd = [Visitor(page, number) for number in range(3 * CROWD)]
        buttons = ["shout", "aloud", "spell"] * CROWD
        calls = [asyncio.create_task(each.call(button, "ab")) for each, button in zip(crowd, buttons, strict=True)]
        await wait_for(lambda: made.queue.depth("large") == 3 * CROWD)
        assert (await page.client.get("/", timeout=60)).status_code == 200  # while no worker serves anybody
        await wait_for(lambda: all(each.places for each in crowd))
        await wait_for(lambda: any(f"of {3 * CROWD}" in words for words in crowd[-1].places))
        await asyncio.to_thread(made.start_worker)
        answers = await asyncio.gather(*calls)
    assert answers[:2] == [["AB"], ["AB!"]]
    assert all(each.values for each in crowd[2::3])


@pytest.mark.parametrize(("event", "alone"), [("gather_default", 1), ("gather_2", 2)])
def test_calls_of_a_batched_event_are_batched_and_a_batch_is_one_task(
    crowded: tuple[Farm, str], tmp_path: Path, event: str, alone: int
) -> None:
    """Each call was started alone, for as many events ran as there were visitors.

    As in Gradio, as many calls start alone as the author's own limit lets run at once.
    """
    made, url = crowded
    if not made.workers:
        made.start_worker()
    before = _tasks(made)
    sizes = [int(answer[0].rpartition(" ")[2]) for answer in asyncio.run(_eight_calls(url, event, tmp_path / "end"))]
    assert sizes.count(1) <= alone
    assert len(_tasks(made) - before) == round(sum(1 / size for size in sizes))


def _tasks(farm: Farm) -> set[bytes]:
    return set(farm.redis.scan_iter(farm.queue.keys.task("*")))


async def _eight_calls(url: str, event: str, end: Path) -> list[Any]:
    """None of them ends before all of them have come."""
    async with opened(url) as page:
        crowd = [Visitor(page, 1000 + number) for number in range(8)]
        await asyncio.gather(*(each.press(event, str(end)) for each in crowd))
        end.touch()
        return list(await asyncio.gather(*(each.read() for each in crowd)))
