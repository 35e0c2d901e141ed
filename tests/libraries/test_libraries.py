"""Each library computes in a GPU function as it did while the script ran."""

from __future__ import annotations

import time

import pytest

from tests.harness import Farm
from tests.libraries.conftest import LIBRARIES, serve, tell


@pytest.mark.parametrize("name", sorted(each.name for each in LIBRARIES.iterdir()))
def test_a_library_that_the_script_used_computes_the_same_in_a_function(library_farm: Farm, name: str) -> None:
    serve(library_farm, name)
    with library_farm.client(name) as client:
        began = time.monotonic()
        first, again, threads = client.submit(name, "check", duration=40).result(timeout=300)
        until_first = time.monotonic() - began
        began = time.monotonic()
        client.submit(name, "check", duration=40).result(timeout=300)
    forked = "zerofarm: a fork" not in (library_farm.state_dir / "logs" / f"{name}.log").read_text()
    requirements = " ".join((LIBRARIES / name / "requirements.txt").read_text().split()) or "Python's own"
    tell(
        f"| {name} | {requirements} | {'fork' if forked else 'no fork'} | {threads} | {until_first:.1f} | "
        f"{time.monotonic() - began:.2f} |"
    )
    assert again == first
