"""An operator retries a failed task whose caller has left: the outcome is read anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces.farm.links.retrying import retry
from tests.harness import Farm
from tests.waiting import PATIENCE

SCRIPT = """
from pathlib import Path
import spaces

@spaces.GPU
def draw(size):
    if not Path(__file__).with_name("mended").exists():
        raise ValueError("no such file")
    return b"x" * size
"""


def test_a_large_outcome_of_a_retried_task_is_read_on_another_host(own_farm: Farm, tmp_path: Path) -> None:
    """It was left in the shared memory of the host whose caller had heard of the failure."""
    (tmp_path / "app.py").write_text(SCRIPT)
    own_farm.register("draws", tmp_path / "app.py")
    own_farm.start_worker()
    with own_farm.client("draws", near=True) as caller, pytest.raises(ValueError, match="no such file"):
        (handle := caller.submit("draws", "draw", 1_000_000)).result(timeout=PATIENCE)
    (tmp_path / "mended").touch()
    again = retry(own_farm.queue, handle.id, "ada on here")
    with own_farm.client("draws") as elsewhere:
        assert elsewhere.task(again.id).result(timeout=PATIENCE) == b"x" * 1_000_000
