"""Where a worker has the files of a Space that another host or container serves."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spaces.errors import RefusedError
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.registry import SpaceRecord
from spaces.source import Source
from spaces_workers.worker.workplace import Workplace

#: As the gateway writes it for a page with a token: nothing can be made there.
NOWHERE = "/dev/null/painter"

RECORD = SpaceRecord(
    "painter", "0" * 16, f"{NOWHERE}/app.py", NOWHERE, False, "token 1", sys.executable, isolated=False, functions=()
)


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    space = tmp_path / "painter"
    space.mkdir()
    (space / "app.py").write_text("print()")
    archive = Source(space / "app.py").archive(1000)
    fake = cast(Any, SimpleNamespace(redis=None, keys=Keys(), host="here", run_dir=tmp_path, visible_devices=""))
    registry = cast(Any, SimpleNamespace(archive=lambda _: archive))
    return Workplace(fake, fake, registry, fake, farm_key=bytes(32), state_dir=tmp_path, zygotes=fake, residency=fake)


def test_files_that_their_page_has_elsewhere_are_unpacked_without_a_word(
    workplace: Workplace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Workers in containers said of each Space that its files 'cannot be at /dev/null/NAME', as if it were a fault."""
    caplog.set_level(logging.INFO)
    script = Path(workplace.spec_of(RECORD).app_file)
    assert (script, script.read_text()) == (tmp_path / "unpacked" / f"painter-{RECORD.digest}" / "app.py", "print()")
    assert caplog.messages == []


def test_a_state_directory_without_room_for_files_is_told_with_its_reason(workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "unpacked").write_text("a file in the place of the folder")
    with pytest.raises(RefusedError, match=r"unpacked cannot be written: .*File exists"):
        workplace.spec_of(RECORD)
