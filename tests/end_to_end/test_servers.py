"""Servers of a Space's own beside its page: the page has the operator's address, the others the ports they ask for."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from tests.end_to_end.pages import called
from tests.harness import GRADIO, Farm, farm, free_port
from tests.waiting import PATIENCE, wait_until

PAGE = """
import asyncio, os, threading, time
import gradio as gr
import spaces

PORT = int(os.environ["TEST_PORT"])

@spaces.GPU
def shout(text):
    return text.upper()

with gr.Blocks() as demo:
    box, out = gr.Textbox(), gr.Textbox()
    gr.Button().click(shout, box, out, api_name="shout")
"""

FASTAPI = """
import uvicorn
from fastapi import FastAPI

api = FastAPI()

@api.get("/")
def root():
    return {"pid": os.getpid()}
"""

HTTP_SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"pid": %d}' % os.getpid())
"""

SERVERS = {
    "uvicorn, in a thread, before": FASTAPI
    + """
threading.Thread(target=uvicorn.run, args=(api,), kwargs={"port": PORT}, daemon=True).start()
time.sleep(1.0)
demo.launch()
""",
    "uvicorn, on the main thread, after": FASTAPI
    + """
demo.launch(prevent_thread_lock=True)
uvicorn.run(api, port=PORT)
""",
    "uvicorn, in an event loop, before": FASTAPI
    + """
async def main():
    api_server = asyncio.create_task(uvicorn.Server(uvicorn.Config(api, port=PORT)).serve())
    await asyncio.sleep(1.0)
    demo.launch(prevent_thread_lock=True)
    await api_server

asyncio.run(main())
""",
    "uvicorn, in a thread, with the page mounted in another": FASTAPI
    + """
threading.Thread(target=uvicorn.run, args=(api,), kwargs={"port": PORT}, daemon=True).start()
time.sleep(1.0)
uvicorn.run(gr.mount_gradio_app(FastAPI(), demo, path="/"), port=9999)
""",
    "http.server, in a thread, before": HTTP_SERVER
    + """
server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
demo.launch()
""",
    "hypercorn, in a thread, before": FASTAPI
    + """
from hypercorn.asyncio import serve
from hypercorn.config import Config

config = Config()
config.bind = [f"127.0.0.1:{PORT}"]
stop = asyncio.Event()
run = lambda: asyncio.run(serve(api, config, shutdown_trigger=stop.wait))
threading.Thread(target=run, daemon=True).start()
demo.launch()
""",
    "aiohttp, in a thread, before": """
from aiohttp import web

async def root(request):
    return web.json_response({"pid": os.getpid()})

async def serve():
    app = web.Application()
    app.add_routes([web.get("/", root)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()
    await asyncio.Event().wait()

threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
demo.launch()
""",
    "an MCP server, in a thread, before": """
from mcp.server.fastmcp import FastMCP
from starlette.responses import JSONResponse

mcp = FastMCP("tools", port=PORT)

@mcp.custom_route("/", methods=["GET"])
async def root(request):
    return JSONResponse({"pid": os.getpid()})

threading.Thread(target=mcp.run, args=("streamable-http",), daemon=True).start()
time.sleep(1.0)
demo.launch()
""",
    "a second page, after": """
with gr.Blocks() as other:
    gr.Textbox()

demo.launch(prevent_thread_lock=True)
other.launch(server_port=PORT)
""",
}

#: What the environments of other versions of Gradio have.
EVERYWHERE = [name for name in SERVERS if not name.startswith(("hypercorn", "aiohttp", "an MCP"))]


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Farm]:
    """A farm whose Spaces have a server at `port`."""
    with pytest.MonkeyPatch.context() as patch, farm(tmp_path_factory.mktemp("farm")) as made:
        patch.setenv("TEST_PORT", str(port))
        patch.setenv("GRADIO_SSR_MODE", "True")  # of an operator's; Node would be a server more
        made.start_worker()
        yield made


@pytest.mark.parametrize("server", EVERYWHERE if GRADIO else SERVERS)
def test_a_page_and_another_server_each_have_their_address(
    serving: Farm, port: int, tmp_path: Path, server: str
) -> None:
    """Every uvicorn that was not Gradio's was taken for the page: Gradio then found no port, and /config was 404."""
    script = tmp_path / "app.py"
    script.write_text(dedent(PAGE) + SERVERS[server])
    name = f"space-{list(SERVERS).index(server)}"
    url = serving.start_web(name, script, path="/config")
    try:
        assert called(url, "shout", "hello") == ["HELLO"]
        answered = wait_until(lambda: _answer_at(port))  # which listens from a thread, at any time
        if server != "a second page, after":
            assert json.loads(answered) == {"pid": serving.webs[name].pid}
        assert psutil.Process(serving.webs[name].pid).children() == []
    finally:
        serving.stop_web(name)


def _answer_at(port: int) -> bytes:
    """What the server says there; nothing while none listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


def test_a_port_that_is_taken_is_told_with_its_holder(serving: Farm, port: int, tmp_path: Path) -> None:
    """It said `Address already in use`, and no more."""
    script = tmp_path / "app.py"
    script.write_text(dedent(PAGE) + SERVERS["http.server, in a thread, before"])
    serving.start_web("first", script, path="/config")
    try:
        log = serving.folder / "web-second.log"
        with pytest.raises(AssertionError, match="Address already in use"):
            serving.start_web("second", script, path="/config")
        words = f"port {port} is held by process {serving.webs['first'].pid} of Space first: "
        wait_until(lambda: words in log.read_text())
    finally:
        serving.stop_web("first")
