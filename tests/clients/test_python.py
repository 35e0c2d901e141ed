"""Gradio's client for Python, and a client of MCP, through the front door."""

from __future__ import annotations

import asyncio
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.clients.by_python import CLIENT, call_stream_upload_and_download
from tests.clients.conftest import tell
from tests.end_to_end.test_up import Up


@pytest.mark.parametrize("space", ["gradio-6", "gradio-5"])
def test_a_program_calls_streams_uploads_and_downloads(farm: Up, tmp_path: Path, space: str) -> None:
    call_stream_upload_and_download(farm.ready()["spaces"][space], tmp_path)
    tell(space, CLIENT, passes=True)


def test_this_client_looks_for_a_page_of_gradio_4_at_the_root(farm: Up) -> None:
    """A fault of the client; where it ends, the document is to say so."""
    with pytest.raises(Exception, match=r"\S"):
        Client(farm.ready()["spaces"]["gradio-4"], verbose=False).predict("abc", api_name="/shout")
    tell("gradio-4", CLIENT, passes=False)


#: Prints the version of the client, and what it got.
OLDER = """
import sys
from importlib.metadata import version
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
job = client.submit(5, api_name="/count")
print(version("gradio_client"), job.result(120), client.predict("abc", api_name="/shout"))
"""


def test_the_client_that_came_with_gradio_4_passes(farm: Up) -> None:
    page = farm.ready()["spaces"]["gradio-4"]
    (python, *_) = farm.state_dir.rglob("gradio-4-*/bin/python")
    ended = subprocess.run([python, "-c", OLDER, page], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    name, counted, shouted = ended.stdout.split()
    assert (counted, shouted) == ("4", "ABC")
    tell("gradio-4", f"`gradio_client` {name}", passes=True)


@pytest.mark.parametrize("space", ["gradio-6", "gradio-5"])
def test_a_client_of_mcp_calls_a_tool(farm: Up, space: str) -> None:
    async def ask() -> str:
        address = f"{farm.ready()['spaces'][space]}/gradio_api/mcp/"
        async with streamable_http_client(address) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            name = next(name for name in tools if name.endswith("shout"))
            answer = await session.call_tool(name, {"text": "abc"})
            return str(answer.content[0].text)  # type: ignore[union-attr] # a text

    assert asyncio.run(ask()) == "ABC"
    tell(space, f"`mcp` {version('mcp')}", passes=True)
