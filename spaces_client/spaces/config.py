"""The configuration of a process in its farm, read once from the environment. Its role stands in `role.py`.

A Space needs none of it: without `ZEROFARM_URL` and a role, `spaces` has no effect.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from spaces import role
from spaces.role import ROLE, URL, Role

#: The farm's key, in hexadecimal digits, instead of the one in `farm.key` in the state directory.
FARM_KEY = "ZEROFARM_KEY"
#: The key of the process's Space, which signs its pickles: derived from the farm's.
SPACE_KEY = "ZEROFARM_SPACE_KEY"
#: The token of a program, or of a page that is not on the farm's host.
TOKEN = "ZEROFARM_TOKEN"
#: The state directory where no `--state-dir` is given. A Space's processes need not know it.
STATE_DIR = "ZEROFARM_STATE_DIR"
#: The name of the process's Space.
SPACE = "ZEROFARM_SPACE"
#: The run directory where no `--run-dir` is given, also for programs that call functions.
RUN_DIR = "ZEROFARM_RUN_DIR"
#: The name of this host in the farm, where the machine's own is not the only one of it.
HOST = "ZEROFARM_HOST"

#: The address of the farm's front door, whose X-Forwarded headers a page believes.
DOOR = "ZEROFARM_DOOR"

#: Seconds for which a page keeps files of visitors after their last use; without it the page removes none.
KEEP_FILES = "ZEROFARM_KEEP_FILES"

#: The name of this page among all of the farm.
PAGE = "ZEROFARM_PAGE"


def _is_true(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "t", "true")


def _in_farm() -> bool:
    return bool(os.environ.get(URL)) or os.environ.get(ROLE, "") not in ("", Role.NONE)


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration of a process in its farm."""

    url: str  #: broker URL; empty in zygotes and children, which hold no credentials
    space: str  #: name of the Space; empty: derived from the script's folder
    space_key: bytes  #: signs pickles of this Space; empty: pickles are refused
    run_dir: Path  #: shared memory of this host: payloads, sockets, claims on GPUs
    host: str  #: names the machine (or container) whose shared memory `run_dir` is
    token: str = field(default="", repr=False)  #: shown to a gateway that asks for one

    # Attributes that Spaces read from the official package's object of this name.
    zero_gpu: ClassVar[bool] = _in_farm()
    zero_gpu_v2: ClassVar[bool] = True
    zero_device_api_url: ClassVar[str | None] = None
    zero_patch_torch_device: ClassVar[bool] = False
    gradio_auto_wrap: ClassVar[bool] = _is_true("SPACES_GRADIO_AUTO_WRAP")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Config:
        """Read the configuration. Raises ValueError for a malformed key."""
        return cls(
            url=environment.get(URL, ""),
            space=environment.get(SPACE, ""),
            space_key=_key(environment.get(SPACE_KEY, "")),
            run_dir=(run_dir := Path(environment.get(RUN_DIR) or default_run_dir())),
            host=environment.get(HOST) or default_host(run_dir),
            token=environment.get(TOKEN, ""),
        )


@cache
def _of_process() -> Config:
    return Config.from_environment()


def reread() -> None:
    """Read the configuration again: this process is a fork, and its environment another one now."""
    role.reread()
    _of_process.cache_clear()
    Config.zero_gpu = _in_farm()
    Config.gradio_auto_wrap = _is_true("SPACES_GRADIO_AUTO_WRAP")


_stand_in: Config | None = None


def current() -> Config:
    """The configuration of this process."""
    return _stand_in or _of_process()


@contextmanager
def stand_in(config: Config) -> Iterator[None]:
    """Within this, `config` is the configuration of the process; for tests of Spaces."""
    global _stand_in
    before, _stand_in = _stand_in, config
    try:
        yield
    finally:
        _stand_in = before


def default_run_dir() -> Path:
    """A folder for this user in shared memory, else in the temporary directory."""
    shared = Path("/dev/shm")
    return (shared if os.access(shared, os.W_OK) else _temporary()) / f"zerofarm-{os.getuid()}"


def _temporary() -> Path:
    import tempfile  # takes a tenth of the time of `import spaces`, and is seldom needed

    return Path(tempfile.gettempdir())


def default_host(run_dir: Path) -> str:
    """The machine's name; with an unusual run directory, that is part of it, because other processes use another."""
    name = os.uname().nodename
    if run_dir == default_run_dir():
        return name
    from hashlib import sha256

    return f"{name}-{sha256(bytes(run_dir.resolve())).hexdigest()[:6]}"


def _key(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{SPACE_KEY} must be hexadecimal digits, got {len(text)} characters that are not") from None
