"""Globals that change after the launch: what handlers change reaches GPU functions; what cannot is said, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from gradio_client import Client

from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(scope="module")
def stateful(web_farm: Farm) -> Iterator[Client]:
    """A visitor of the page."""
    client = Client(web_farm.start_web("stateful"), verbose=False)
    yield client
    client.close()


@pytest.fixture
def log(web_farm: Farm) -> Callable[[], str]:
    """The log of the web process so far."""
    return (web_farm.folder / "web-stateful.log").read_text


def test_what_a_handler_changed_is_there_in_a_gpu_function(stateful: Client) -> None:
    assert stateful.predict(api_name="/draw") == "plain 4 1 calm calm"
    assert stateful.predict("oil", "9", "2", "bright", api_name="/choose") == "oil 9 2 calm bright calm bright"
    assert stateful.predict(api_name="/draw") == "oil 9 2 calm bright calm bright"


def test_attributes_of_an_object_that_goes_by_name_travel(stateful: Client) -> None:
    assert stateful.predict("black", api_name="/prime").startswith("black ")


def test_a_gpu_function_keeps_what_it_changed_until_the_web_process_changes_it(stateful: Client) -> None:
    assert stateful.predict("two", api_name="/load") == "None"
    assert stateful.predict("three", api_name="/load") == "two"
    assert stateful.predict("web", api_name="/preload") == "web"
    assert stateful.predict("last", api_name="/load") == "next"


def test_a_global_that_cannot_be_sent_is_named_once(stateful: Client, log: Callable[[], str]) -> None:
    assert [stateful.predict(api_name="/work") for _ in range(2)] == ["False", "False"]
    assert log().count("the global 'JOB' was changed in the web process; busy(), which reads it on the GPU") == 1
    assert "it is a lock" in log()


def test_a_global_that_the_web_process_misses_is_named_once(stateful: Client, log: Callable[[], str]) -> None:
    assert [stateful.predict(api_name="/counted") for _ in range(2)] == ["0", "0"]
    expected = "count() changed the global 'COUNT' in its GPU process; the web process, where counted() reads it, "
    wait_until(lambda: expected in log())
    assert log().count(expected) == 1
    assert "'LOADED'" not in log()


def test_a_new_web_process_does_not_find_the_globals_of_the_last_one(stateful: Client, web_farm: Farm) -> None:
    assert stateful.predict("ink", "1", "1", "dark", api_name="/choose").startswith("ink 1 1 calm")
    web_farm.webs["stateful"].terminate()
    web_farm.webs["stateful"].wait(PATIENCE)
    with closing(Client(web_farm.start_web("stateful"), verbose=False)) as other:
        assert other.predict(api_name="/draw") == "plain 4 1 calm calm"
