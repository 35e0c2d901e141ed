"""Processes of earlier versions of zerofarm work with today's on one broker, as far as `farm/version.py` promises.

Their code is that of earlier commits, so the tests are skipped where the repository's history is not there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spaces.errors import TaskCancelled
from spaces.farm.task import State
from spaces.farm.values.signing import derive_space_key
from tests.harness import FARM_KEY, Farm, farm
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]

#: The first with version 1 of the formats, and the last before callers had tokens. What version 0 writes is read too
#: (`broker/test_versions.py`), but it reads nothing later.
VERSION_1, BEFORE_TOKENS = "419c12d", "38df123"

#: What a caller of any version does: `url` and `key` are given, and it prints what it got.
CALLER = """
import sys
import spaces

url, key = sys.argv[1:]
with spaces.Farm(url, key) as farm:
    print(farm.submit("faults", "add", 1, 2).result(timeout=60))
    print(sum(farm.submit("faults", "count", 300)))
    print(len(farm.submit("faults", "echo", bytes(500_000)).result(timeout=60)))
    try:
        list(farm.submit("faults", "yield_then_fail"))
    except KeyError as error:
        print(error)
    waiting = farm.submit("faults", "nap", 600)
    waiting.cancel("enough")
    try:
        waiting.result(timeout=60)
    except Exception as error:
        print(type(error).__name__)
"""


def tree(commit: str, folder: Path) -> Path:
    """The files of a commit."""
    if subprocess.run(["git", "cat-file", "-e", f"{commit}^{{tree}}"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip(f"the history of this repository does not reach back to {commit}")
    archive = folder / f"{commit}.tar"
    subprocess.run(["git", "archive", "-o", archive, commit, "spaces_client", "workers", "tests"], cwd=ROOT, check=True)
    made = folder / commit
    made.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", made], check=True)
    return made


def as_of(tree: Path) -> dict[str, str]:
    """The environment of a process that runs the code of a tree."""
    return {"PYTHONPATH": os.pathsep.join((str(tree / "spaces_client"), str(tree / "workers")))}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("trees")
    return {commit: tree(commit, folder) for commit in (VERSION_1, BEFORE_TOKENS)}


@pytest.fixture(scope="module")
def todays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm of today, with a gateway."""
    with farm(tmp_path_factory.mktemp("today")) as made:
        made.register()
        made.start_worker()
        made.start_gateway("faults")
        yield made


@contextmanager
def started_as_of(tree: Path) -> Iterator[None]:
    """Within this, processes that start run the code of a tree."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in as_of(tree).items():
            patch.setenv(name, value)
        asked = [sys.executable, "-c", "import spaces, spaces_workers; print(spaces.__file__, spaces_workers.__file__)"]
        found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
        assert [str(tree) in path for path in found] == [True, True]
        yield


@pytest.fixture(scope="module", params=[VERSION_1, BEFORE_TOKENS])
def earlier(
    request: pytest.FixtureRequest, trees: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Farm]:
    """A farm whose worker is of an earlier version, on a broker of today."""
    with farm(tmp_path_factory.mktemp("earlier")) as made:
        made.register()
        with started_as_of(trees[request.param]):
            made.start_worker("earlier")
        yield made


def called_as_of(tree: Path, farm: Farm, url: str) -> str:
    """What a caller of that version prints."""
    environment = os.environ | as_of(tree) | {"ZEROFARM_RUN_DIR": str(farm.run_dir), "ZEROFARM_HOST": "test-host"}
    key = derive_space_key(FARM_KEY, "faults").hex()
    command = [sys.executable, "-c", CALLER, url, key]
    ended = subprocess.run(command, env=environment, cwd=tree, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


EXPECTED = "3\n44850\n500000\n'third'\nTaskCancelled\n"


@pytest.mark.parametrize("commit", [VERSION_1, BEFORE_TOKENS])
def test_an_earlier_caller_calls_workers_of_today(todays: Farm, trees: dict[str, Path], commit: str) -> None:
    assert called_as_of(trees[commit], todays, todays.broker.url) == EXPECTED


def test_an_earlier_page_reaches_todays_gateway(todays: Farm, trees: dict[str, Path]) -> None:
    assert called_as_of(trees[BEFORE_TOKENS], todays, todays.address_of("faults")) == EXPECTED


def test_a_caller_of_today_calls_workers_of_an_earlier_version(earlier: Farm) -> None:
    with earlier.client(near=True) as client:
        assert client.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
        assert list(client.submit("faults", "count", 300)) == list(range(300))
        with pytest.raises(KeyError, match="third"):
            list(client.submit("faults", "yield_then_fail"))
        running = client.submit("faults", "nap", 600)
        wait_until(lambda: running.state is State.RUNNING)
        running.cancel("enough")
        with pytest.raises(TaskCancelled, match="enough"):
            running.result(timeout=PATIENCE)


#: A farm that stops while a task waits; it prints the task's id.
STOPPED = """
import sys
from pathlib import Path
from spaces_workers.broker.find import find_broker
from tests.harness import Farm

folder = Path(sys.argv[1])
farm = Farm(find_broker(folder / "broker"), folder)
farm.register()
with farm.client() as client:
    print(client.submit("faults", "add", 1, 2).detach())
farm.redis.close()
farm.broker.stop()
"""


def test_a_farm_of_today_goes_on_where_an_earlier_one_has_stopped(trees: dict[str, Path], tmp_path: Path) -> None:
    """Its broker had no password, and a task waits."""
    with started_as_of(trees[BEFORE_TOKENS]):
        command = [sys.executable, "-c", STOPPED, str(tmp_path)]
        ended = subprocess.run(command, cwd=trees[BEFORE_TOKENS], capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
    task = ended.stdout.strip()
    assert not (tmp_path / "broker" / "broker.password").exists()
    with farm(tmp_path) as made:
        made.start_worker()
        with made.client() as client:
            assert client.task(task).result(timeout=PATIENCE) == 3
