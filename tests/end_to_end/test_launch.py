"""The ways in which Spaces put their pages up, other than a bare `demo.launch()`."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest
from gradio_client import Client

from tests.end_to_end.pages import called
from tests.harness import GRADIO, Farm
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def served(web_farm: Farm) -> Iterator[Client]:
    """A visitor of a `gr.Server`."""
    if GRADIO:
        pytest.skip("gr.Server came with Gradio 6")
    with closing(Client(web_farm.start_web("served"), verbose=False)) as visitor:
        yield visitor


def test_a_page_mounted_into_an_app_of_its_own(web_farm: Farm) -> None:
    url = web_farm.start_web("mounted", path="/ui")
    with urllib.request.urlopen(f"{url}/shout?text=hello", timeout=PATIENCE) as answer:
        assert json.load(answer) == {"said": "HELLO"}
    assert called(f"{url}/ui", "shout", "hello") == ["HELLO"]


def test_a_gradio_server_launched_inside_a_function(served: Client) -> None:
    assert served.predict("hello", api_name="/shout") == "HELLO"


def test_visitors_are_not_turned_away_while_others_wait(visitor: Client) -> None:
    jobs = [visitor.submit(f"visitor {number}", api_name="/later") for number in range(8)]
    assert [job.result(timeout=PATIENCE) for job in jobs] == [f"later visitor {number}" for number in range(8)]
