"""`zerofarm dev`: serve a Space as its author writes it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from spaces.farm.links.operator_line import SOCKET, OperatorFault
from spaces.space import source_at
from spaces_workers.commands import number_options, options
from spaces_workers.commands.spaces.asking import ask, served
from spaces_workers.setup.served_space import served_space
from spaces_workers.up import mending
from spaces_workers.up.hosting.origin import Local, name_from
from spaces_workers.up.hosting.watching import changed_since


def dev(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with app.py, or a .py file.")],
    name: Annotated[str, typer.Option("--name", help="Its name; that of its folder if not given.")] = "",
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="P", parser=number_options.port("--port"), help="The port of a farm that is started."
        ),
    ] = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Serve a Space, and serve it anew whenever a file is saved, until Ctrl-C. Starts a farm if none runs."""
    app_file = served_space(path).app_file
    if not (state_dir / SOCKET).exists():
        at = [] if port is None else ["--port", str(port)]
        arguments = ["up", str(path), "--watch", "--state-dir", str(state_dir), *at]
        os.execv(sys.executable, [sys.executable, "-P", "-m", "spaces_workers.cli", *arguments])
    source = source_at(app_file)
    folder = app_file if source.alone else source.root
    _serve(folder, name or name_from(Local(folder)), state_dir)


def _serve(folder: Path, name: str, state_dir: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts it in the background has it ignored
    source = source_at(served_space(folder).app_file)
    while True:
        seen, began = mending.stamp(source), time.monotonic()
        try:
            told = ask(state_dir, "add", source=str(folder), name=name)
            print(f"{served(told)}, {time.monotonic() - began:.1f} s after it was saved", flush=True)
        except OperatorFault as fault:
            print(fault, file=sys.stderr, flush=True)
        asyncio.run(changed_since(seen, lambda: mending.stamp(source)))
