"""What a Space sees of the host."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from spaces.farm.queue.rules import IsolationRules
from spaces.source import Source
from spaces_workers.sandbox.description import Kind, Place
from spaces_workers.sandbox.hidden import hidden, note_served
from spaces_workers.sandbox.places import places
from spaces_workers.sandbox.space_folders import CACHES, SpaceFolders, UnfitName, made, state_of


def seen(folder: Path, rules: IsolationRules | None = None, *, alone: bool = False) -> dict[str, Place]:
    folders = SpaceFolders(*(folder / name for name in ("home", "temporary", "state", "beside", "caches")))
    source = Source(folder / "space" / "app.py", alone)
    found = places(source, folders, Path(sys.executable), rules or IsolationRules(), gpus=False, hides_processes=True)
    return {place.path: place for place in found}


def test_a_space_may_write_to_its_own_folders_and_to_nothing_else(tmp_path: Path) -> None:
    writable = {place.source or place.path for place in seen(tmp_path).values() if place.writable}
    own = {str(tmp_path / name) for name in ("space", "home", "temporary", "state")}
    assert writable == {*own, "/dev/shm"}


def test_folders_above_others_come_first(tmp_path: Path) -> None:
    paths = list(seen(tmp_path))
    for place, path in enumerate(paths):
        assert not any(path.startswith(f"{later}/") for later in paths[place:])


def test_a_script_that_is_a_space_by_itself_sees_no_file_beside_it(tmp_path: Path) -> None:
    found = seen(tmp_path, alone=True)
    assert found[str(tmp_path / "space")].source == str(tmp_path / "beside")
    assert found[str(tmp_path / "space" / "app.py")].kind is Kind.OWN


def test_paths_that_the_operator_names_are_seen(tmp_path: Path) -> None:
    for name in ("models", "results"):
        (tmp_path / name).mkdir()
    models, results, missing = (str(tmp_path / name) for name in ("models", "results", "missing"))
    found = seen(tmp_path, IsolationRules(readable=(models, missing), writable=(results,)))
    assert not found[models].writable
    assert found[results].writable
    assert missing not in found


def test_a_shared_cache_of_the_hub_is_seen_without_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    (cache / "hub").mkdir(parents=True)
    (cache / "token").touch()
    monkeypatch.setenv("HF_HOME", str(cache))
    assert str(cache / "hub") not in seen(tmp_path)
    found = seen(tmp_path, IsolationRules(hub_cache="shared"))
    assert not found[str(cache / "hub")].writable
    assert str(cache / "token") not in found
    assert found[str(cache)].source != str(cache)


@pytest.mark.parametrize("variable", CACHES)
def test_a_space_has_a_cache_of_its_own_where_the_operator_keeps_theirs(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not download a model: the folder that the variable names was not there, and could not be made."""
    monkeypatch.setenv(variable, str(tmp_path / "data"))
    place = seen(tmp_path)[str(tmp_path / "data")]
    assert (place.source, place.writable) == (str(tmp_path / "caches" / variable), True)


def test_a_cache_in_the_operators_home_is_in_the_home_of_the_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(Path.home() / "models"))
    assert str(Path.home() / "models") not in seen(tmp_path)


def test_the_farm_s_folders_and_other_spaces_are_hidden_in_folders_that_are_seen(tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    state_dir = tmp_path / "opt" / "state"
    state_dir.mkdir()
    note_served(state_dir, [Source(tmp_path / "opt" / "other" / "app.py"), Source(tmp_path / "away" / "app.py")])
    shown = [Place(str(tmp_path / "opt"), Kind.HOST, str(tmp_path / "opt"))]
    covered = {place.path for place in hidden(shown, state_dir, tmp_path / "run")}
    assert covered == {str(state_dir), str(tmp_path / "opt" / "other")}


def test_the_folders_of_a_space_belong_to_its_user(tmp_path: Path) -> None:
    folders = made(tmp_path, "one", os.getuid())
    own = (folders.home, folders.temporary, folders.state, folders.beside, *(folders.caches / name for name in CACHES))
    assert {(folder.stat().st_uid, folder.stat().st_mode & 0o777) for folder in own} == {(os.getuid(), 0o700)}


def test_a_name_that_leads_elsewhere_is_no_space(tmp_path: Path) -> None:
    with pytest.raises(UnfitName):
        state_of(tmp_path, "../other")
