"""A child that is no fork: it runs the Space's script, waits for a device, and then runs tasks like any child.

The fresh server starts it as `python -m spaces_workers.zygote.fresh_child FD`. It keeps everything that its script has
made, including threads.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from spaces import emulation
from spaces.functions import replay
from spaces.state.of_space import space_globals
from spaces_workers.child import main as child
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.die_with_starter import untie
from spaces_workers.link.messages import Fork, ZygoteReady, ZygoteSpec
from spaces_workers.link.orphans import adopt_orphans
from spaces_workers.zygote.script_run import run_script


def main() -> NoReturn:
    """Run the script, then become a child."""
    os.setsid()  # processes that its script starts end with this group
    adopt_orphans()  # or with this process
    server = Channel.from_fd(int(sys.argv[1]))
    os.set_inheritable(server.fileno(), False)
    spec: ZygoteSpec = server.receive()
    run_script(spec, server, lambda: _live(server))


def _live(server: Channel) -> NoReturn:
    space_globals()
    weights_bytes = emulation.weights_bytes()
    try:
        server.send(ZygoteReady(weights_bytes))
        request, fd = server.receive_with_fd()
    except ChannelClosed:
        os._exit(0)
    if not isinstance(request, Fork) or fd is None:
        raise TypeError(f"a fresh child cannot {type(request).__name__}")
    untie()
    server.close()
    replay.end()
    child.live(Channel.from_fd(fd), request, weights_bytes)


if __name__ == "__main__":
    main()
