"""How does a page serve while 2,000 visitors wait? `python -m benchmarks.visitors [--visitors 2000] [--pages 300]`

A page behind its gateway, as `zerofarm up` serves it, and no worker. So many visitors press a button of the page, and
follow their place by HTTP as a browser does; the others are programs that call the same function. While all of them
wait, the page is opened again and again, beside as often when nobody waited. Then two workers serve everybody.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from tests.end_to_end.test_crowd import Visitor, opened, wait_for
from tests.harness import Farm, farm

#: Times that the page is opened, and seconds between two.
LOOKS, BETWEEN = 40, 0.1

#: Seconds in which the page shall answer while visitors wait.
BUDGET = 0.2

PATIENCE = 300.0


def main() -> None:
    """A line for each result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=2000)
    parser.add_argument("--pages", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, farm(Path(folder)) as made:
        made.start_gateway("crowd")
        url = made.start_web("crowd")
        asyncio.run(_measure(made, url, given.visitors, given.pages))


async def _measure(made: Farm, url: str, visitors: int, pages: int) -> None:
    alone = await asyncio.to_thread(_seconds_to_open, url)
    with made.client_of_gateway("crowd") as programs, _memory(made, visitors, pages) as tell_memory:
        async with opened(url) as page:
            crowd = [Visitor(page, number) for number in range(pages)]
            answers = [asyncio.create_task(each.call("shout", each.session)) for each in crowd]
            calls = [programs.submit("crowd", "shout", f"program{number}") for number in range(visitors - pages)]
            await wait_for(lambda: made.queue.depth("large") == visitors, PATIENCE)
            await wait_for(lambda: all(each.places for each in crowd), PATIENCE)
            crowded = await asyncio.to_thread(_seconds_to_open, url)
            tell_memory()
            print(f"opening the page while {visitors} wait: {_in_words(crowded)}; alone: {_in_words(alone)}")
            print(f"  within {BUDGET} s: {sum(each <= BUDGET for each in crowded)} of {LOOKS}")
            began = time.monotonic()
            for number in range(2):
                await asyncio.to_thread(made.start_worker, f"cpu{number}")
            told = Counter(answer[0] for answer in await asyncio.gather(*answers))
            told.update(await asyncio.to_thread(lambda: [call.result(PATIENCE) for call in calls]))
            print(f"all were served after {time.monotonic() - began:.0f} s")
    expected = [f"VISITOR{number}" for number in range(pages)]
    expected += [f"PROGRAM{number}" for number in range(visitors - pages)]
    right = sum(told[each] == 1 for each in expected)
    print(f"answered once, with their own value: {right} of {visitors}; other answers: {told.total() - right}")


@contextmanager
def _memory(made: Farm, visitors: int, pages: int) -> Iterator[Callable[[], None]]:
    """Yields a function that prints what each visitor has added since."""
    shares = {
        "page": (made.webs["crowd"].pid, pages),
        "gateway": (made.gateways[0].pid, visitors),
        "broker": (_pid_of_broker(made), visitors),
        "programs and browsers": (os.getpid(), visitors),
    }
    before = {name: _rss(pid) for name, (pid, _) in shares.items()}

    def tell() -> None:
        for name, (pid, count) in shares.items():
            print(f"memory of the {name}: {(_rss(pid) - before[name]) / count / 1e3:.1f} kB for each of {count}")

    yield tell


def _pid_of_broker(made: Farm) -> int:
    return int(made.redis.info("server")["process_id"])


def _rss(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def _seconds_to_open(url: str) -> list[float]:
    found = []
    for _ in range(LOOKS):
        began = time.monotonic()
        with urllib.request.urlopen(url, timeout=60) as answer:
            answer.read()
        found.append(time.monotonic() - began)
        time.sleep(BETWEEN)
    return found


def _in_words(seconds: list[float]) -> str:
    return f"median {median(seconds) * 1e3:.0f} ms, at most {max(seconds) * 1e3:.0f} ms"


if __name__ == "__main__":
    main()
