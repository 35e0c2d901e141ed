"""Each library computes in a GPU function as it did while the script ran."""

from __future__ import annotations

import os
import time

import pytest

from spaces.errors import ChildCrashed
from spaces.farm import log_files
from tests.harness import Farm
from tests.libraries.conftest import LIBRARIES, serve, tell

#: Spaces whose children cannot be forks.
NO_FORK = {
    *("chromadb", "ctranslate2", "jax", "numba", "polars", "pyav", "pyvips", "queue_thread", "resampy", "tensorflow"),
    *("psycopg_pool", "tokenizers", "torch_fork", "faster_whisper", "datafusion", "decord", "tantivy"),
}

#: Libraries that compute with one thread in a fork, unless they are revived.
REVIVED = {"duckdb", "onnxruntime", "opencv"}


@pytest.mark.parametrize("name", sorted(each.name for each in LIBRARIES.iterdir()))
def test_a_library_that_the_script_used_computes_the_same_in_a_function(library_farm: Farm, name: str) -> None:
    serve(library_farm, name)
    with library_farm.client(name) as client:
        began = time.monotonic()
        first, again, threads = client.submit(name, "check", duration=40).result(timeout=300)
        until_first = time.monotonic() - began
        began = time.monotonic()
        client.submit(name, "check", duration=40).result(timeout=300)
    forked = "zerofarm: a fork" not in log_files.of_workers(library_farm.state_dir, name).read_text()
    requirements = " ".join((LIBRARIES / name / "requirements.txt").read_text().split()) or "Python's own"
    tell(
        f"| {name} | {requirements} | {'fork' if forked else 'no fork'} | {threads} | {until_first:.1f} | "
        f"{time.monotonic() - began:.2f} |"
    )
    assert again == first
    assert forked == (name not in NO_FORK)
    if name in REVIVED:
        assert threads >= 2 + len(os.sched_getaffinity(0)) - 1  # the child's own two, and its pool's


def test_a_library_that_gives_up_in_a_fork_returns_nothing(library_farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """numba with GNU's OpenMP: the sum came back as 0.0."""
    rules = library_farm.folder / "farm.toml"
    rules.write_text("[spaces.numba]\nfork = true\n")
    monkeypatch.setenv("ZEROFARM_CONFIG", str(rules))
    library_farm.stop_workers()
    library_farm.start_worker()
    serve(library_farm, "numba")
    with (
        library_farm.client("numba") as client,
        pytest.raises(ChildCrashed, match="was killed by SIGTERM, which the farm did not send"),
    ):
        client.submit("numba", "check").result(timeout=300)
