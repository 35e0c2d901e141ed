"""A zygote: a process that has executed a Space's script once, without touching CUDA, and forks children on request.

The nursery starts it as `python -m spaces_workers.zygote.main FD`. From the script's launch on it stays idle and
single-threaded, because a fork copies only the forking thread: a lock that another thread held stays held for ever.
Where the script has started threads that nothing can replace in a fork, it becomes a `fresh_server` instead.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import psutil

from spaces import emulation
from spaces.functions import replay
from spaces.space import source_at
from spaces.state.of_space import space_globals
from spaces_workers.child import main as child
from spaces_workers.child.sleep.storages import freeze
from spaces_workers.forking import revival
from spaces_workers.forking.birthplaces import Birthplaces
from spaces_workers.forking.judgement import Judgement, judge
from spaces_workers.link.channel import Channel
from spaces_workers.link.messages import Fork, ZygoteReady, ZygoteSpec
from spaces_workers.zygote import fresh_server
from spaces_workers.zygote.child_server import ChildServer
from spaces_workers.zygote.script_run import run_script

#: Said of a Space whose children cannot be forks: the words of the one line in its log that its author must understand.
_FRESH = (
    "zerofarm: a fork of this process would lack %s, and could not work without. So each child of Space %s runs the "
    "script itself, and one is kept ready: %.1f s and %.0f MB for each. To avoid this, start those threads in the "
    "function and not while the script runs. In farm.toml, under [spaces.%s], fork = false spares the first run of the "
    "script, and fork = true forks all the same"
)


class Zygote(ChildServer):
    """Forks children, from the moment when the Space's script launches."""

    def __init__(self, nursery: Channel, spec: ZygoteSpec, origin: fresh_server.Origin) -> None:
        super().__init__(nursery)
        self._spec = spec
        self._origin = origin
        self._started = time.monotonic()
        self._weights_bytes = 0
        self._root = source_at(Path(spec.app_file).resolve()).root
        self._birthplaces = Birthplaces(self._root)

    def run(self) -> NoReturn:
        """Run the script, and serve from its launch on."""
        self._birthplaces.begin()
        run_script(self._spec, self._nursery, self._serve)

    def _serve(self) -> NoReturn:
        """Send ZygoteReady and fork on request, until the nursery is gone."""
        self._birthplaces.end()
        judgement = judge(self._root, self._birthplaces.line_of)
        self._losses = judgement.losses
        if judgement.broken and not self._spec.forks:
            self._give_way(judgement)
        space_globals()  # before the forks, which all need it
        self._weights_bytes = emulation.weights_bytes()  # needs the unfrozen garbage collector
        self._revival = revival.prepare()  # as well
        self._orphans.spare_present()  # the script's own
        gc.collect()
        freeze()
        self._nursery.send(ZygoteReady(self._weights_bytes))
        self.answer()

    def _give_way(self, judgement: Judgement) -> NoReturn:
        losses = ", ".join(map(str, judgement.broken))
        seconds = time.monotonic() - self._started
        megabytes = psutil.Process().memory_info().rss / 1e6
        print(_FRESH % (losses, self._spec.space, seconds, megabytes, self._spec.space), file=sys.stderr, flush=True)
        fresh_server.become(self._spec, self._nursery, self._origin)

    def make_child(self, worker: Channel, request: Fork, fd: int) -> None:
        """Fork one."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become_child(request, fd)
        os.close(fd)
        self.adopt(worker, pid)

    def _become_child(self, request: Fork, fd: int) -> NoReturn:
        """Undo the state that the fork inherited from the zygote; `child/main.py` undoes the rest."""
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()
        replay.end()
        self._revival.carry_out()
        child.live(Channel.from_fd(fd), request, self._weights_bytes, self._losses)


def main() -> NoReturn:
    """`python -m spaces_workers.zygote.main FD`; the descriptor is of the channel to the nursery."""
    nursery = Channel.from_fd(int(sys.argv[1]))
    os.set_inheritable(nursery.fileno(), False)
    run(nursery)


def run(nursery: Channel) -> NoReturn:
    """Be the zygote of the Space that the nursery names."""
    origin = fresh_server.Origin.of_this_process()
    spec: ZygoteSpec = nursery.receive()
    if spec.forks is False:
        fresh_server.become(spec, nursery, origin)
    Zygote(nursery, spec, origin).run()


if __name__ == "__main__":
    main()
