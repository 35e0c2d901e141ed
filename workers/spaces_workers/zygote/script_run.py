"""Runs a Space's script, up to its launch, in a process of the nursery."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from spaces import launch, script
from spaces.farm import log_lines
from spaces.farm.values.failure import format_traceback
from spaces.functions import replay
from spaces_workers.link.channel import Channel
from spaces_workers.link.messages import ZygoteFailed, ZygoteSpec


def run_script(spec: ZygoteSpec, told: Channel, take_over: Callable[[], NoReturn]) -> NoReturn:
    """Run the script; call `take_over` when it launches, or ends without a launch. A failure is reported to `told`."""
    replay.begin(spec.calls, take_over)
    launch.take_over_at_launch(take_over)
    log_lines.install()
    try:
        script.run(Path(spec.app_file))
    except BaseException as error:  # SystemExit too: a script that exits has no function to run
        text = format_traceback(error)
        print(text, file=sys.stderr, flush=True)
        told.send(ZygoteFailed(text if not isinstance(error, SystemExit) else f"the script exited by {error!r}"))
        os._exit(1)
    take_over()
