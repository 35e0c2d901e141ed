"""What a script asks of its server that cannot be had in a farm: it goes on without, and says so in its log."""

from __future__ import annotations

from pathlib import Path

from spaces.config import Role
from tests.unit.test_in_effect import log_of, roles

SCRIPT = """
import spaces, uvicorn
@spaces.GPU
def f(): pass
config = uvicorn.Config(None, {options})
print(config.reload, config.workers)
"""


@roles
def test_a_reloader_and_workers_of_uvicorn_s_are_refused_aloud(tmp_path: Path, role: Role) -> None:
    """They were overruled in silence."""
    log = log_of(tmp_path, SCRIPT.format(options="reload=True, workers=4"), role)
    assert sorted(log.splitlines()) == [
        "False 1",
        "reload=True of uvicorn has no effect in a farm: one process serves a Space",
        "workers=4 of uvicorn has no effect in a farm: one process serves a Space",
    ]


@roles
def test_what_uvicorn_s_run_passes_on_of_itself_is_not_spoken_of(tmp_path: Path, role: Role) -> None:
    assert log_of(tmp_path, SCRIPT.format(options="reload=False, workers=None"), role) == "False 1\n"
