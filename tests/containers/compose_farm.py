"""A farm of containers, by `docker compose` or a program that understands the same words."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradio_client import Client

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:7860"
LOGIN = "operator:of-the-test"
FILES = ("docker-compose.yml", "deploy/docker-compose.cpu.yml")

#: How long an image may take to be built, and a farm to start.
PATIENCE = 3600


@dataclass(frozen=True, slots=True)
class ComposeFarm:
    """A copy of the tree, whose Compose files are run."""

    tree: Path

    def compose(self, *words: str, files: Sequence[str] = (), check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of Compose, with more files; its output is in the error if it fails."""
        program = shlex.split(os.environ.get("COMPOSE", "docker compose"))
        read = (*FILES, *files, *os.environ.get("TEST_COMPOSE_FILES", "").split())
        command = [*program, *(f"--file={file}" for file in read), *words]
        done = subprocess.run(command, cwd=self.tree, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert not check or done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, *words: str, files: Sequence[str] = ()) -> None:
        """Start what does not run yet, and build the images unless $TEST_COMPOSE_BUILD is 0."""
        exist = os.environ.get("TEST_COMPOSE_BUILD", "1") == "0"
        self.compose("up", "-d", "--no-build" if exist else "--build", *words, files=files)

    def within(self, service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service."""
        return self.compose("exec", "-T", service, *command, check=check)

    def page(self, path: str, login: str = "") -> str:
        """What the proxy answers; empty if that is an error."""
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(URL + path, headers=headers), timeout=20) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""

    def client(self, space: str) -> Client:
        """A client of a Space's page, once that answers."""
        eventually(lambda: "<gradio-app" in self.page(f"/spaces/{space}/"))
        return Client(f"{URL}/spaces/{space}/", verbose=False)


def copy_of_tree(folder: Path) -> Path:
    """The tracked and new files of this tree, in a folder of their own, with a login for Flower."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, names.decode().split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".env").write_text(f"FLOWER_BASIC_AUTH={LOGIN}\n")
    return folder


def eventually(condition: Callable[[], object]) -> None:
    """Wait until it holds; containers take longer than processes."""
    wait_until(condition, patience=300)
