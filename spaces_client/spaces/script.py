"""Runs a Space's script like `python app.py`: as `__main__`, in its folder. Web process and zygote use it.

Because both run it in the same way, a function can be named instead of sent. So every difference between them must be
in `launch.py`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType, ModuleType, TracebackType

from spaces import import_progress, role
from spaces.effect_check import tell_of_namesakes
from spaces.farm import log_lines
from spaces.role import Role
from spaces.servers import page_socket
from spaces.space import source_at
from spaces.subprocesses import find_the_space
from spaces.web import descriptors


def run(app_file: Path) -> None:
    """Execute a script as `__main__`, in the folder of its Space. Errors of the script propagate."""
    path = app_file.resolve()
    module = ModuleType("__main__")
    module.__dict__.update(__file__=str(path), __builtins__=__builtins__, __spec__=None)
    sys.modules["__main__"] = module
    sys.argv = [str(path)]
    sys.path.insert(0, str(path.parent))
    os.chdir(source_at(path).root)
    tell_of_namesakes(path.parent)
    find_the_space()
    if role.current() is Role.WEB:
        descriptors.prepare()
        page_socket.inherit_named()
        if import_progress.watch():
            log_lines.install()
        sys.excepthook = _tell
    exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)


def main() -> None:
    """`python -m spaces.script app.py`: the web process of a Space, configured by its environment."""
    import spaces  # noqa: F401 - takes effect before the script imports torch, however late that imports spaces

    signal.signal(signal.SIGTERM, _leave)
    run(Path(sys.argv[1]))


def _tell(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """Print the traceback of an error as the author of the Space would see it without a farm."""
    from spaces.farm.values.failure import format_traceback

    print(format_traceback(error), file=sys.stderr, end="", flush=True)


def _leave(number: int, _: FrameType | None) -> None:
    """End by the signal, but leave the farm in good order before. `sys.exit` would wait for threads of the Space."""
    signal.signal(number, signal.SIG_DFL)
    if (client := sys.modules.get("spaces.web.client")) is not None:
        client.leave()
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    main()
