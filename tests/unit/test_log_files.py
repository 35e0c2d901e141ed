"""Which file each process of a farm writes its log to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from spaces.farm import log_files

#: Names of the farm's own processes.
PROCESSES = ("home", "gateway", "nursery", "flower", "door", "fork-server", "worker-cpu0")


def files_of(spaces: Sequence[str]) -> list[Path]:
    of_space = (log_files.of_page, log_files.of_workers, log_files.of_builds)
    return [file(Path("/state"), space) for space in spaces for file in of_space]


@pytest.mark.parametrize("space", [*PROCESSES, "web-digits", "zygote-digits", "builds"])
def test_a_space_shares_no_log_with_another_or_with_the_farm(space: str) -> None:
    """The processes of a Space that was called `home` or `web-digits` wrote into the logs of others."""
    own = {log_files.of_process(Path("/state"), name) for name in PROCESSES}
    files = files_of([space, "digits"])
    assert len(set(files) | own) == len(files) + len(own)
