"""A Space that fails at its start: what is said of it, and that it is tried again after it was mended."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from spaces.import_progress import FOLLOWED
from spaces.source import Source
from spaces_workers.up import mending
from spaces_workers.up.keeper import Keeper, Service
from spaces_workers.up.process import Command, Process
from spaces_workers.up.reports import Failed, Importing, Report
from tests.waiting import PATIENCE

IMPORTS_A_MODULE = "import helper\n"

ENVIRONMENT = {"ZEROFARM_ROLE": "web", FOLLOWED: "1"}


def keeper_of(folder: Path, reports: list[Report]) -> Keeper:
    """Of a Space that answers when its script has made the file `answers`."""
    script = folder / "app.py"
    command = Command([sys.executable, "-m", "spaces.script", str(script)], ENVIRONMENT, folder.parent / "log")

    def hear(report: Report) -> None:
        reports.append(report)

    def probe(process: Process) -> Callable[[], Awaitable[bool]]:
        async def answers() -> bool:
            return (folder.parent / "answers").exists()

        return answers

    return Keeper(Service("Space demo", command, probe, space="demo", source=Source(script)), hear)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def test_a_space_that_failed_is_tried_again_after_it_was_mended(tmp_path: Path) -> None:
    """One that had never answered stayed down until the farm was started again."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "app.py").write_text("this is no Python\n")

    async def story() -> None:
        reports: list[Report] = []
        keeper = keeper_of(folder, reports)
        running = asyncio.create_task(keeper.run())
        await until(lambda: keeper.serving == "failed")
        (folder / "app.py").write_text("still no Python, but other words\n")
        await until(lambda: sum(isinstance(each, Failed) for each in reports) == 2)
        answers = f"open({str(tmp_path / 'answers')!r}, 'w').close()"
        (folder / "app.py").write_text(f"import time\n{answers}\ntime.sleep(600)\n")
        await until(lambda: keeper.answers)
        assert keeper.problem == ""
        running.cancel()
        await keeper.stop()

    asyncio.run(story())


def test_a_space_that_failed_is_not_tried_again_for_what_it_wrote_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "app.py").write_text("open('times', 'a').write('once\\n')\nraise ValueError\n")
    looks: list[mending.Stamp] = []
    look = mending.stamp
    monkeypatch.setattr(mending, "INTERVAL", 0.01)

    def counted(source: Source) -> mending.Stamp:
        looks.append(look(source))
        return looks[-1]

    monkeypatch.setattr(mending, "stamp", counted)

    async def story() -> None:
        keeper = keeper_of(folder, [])
        running = asyncio.create_task(keeper.run())
        await until(lambda: len(looks) > 5)
        running.cancel()

    asyncio.run(story())
    assert (folder / "times").read_text() == "once\n"


@pytest.mark.parametrize(
    ("script", "helper", "problem"),
    [
        ("import os\n\ndef f(:\n", "", "SyntaxError: invalid syntax (app.py, line 3)"),
        ("import os\nraise ValueError('no weights')\n", "", "ValueError: no weights (app.py, line 2)"),
        (IMPORTS_A_MODULE, "\n\nx = = 1\n", "SyntaxError: invalid syntax (helper.py, line 3)"),
        (
            IMPORTS_A_MODULE,
            "import json\njson.loads('x')\n",
            "line 1 column 1 (char 0) (helper.py, line 2)",
        ),
    ],
)
def test_the_problem_of_a_space_names_its_file_and_line(script: str, helper: str, problem: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "app.py").write_text(script)
    (folder / "helper.py").write_text(helper)

    async def story() -> str:
        keeper = keeper_of(folder, [])
        running = asyncio.create_task(keeper.run())
        await until(lambda: keeper.serving == "failed")
        running.cancel()
        return keeper.problem

    assert asyncio.run(story()).endswith(problem)


@pytest.mark.parametrize("script", ["raise ValueError('no')\n", "x = = 1\n"])
def test_the_traceback_of_a_script_begins_with_its_own_lines(script: str, tmp_path: Path) -> None:
    """Eight frames of ours and of runpy came first."""
    (tmp_path / "app.py").write_text(script)
    command = [sys.executable, "-m", "spaces.script", str(tmp_path / "app.py")]
    told = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={"ZEROFARM_ROLE": "web", "ZEROFARM_SPACE": "demo"},
    )
    assert told.returncode == 1
    first = told.stderr.removeprefix("Traceback (most recent call last):\n")
    assert first.startswith(f'  File "{tmp_path / "app.py"}", line 1')
    assert "spaces/script.py" not in told.stderr


def test_what_a_space_imports_is_told_while_it_starts(tmp_path: Path) -> None:
    """A Space that imported for half a minute was only said to be starting."""
    folder = tmp_path / "demo"
    folder.mkdir()
    waits = "import os, time\nwhile not os.path.exists({!r}):\n    time.sleep(0.01)\n"
    (folder / "library.py").write_text("import other\n" + waits.format(str(tmp_path / "imported")))
    (folder / "other.py").write_text("")
    (folder / "app.py").write_text("import library\n" + waits.format(str(tmp_path / "never")))

    async def story() -> list[Report]:
        reports: list[Report] = []
        keeper = keeper_of(folder, reports)
        running = asyncio.create_task(keeper.run())
        await until(lambda: keeper.importing == "library")
        (tmp_path / "imported").touch()
        await until(lambda: keeper.importing == "")
        (tmp_path / "answers").touch()
        await until(lambda: keeper.answers)
        running.cancel()
        await keeper.stop()
        return [each for each in reports if isinstance(each, Importing)]

    assert asyncio.run(story()) == [Importing("Space demo", "library"), Importing("Space demo", "")]
    assert "ZeroFarm has imported library in" in (tmp_path / "log").read_text()


def test_a_page_that_keeps_dying_after_an_operator_s_restart_is_told(tmp_path: Path) -> None:
    """It was started again and again without a pause, and nobody was told."""
    folder = tmp_path / "demo"
    folder.mkdir()
    answers = tmp_path / "answers"
    (folder / "app.py").write_text(f"import time\nopen({str(answers)!r}, 'w').close()\ntime.sleep(600)\n")

    async def story() -> list[Report]:
        reports: list[Report] = []
        keeper = keeper_of(folder, reports)
        running = asyncio.create_task(keeper.run())
        await until(lambda: keeper.answers)
        answers.unlink()
        (folder / "app.py").write_text("raise ValueError\n")
        reports.clear()
        await keeper.restart()
        await until(lambda: keeper.problem == "exited with code 1" or len(reports) > 9)
        running.cancel()
        await keeper.stop()
        return reports

    assert [type(each).__name__ for each in asyncio.run(story())] == ["Starting", "Restarting"]


def test_a_page_that_an_operator_restarts_before_it_first_answers_has_not_failed(tmp_path: Path) -> None:
    """It was said to have failed, and stayed down until its files changed."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "app.py").write_text(f"import time\nopen({str(tmp_path / 'began')!r}, 'a').write('.')\ntime.sleep(600)\n")

    async def story() -> list[Report]:
        reports: list[Report] = []
        keeper = keeper_of(folder, reports)
        running = asyncio.create_task(keeper.run())
        await until((tmp_path / "began").exists)
        await keeper.restart()
        (tmp_path / "answers").touch()
        await until(lambda: keeper.settled.is_set())
        running.cancel()
        await keeper.stop()
        return reports

    assert [type(each).__name__ for each in asyncio.run(story())] == ["Starting", "Starting", "Answering"]
