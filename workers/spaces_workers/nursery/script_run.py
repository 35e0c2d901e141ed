"""One run of a Space's script in a process of the nursery's, up to its launch."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from spaces import launch, script
from spaces.functions import replay
from spaces_workers.link.channel import Channel
from spaces_workers.link.messages import ZygoteFailed, ZygoteSpec


def run_script(spec: ZygoteSpec, told: Channel, take_over: Callable[[], NoReturn]) -> NoReturn:
    """Run the script; when it launches, or ends without a launch, `take_over`. A script that fails is told of."""
    replay.begin(spec.calls, take_over)
    launch.take_over_at_launch(take_over)
    try:
        script.run(Path(spec.app_file))
    except BaseException as error:  # SystemExit too: a script that leaves has no function to run
        text = traceback.format_exc()
        print(text, file=sys.stderr, flush=True)
        told.send(ZygoteFailed(text if not isinstance(error, SystemExit) else f"the script exited by {error!r}"))
        os._exit(1)
    take_over()
