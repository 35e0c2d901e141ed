"""Callers of a page's MCP server: each is a visitor of their own, by nothing that they write themselves."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from spaces.farm.queue import settings
from spaces.farm.queue.queue import Queue
from spaces.web.identity import hashed
from tests.harness import GRADIO, Farm, configured_farm

pytestmark = pytest.mark.skipif(GRADIO.startswith("4."), reason="MCP servers came with Gradio 5.28")

TOKEN = "hf_of_ada"

SETTINGS = f"""
[quota]
enabled = true
trusted_proxies = ["127.0.0.1"]

[tiers.member]
daily = 3600

[visitors]
"{hashed(TOKEN)}" = "member"
"""

SCRIPT = """
import gradio as gr
import spaces

@spaces.GPU(duration=10)
def shout(text: str) -> str:
    \"\"\"Say it loudly.\"\"\"
    return text.upper()

@gr.mcp.resource("words://{text}") if hasattr(gr, "mcp") else (lambda function: function)
@spaces.GPU(duration=10)
def whisper(text: str) -> str:
    \"\"\"Say it quietly.\"\"\"
    return text.lower()

@spaces.GPU(duration=10)
def echo(text: str) -> str:
    \"\"\"Say it again.\"\"\"
    return text

with gr.Blocks() as demo:
    box, out = gr.Textbox(), gr.Textbox()
    gr.Button().click(shout, box, out, api_name="shout")
    gr.Button().click(whisper, box, out, api_name="whisper")
    gr.Button().click(echo, box, out, api_name="echo", queue=False)

demo.launch(mcp_server=True)
"""


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm with quotas, which trusts proxies on the page's own host."""
    with configured_farm(tmp_path_factory.mktemp("farm"), SETTINGS) as made:
        made.start_worker()
        yield made


@pytest.fixture(scope="module")
def page(metered: Farm) -> str:
    script = metered.folder / "app.py"
    script.write_text(SCRIPT)
    return metered.start_web("tools", script)


@pytest.fixture
def charged(metered: Farm) -> Iterator[set[str]]:
    """The visitors that a test's calls were charged to, once it has ended."""
    queue = Queue(metered.redis, rules=settings.current())
    for key in metered.redis.scan_iter(queue.keys.usage("*")):
        metered.redis.delete(key)
    found: set[str] = set()
    yield found
    assert {each.visitor for each in queue.ledger.all()} == found


def asked(page: str, address: str, method: str, parameters: dict[str, object], **headers: str) -> str:
    """What the MCP server answers a caller at this address of the loopback."""
    accept = {"Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address)) as client:
        answer = client.post(f"{page}/gradio_api/mcp/", json=body, headers=accept | headers)
    return answer.raise_for_status().text


def shouted(page: str, address: str, **headers: str) -> str:
    return asked(page, address, "tools/call", {"name": "shout", "arguments": {"text": "abc"}}, **headers)


def test_callers_are_known_by_the_address_that_the_mcp_server_sees(page: str, charged: set[str]) -> None:
    """All of them were `address:127.0.0.1`, that of the page's own call."""
    assert "ABC" in shouted(page, "127.0.0.2")
    assert "ABC" in shouted(page, "127.0.0.3")
    charged |= {"address:127.0.0.2", "address:127.0.0.3"}


def test_a_caller_with_a_known_token_is_known_by_it(page: str, charged: set[str]) -> None:
    assert "ABC" in shouted(page, "127.0.0.2", Authorization=f"Bearer {TOKEN}")
    charged.add(hashed(TOKEN))


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Authorization": "Bearer hf_invented"},
        {"x-zerofarm-visitor": "user:ada"},
        {"x-zerofarm-visitor": f"user:ada {'0' * 64}"},
    ],
)
def test_nothing_that_a_caller_writes_names_another_visitor(
    page: str, charged: set[str], headers: dict[str, str]
) -> None:
    """The page's own call passed their headers on from a host whose proxies it trusts."""
    assert "ABC" in shouted(page, "127.0.0.2", **headers)
    charged.add("address:127.0.0.2")


def test_what_is_read_or_not_queued_is_for_its_caller_too(page: str, charged: set[str]) -> None:
    assert "aBc" in asked(page, "127.0.0.2", "tools/call", {"name": "echo", "arguments": {"text": "aBc"}})
    assert "abc" in asked(page, "127.0.0.4", "resources/read", {"uri": "words://aBc"})
    charged |= {"address:127.0.0.2", "address:127.0.0.4"}


def test_a_proxy_that_is_trusted_names_its_caller(page: str, charged: set[str]) -> None:
    assert "ABC" in shouted(page, "127.0.0.1", **{"X-Forwarded-For": "198.51.100.7"})
    charged.add("address:198.51.100.7")
