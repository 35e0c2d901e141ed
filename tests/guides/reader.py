"""A reader of a guide, who does all that it says: saves files, changes them, and types the commands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from gradio_client import Client

from spaces.farm.queue.settings import FILE
from tests.end_to_end.test_up import without_a_farm
from tests.guides.blocks import parts
from tests.harness import free_port
from tests.waiting import PATIENCE, wait_until

_STEP = re.compile(r"Save this as `([^`]+)`:\n\n```\w+\n(.*?)^```$|^```(console|diff)\n(.*?)^```$", re.M | re.S)

#: Commands that go on until Ctrl-C.
_LASTING = ("zerofarm up", "zerofarm dev")


class Reader:
    """Follows parts of a document in a folder, with a home of its own, and a port in place of the usual one."""

    def __init__(self, folder: Path, document: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._parts = parts(document)
        self.home = folder / "home"
        self.home.mkdir()
        self._environment = without_a_farm() | {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ZEROFARM_RUN_DIR": str(folder / "run"),
            "ZEROFARM_HOST": "host",  # pictures show it
        }
        self._environment.pop("XDG_STATE_HOME", None)
        self._terminals: list[tuple[subprocess.Popen[bytes], Path]] = []

    def follow(self, *headings: str) -> str:
        """Do what these parts say; returns what the commands that end have printed."""
        printed = ""
        for heading in headings:
            for path, content, kind, text in _STEP.findall(self._parts[heading]):
                if path:
                    self._save(path, content)
                elif kind == "diff":
                    self._run(["patch", "-p0"], text)
                else:
                    printed += "".join(self._type(line.partition(" # ")[0].strip()) for line in text.splitlines())
        return printed

    def latest(self) -> str:
        """What the latest command that goes on has printed."""
        return self._terminals[-1][1].read_text()

    def waits_for(self, words: str, times: int = 1) -> None:
        """Wait until the latest command that goes on has printed this."""
        wait_until(lambda: self.latest().count(words) >= times or self._terminals[-1][0].poll() is not None)
        assert self.latest().count(words) >= times, self.latest()

    def interrupt(self) -> None:
        """Ctrl-C in the terminal of the latest command that goes on."""
        process, _ = self._terminals.pop()
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)

    def client(self, space: str) -> Client:
        """A visitor of a Space."""
        return Client(f"http://127.0.0.1:{self.port}/spaces/{space}", verbose=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._terminals:
            self.interrupt()

    def _save(self, path: str, content: str) -> None:
        place = Path(path.replace("~", str(self.home)))
        (self.folder / place).write_text(content)
        assert place.name in ("app.py", FILE)

    def _type(self, command: str) -> str:
        if not command.startswith(_LASTING):
            return self._run(["bash", "-c", command])
        log = self.folder / f"terminal-{len(list(self.folder.glob('terminal-*')))}"
        words = command.replace("zerofarm up", f"zerofarm up --port {self.port} --gpus none").split()
        with log.open("wb") as output:
            started = subprocess.Popen(words, cwd=self.folder, env=self._environment, stdout=output, stderr=output)
        self._terminals.append((started, log))
        return ""

    def _run(self, command: list[str], given: str = "") -> str:
        ended = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=180, cwd=self.folder, env=self._environment
        )
        assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
        return ended.stdout
