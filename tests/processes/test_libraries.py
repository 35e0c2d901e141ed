"""Libraries that the farm brings, in children of Spaces that used them before; `tests/libraries` has the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import SPACES, Farm, farm
from tests.waiting import PATIENCE

NAMES = ("sklearn", "tokenizers", "torch_fork", "torch_loader")


@pytest.fixture(scope="module")
def libraries_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A worker, and a Space for each library."""
    with farm(tmp_path_factory.mktemp("farm")) as made:
        for name in NAMES:
            made.register(name, SPACES / "libraries" / name / "app.py")
        made.start_worker()
        yield made


@pytest.mark.parametrize("name", NAMES)
def test_a_library_that_the_script_used_computes_the_same_in_a_function(libraries_farm: Farm, name: str) -> None:
    """tokenizers and `torch.jit.fork` waited for lost threads; a loader of torch took others' processes for its own."""
    with libraries_farm.client(name) as client:
        first, again, _ = client.submit(name, "check", duration=40).result(timeout=PATIENCE)
    assert again == first
