"""`deploy/zerofarm.service`, as systemd would run it: by a user without a home, beside files of others in /tmp."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client

from tests.end_to_end.test_up import zerofarm
from tests.processes.test_isolation import wheel
from tests.waiting import PATIENCE, START_PATIENCE, wait_until

TREE = Path(__file__).resolve().parents[2]
UNIT = TREE / "deploy" / "zerofarm.service"

#: It has neither a home nor a shell, as a user that `useradd --system` makes.
USER = pwd.getpwnam("nobody")

SPACE = """
import gradio as gr
import spaces
import tidbit
from PIL import Image


@spaces.GPU
def paint(colour):
    assert tidbit.__version__ == "1.0"
    return Image.new("RGB", (8, 8), colour)


gr.Interface(paint, "text", "image", api_name="paint").launch()
"""

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user can enter, outside of the /tmp that the unit has for itself."""
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    made = Path(tempfile.mkdtemp(dir="/srv"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def space(folder: Path) -> Path:
    """A Space that needs a package, which it brings along."""
    made = folder / "painter"
    made.mkdir()
    wheel(made, "tidbit", "1.0")
    (made / "app.py").write_text(SPACE)
    (made / "requirements.txt").write_text("./tidbit-1.0-py3-none-any.whl\n")
    return made


def value(name: str) -> str:
    """The value of a key of the unit; empty if it has none."""
    return " ".join(re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE))


class Unit:
    """What systemd makes of the unit: its folders, its environment, its /tmp."""

    def __init__(self, folder: Path, space: Path, settings: str) -> None:
        self._folder = folder
        self._output = folder / "output"
        self._errors = folder / "errors"
        self._command = [*zerofarm(), *self._there(shlex.split(value("ExecStart")))[1:], "--json", str(space)]
        self._command[self._command.index("--port") + 1] = "0"
        self._command += ["--run-dir", str(folder / "run")]
        self._make_folders()
        (folder / "lib" / "farm.toml").write_text(settings)
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", self._script], env=self._environment, stdout=output, stderr=errors
            )

    def ready(self) -> str:
        wait_until(lambda: self.events or self.process.poll() is not None, START_PATIENCE, self._errors.read_text)
        assert self.events, self._errors.read_text()
        return self.events[0]

    @property
    def events(self) -> list[str]:
        return [line for line in self._output.read_text().splitlines() if '"event": "ready"' in line]

    @property
    def _script(self) -> str:
        """Its /tmp is its own with PrivateTmp; without, it has the files of other users."""
        tmp = self._kept_tree("mount -t tmpfs tmpfs /tmp")
        if value("PrivateTmp") != "yes":
            tmp += " && mkdir --mode=700 /tmp/gradio"
        tmp += self._open_interpreter
        user = f"setpriv --reuid={USER.pw_uid} --regid={USER.pw_gid} --clear-groups"
        return f"{tmp} && exec {user} {shlex.join(self._command)}"

    def _kept_tree(self, hide: str) -> str:
        """The tested tree, and its environment, stay where they are if they are below the /tmp that is hidden."""
        kept = sorted({str(each) for each in (TREE, Path(sys.prefix).resolve()) if each.is_relative_to("/tmp")})
        aside = [self._folder / f"kept{number}" for number in range(len(kept))]
        for each in aside:
            each.mkdir()
        keep = [f"mount --bind {tree} {there}" for tree, there in zip(kept, aside, strict=True)]
        show = [f"mkdir -p {tree} && mount --bind {there} {tree}" for tree, there in zip(kept, aside, strict=True)]
        return " && ".join([*keep, hide, *show])

    @property
    def _open_interpreter(self) -> str:
        """The user must reach the tests' interpreter also where that is in the home of another."""
        prefix = Path(sys.base_prefix).resolve()
        closed = [each for each in reversed(prefix.parents) if not each.stat().st_mode & stat.S_IXOTH]
        if not closed:
            return ""
        (there := self._folder / "python").mkdir()
        instead = f"mount -t tmpfs -o mode=755 tmpfs {closed[0]} && mkdir -p {prefix}"
        return f" && mount --bind {prefix} {there} && {instead} && mount --bind {there} {prefix}"

    @property
    def _environment(self) -> dict[str, str]:
        named = dict(each.split("=", 1) for each in self._there(shlex.split(value("Environment"))))
        of_user = {"HOME": USER.pw_dir, "USER": USER.pw_name, "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
        of_operator = {"UV_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return of_user | of_operator | named

    def _there(self, words: list[str]) -> list[str]:
        """With the folders of the test."""
        return [re.sub(r"/var/(lib|cache)/zerofarm", rf"{self._folder}/\1", word) for word in words]

    def _make_folders(self) -> None:
        for name, key in (("lib", "StateDirectory"), ("cache", "CacheDirectory"), ("run", "")):
            if not key or value(key) == "zerofarm":
                (self._folder / name).mkdir()
                os.chown(self._folder / name, USER.pw_uid, USER.pw_gid)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.mark.parametrize("settings", ["", '[isolation]\nlevel = "none"\n'], ids=["separated", "not separated"])
def test_a_space_with_requirements_and_images_is_served_by_a_user_without_a_home(
    folder: Path, space: Path, settings: str
) -> None:
    unit = Unit(folder, space, settings)
    try:
        ready = json.loads(unit.ready())
        assert ready["failed"] == [], (folder / "lib" / "logs" / "web-painter.log").read_text()
        url = ready["spaces"]["painter"]
        painted = Client(url, verbose=False, download_files=str(folder)).predict("red", api_name="/paint")
        assert Path(painted["path"] if isinstance(painted, dict) else painted).stat().st_size
    finally:
        unit.stop()


def test_the_service_serves_what_its_operator_adds_and_no_demos() -> None:
    assert "--no-demos" in shlex.split(value("ExecStart"))


def test_caches_of_the_service_are_in_folders_of_its_own() -> None:
    named = dict(each.split("=", 1) for each in shlex.split(value("Environment")))
    for name in ("HOME", "XDG_CACHE_HOME", "HF_HOME"):
        assert named[name].startswith(("/var/lib/zerofarm", "/var/cache/zerofarm")), name
    assert value("PrivateTmp") == "yes"
