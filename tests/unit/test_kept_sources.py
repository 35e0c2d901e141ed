"""Which revisions of an added Space are kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from spaces_workers.up.hosting.kept_sources import KEPT, KeptSources
from spaces_workers.up.hosting.revision import Revision


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "painter"
    folder.mkdir()
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> KeptSources:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "sources").mkdir()
    return KeptSources(tmp_path / "state")


def served(kept: KeptSources, source: Path, text: str) -> Revision:
    (source / "app.py").write_text(text)
    revision = asyncio.run(kept.fetch("painter", str(source)))
    kept.note(revision, str(source))
    return revision


def numbers(kept: KeptSources) -> list[int]:
    found = kept.find("painter")
    assert found is not None
    return [each.number for each in found.revisions]


def test_the_last_three_revisions_that_served_are_kept(kept: KeptSources, source: Path, tmp_path: Path) -> None:
    revisions = [served(kept, source, f"# {text}") for text in ("one", "two", "three", "four")]
    assert numbers(kept) == [2, 3, 4]
    assert len(numbers(kept)) == KEPT
    assert not revisions[0].space.app_file.exists()
    assert revisions[1].space.app_file.read_text() == "# two"


def test_a_revision_that_was_rolled_back_to_stays(kept: KeptSources, source: Path) -> None:
    revisions = [served(kept, source, f"# {text}") for text in ("one", "two", "three")]
    kept.note(revisions[0], str(source))
    found = kept.find("painter")
    assert found is not None
    assert found.current.number == 1
    assert served(kept, source, "# four").number == 4
    assert numbers(kept) == [2, 3, 4]


def test_a_revision_that_never_served_is_removed_at_the_start(kept: KeptSources, source: Path) -> None:
    served(kept, source, "# one")
    (source / "app.py").write_text("# two")
    tried = asyncio.run(kept.fetch("painter", str(source)))
    kept.all()
    assert not tried.space.app_file.exists()
    assert numbers(kept) == [1]


def test_files_stay_while_a_page_of_their_revision_has_visitors(kept: KeptSources, source: Path) -> None:
    """An open page lost its files once three newer revisions had served."""
    first = served(kept, source, "# one")
    for text in ("two", "three"):
        served(kept, source, f"# {text}")
    (source / "app.py").write_text("# four")
    kept.note(asyncio.run(kept.fetch("painter", str(source))), str(source), in_use={1, 4})
    assert numbers(kept) == [2, 3, 4]
    assert first.space.app_file.read_text() == "# one"
    kept.discard_unless_noted(first)
    assert not first.space.app_file.exists()


def test_the_end_of_a_page_takes_no_kept_revision_away(kept: KeptSources, source: Path) -> None:
    revision = served(kept, source, "# one")
    kept.discard_unless_noted(revision)
    assert revision.space.app_file.read_text() == "# one"
