"""Who calls: visitors of pages, by HTTP, and programs, by `spaces.Farm`."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import httpx

from chaos.calls import Call, Kind
from chaos.farm import SPACES, Farm
from spaces.errors import WaitTimeout

#: Seconds after which a call without an answer counts as lost, and a page that cannot be reached as gone.
PATIENCE = 90.0

#: Seconds between two attempts to reach a page, as of a visitor who presses the button again.
AGAIN = 0.25

#: What Gradio says of a call that it does not know.
UNKNOWN = '"404: Not Found"'

#: Characters of an argument that is too large for a message.
LARGE = 200_000


class Callers:
    """Calls the functions of a farm."""

    def __init__(self, farm: Farm) -> None:
        self._notes = str(farm.notes)
        self._pages = farm.ready["spaces"]
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(PATIENCE, connect=5.0), limits=httpx.Limits(max_connections=None)
        )
        self._programs = {space: farm.program(space) for space in SPACES}
        self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="program")

    async def call(self, call: Call) -> None:
        """Call, and note each answer in `call`."""
        space = _space_of(call)
        if call.how == "page":
            await self._by_page(call, self._pages[space])
        else:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._by_program, call, space)
        if not call.answers:
            call.answer(Kind.LOST)

    async def close(self) -> None:
        await self._http.aclose()
        for program in self._programs.values():
            program.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _by_page(self, call: Call, page: str) -> None:
        url = f"{page}/gradio_api/call/{call.function}"
        try:
            async with asyncio.timeout(PATIENCE):
                joined = await self._pressed(url, {"data": [call.token, *_argument(call), self._notes]})
                joined.raise_for_status()
                await self._read(call, f"{url}/{joined.json()['event_id']}")
        except httpx.HTTPError as error:
            call.answer(Kind.CUT, repr(error))
        except TimeoutError:
            pass

    async def _pressed(self, url: str, body: dict[str, list[object]]) -> httpx.Response:
        """The answer of a page to its button; one that cannot be reached is reloaded, and the button pressed again."""
        while True:
            try:
                return await self._http.post(url, json=body)
            except httpx.ConnectError:  # nothing was sent
                await asyncio.sleep(AGAIN)

    async def _read(self, call: Call, url: str) -> None:
        """Read the events of a call to the end of their stream."""
        async with self._http.stream("GET", url) as answer:
            event = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and event == "error":
                    _note_error(call, line.removeprefix("data: "))
                    return
                elif line.startswith("data: ") and event == "complete":
                    call.value(json.loads(line.removeprefix("data: "))[0], _expected(call))
        if not call.answers:
            call.answer(Kind.CUT, "the page ended the stream")

    def _by_program(self, call: Call, space: str) -> None:
        try:
            handle = self._programs[space].submit(space, call.function, call.token, *_argument(call), self._notes)
            value = list(handle)[-1] if call.function == "stream" else handle.result(timeout=PATIENCE)
            call.value(value, _expected(call))
        except WaitTimeout:
            pass
        except Exception as error:
            call.error(f"{type(error).__name__}: {error}")


def _note_error(call: Call, text: str) -> None:
    """Note an error of a page. One that was started anew does not know the calls of the one before."""
    if text == UNKNOWN:
        call.answer(Kind.CUT, "the page has been started anew")
    else:
        call.error(text)


def _space_of(call: Call) -> str:
    """One call in 25 starts the Space that is idle; the others share all but that one."""
    number = int(call.token.rpartition("-")[2])
    *usual, idle = SPACES
    return idle if number % 25 == 0 else usual[number % len(usual)]


def _argument(call: Call) -> list[object]:
    return [_text(call)] if call.function == "turn" else [call.seconds]


def _text(call: Call) -> str:
    return call.token * (LARGE // len(call.token))


def _expected(call: Call) -> str:
    match call.function:
        case "work":
            return call.token
        case "stream":
            return f"{call.token} 9"
        case "turn":
            return _text(call)[::-1]
