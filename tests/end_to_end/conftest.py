"""One farm for all tests of pages: a broker, a worker, and the web process of the Space `studio`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gradio_client import Client

from tests.harness import SPACES, Farm, farm


@pytest.fixture(scope="module")
def web_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with farm(tmp_path_factory.mktemp("farm")) as made:
        made.start_worker()
        made.start_gateway(*(each.name for each in SPACES.iterdir()))
        yield made


@pytest.fixture(scope="module")
def studio(web_farm: Farm) -> str:
    """The URL of the page."""
    return web_farm.start_web("studio")


@pytest.fixture
def visitor(studio: str) -> Iterator[Client]:
    """A visitor of the page, by API."""
    client = Client(studio, verbose=False)
    yield client
    client.close()
