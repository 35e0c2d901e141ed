"""No Space reads or replaces the files of another, which are sent to workers of other hosts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spaces.errors import RefusedError
from spaces.farm.links import messages as says
from spaces.farm.queue.registry import SpaceRecord
from tests.harness import Farm
from tests.processes.gateway_line import bare_page
from tests.waiting import PATIENCE

READ = "import spaces\n\n@spaces.GPU\ndef read():\n    return open('word.txt').read()\n"


COUNT = """
import spaces

@spaces.GPU
def count():
    with open("kept.txt", "a") as kept:
        kept.write("x")
        return kept.tell()
"""


def registered(farm: Farm, folder: Path, word: str) -> SpaceRecord:
    """A Space of another host: its files are in the broker alone."""
    folder.mkdir()
    (folder / "word.txt").write_text(word)
    (folder / "app.py").write_text(READ)
    record = farm.register(folder.name, folder / "app.py")
    (folder / "app.py").unlink()
    return record


def test_a_space_that_names_the_files_of_another_gets_none(own_farm: Farm, tmp_path: Path) -> None:
    """Archives were named by their digest alone."""
    victim = registered(own_farm, tmp_path / "victim", "secret")
    own_farm.start_gateway("thief")
    with bare_page(own_farm.address_of("thief")) as page:
        page.ask(says.Register(replace(victim, root=str(tmp_path / "x"), app_file=str(tmp_path / "x" / "app.py"))))
    own_farm.start_worker("elsewhere", host="another-host")
    with own_farm.client("victim") as client:
        assert client.submit("victim", "read").result(timeout=PATIENCE) == "secret"
    with own_farm.client("thief") as client, pytest.raises(RefusedError, match="does not have"):
        client.submit("thief", "read").result(timeout=PATIENCE)


def test_a_space_cannot_replace_the_files_of_another(own_farm: Farm, tmp_path: Path) -> None:
    victim = registered(own_farm, tmp_path / "victim", "secret")
    kept = own_farm.registry.archive(victim)
    own_farm.start_gateway("thief")
    with bare_page(own_farm.address_of("thief")) as page:
        assert page.ask(says.WriteBlob("0" * 32, 0, b"other files")) == says.Done()
        page.ask(says.Register(victim, "0" * 32))
    assert kept
    assert own_farm.registry.archive(victim) == kept
    assert own_farm.registry.archive(replace(victim, name="thief")) == b"other files"


def test_two_spaces_with_the_same_files_run_in_folders_of_their_own(own_farm: Farm, tmp_path: Path) -> None:
    """Each may write into its own."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(COUNT)
        own_farm.register(name, tmp_path / name / "app.py")
        (tmp_path / name / "app.py").unlink()
    own_farm.start_worker("elsewhere", host="another-host")
    with own_farm.client("one") as one, own_farm.client("other") as other:
        assert one.submit("one", "count").result(timeout=PATIENCE) == 1
        assert other.submit("other", "count").result(timeout=PATIENCE) == 1
