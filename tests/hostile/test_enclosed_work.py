"""What Spaces do every day works where they are enclosed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client

import spaces
from spaces.errors import RefusedError
from spaces_workers.sandbox.description import Level
from spaces_workers.sandbox.level import problem_of
from spaces_workers.sandbox.users import uid_of
from tests.end_to_end.test_up import Up
from tests.harness import SPACES
from tests.hostile.machine import need_mapped_owners
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(bool(problem_of(Level.USERS)), reason=f"no level users: {problem_of(Level.USERS)}")


@pytest.fixture(scope="module")
def enclosed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("work")
    need_mapped_owners(folder)
    shutil.copytree(SPACES / "workshop", folder / "workshop", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "workshop").chmod(0o700)  # nobody but its owner may look into it
    up = Up(folder, str(folder / "workshop"), "--no-flower")
    yield up
    up.stop()
    assert up.left() == []


@pytest.fixture(scope="module")
def visitor(enclosed: Up) -> Iterator[Client]:
    client = enclosed.client("workshop")
    yield client
    client.close()


def address(up: Up) -> str:
    """The broker's, with its password."""
    return (up.state_dir / "broker.url").read_text()


def test_large_values_travel_both_ways(visitor: Client) -> None:
    assert visitor.predict(api_name="/large") == str(2.0 * 1024 * 1024)


def test_page_and_function_see_each_other_s_files(visitor: Client, enclosed: Up) -> None:
    assert visitor.predict(api_name="/files") == "TOLD beside kept"
    beside = enclosed.folder / "workshop" / "beside"
    assert beside.stat().st_uid == Path(enclosed.folder).stat().st_uid


def test_page_function_and_programs_have_one_user_that_is_not_root(visitor: Client) -> None:
    page, function, program = visitor.predict(api_name="/users").split()
    assert page == function == program != "0"


def test_a_program_may_send_large_values(enclosed: Up, visitor: Client) -> None:
    with spaces.Farm(address(enclosed)) as farm:
        values = farm.submit("workshop", "doubled", np.ones((512, 512))).result()
    assert float(values.sum()) == 2.0 * 512 * 512


def test_a_program_may_name_a_file_in_its_temporary_folder(enclosed: Up, visitor: Client) -> None:
    """The Space has a temporary folder of its own; the function's `open` failed."""
    with spaces.Farm(address(enclosed)) as farm, tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("told")
        file.flush()
        assert farm.submit("workshop", "read", file.name).result(timeout=PATIENCE) == "told"


def test_a_file_that_cannot_be_given_to_a_space_is_refused_in_words(enclosed: Up, visitor: Client) -> None:
    """It lies beside the Space's own folder, where only the farm makes folders."""
    path = enclosed.folder / "given.txt"
    path.write_text("told")
    with spaces.Farm(address(enclosed)) as farm, pytest.raises(RefusedError, match=f"{path} cannot be given"):
        farm.submit("workshop", "read", str(path)).result(timeout=PATIENCE)


KEEPER = """
import os
from pathlib import Path

import gradio as gr
import spaces

KEPT = Path(os.environ["HF_HOME"], "hub", "model")


@spaces.GPU
def keep(text):
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.write_text(text)


def kept(text):
    keep(text)
    return KEPT.read_text()


gr.Interface(kept, "text", "text", api_name="kept").launch()
"""


def test_a_space_keeps_models_of_its_own_where_the_operator_has_named_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder was not there, and a Space without the right to make it could keep no model."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "models"))
    (tmp_path / "keeper").mkdir()
    (tmp_path / "keeper" / "app.py").write_text(KEEPER)
    up = Up(tmp_path, str(tmp_path / "keeper"), "--no-flower")
    try:
        client = up.client("keeper")
        assert client.predict("weights", api_name="/kept") == "weights"
        client.close()
    finally:
        up.stop()
    own = tmp_path / "state" / "spaces" / "keeper" / "caches" / "HF_HOME"
    assert (own / "hub" / "model").read_text() == "weights"
    assert not (tmp_path / "models").exists()


def test_a_space_with_requirements_runs_in_an_environment_of_its_own_user(tmp_path: Path) -> None:
    (tmp_path / "needy").mkdir()
    shutil.copy(SPACES / "echo" / "app.py", tmp_path / "needy" / "app.py")
    (tmp_path / "needy" / "requirements.txt").write_text("tqdm\n")
    up = Up(tmp_path, str(tmp_path / "needy"), "--no-flower")
    try:
        client = up.client("needy")
        assert str(client.predict("hello", api_name="/echo")).startswith("hello from process")
        client.close()
        assert "Error" not in up.log("zygote-needy")
    finally:
        up.stop()
    (environment,) = (tmp_path / "state" / "spaces" / "needy" / "state" / "environments").glob("needy-*")
    assert environment.stat().st_uid == uid_of(tmp_path / "state", "needy") != 0
