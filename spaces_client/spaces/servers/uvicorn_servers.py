"""Watches uvicorn, which scripts start themselves: to serve the app that has their page, or another app beside it.

Uvicorn is never imported here. Gradio's own uvicorn is left alone: its launch was noticed before.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any
from weakref import WeakSet

from spaces import config, role
from spaces.role import Role
from spaces.servers import page_address
from spaces.servers.introductions import Introduced
from spaces.servers.root_path import below

logger = logging.getLogger(__name__)

#: The options of uvicorn in a farm; they override the Space's.
_ONE_PROCESS = {"reload": False, "workers": 1}

#: Bytes of a request's headers that a server accepts if the Space does not say. At one address the cookies of all
#: Spaces arrive at each. Uvicorn with h11 refuses more than 16 KiB with 400, but only if they arrive in pieces.
HEADER_BYTES = 256 * 1024

_prepared: WeakSet[Any] = WeakSet()  # Any: uvicorn.Server


def watch_options(module: ModuleType) -> None:
    """Accept large headers, and disable uvicorn's reloader and workers; for `uvicorn.config`.

    These would be processes that the farm does not know. Apps see the visitors of requests that the farm passes on.
    """
    original, original_load = module.Config.__init__, module.Config.load

    @functools.wraps(original)
    def configure(self: Any, *args: Any, **options: Any) -> None:  # Any: uvicorn's own
        for name, ours in _ONE_PROCESS.items():
            if (asked := options.get(name) or ours) != ours:
                logger.warning("%s=%r of uvicorn has no effect in a farm: one process serves a Space", name, asked)
        original(self, *args, **options | _ONE_PROCESS)
        if self.h11_max_incomplete_event_size is None:
            self.h11_max_incomplete_event_size = HEADER_BYTES

    @functools.wraps(original_load)
    def load(self: Any) -> None:
        original_load(self)
        self.loaded_app = Introduced(self.loaded_app, config.current().space_key)

    module.Config.__init__, module.Config.load = configure, load


def watch(module: ModuleType, at_page: Callable[[], None]) -> None:
    """Call `at_page` before a server serves the page, and serve it at the operator's address; for `uvicorn.server`.

    In a zygote other servers are not started, because the web process serves them.
    """
    server = module.Server
    original_run, original_serve = server.run, server.serve

    @functools.wraps(original_run)
    def run(self: Any, sockets: Any = None) -> Any:  # Any: uvicorn's own
        if _prepare(self, at_page):
            return original_run(self, sockets)
        return None

    @functools.wraps(original_serve)
    async def serve(self: Any, sockets: Any = None) -> Any:
        if _prepare(self, at_page):
            return await original_serve(self, sockets)
        return None

    server.run, server.serve = run, serve


def _prepare(server: Any, at_page: Callable[[], None]) -> bool:
    """Decide what a server is, once. Returns whether it is to be started."""
    if type(server).__module__.startswith("gradio") or server in _prepared:
        return True
    if not server.config.loaded:
        server.config.load()  # "app:app" runs the script once more, under another name
    if _is_page(server):
        at_page()
        if address := page_address.given():
            server.config.host, server.config.port = address
        if root_path := page_address.root_path():
            server.config.loaded_app, server.config.root_path = below(server.config.loaded_app, root_path), ""
        _prepared.add(server)
        return True
    if role.current() is Role.WORKER:
        server.started = True  # for scripts that wait for it
        return False
    _prepared.add(server)
    logger.warning(_BESIDE, server.config.port)
    return True


_BESIDE = (
    "the uvicorn server at port %s is not the page of this Space: it has no page of Gradio, and asks for another port "
    f"than {page_address.PUBLIC_PORT}. If it is the page, let it listen at port {page_address.PUBLIC_PORT}"
)


def _is_page(server: Any) -> bool:
    """Whether a server shows Gradio's page, asks for a page's port, or is all that the script is about to do."""
    if not page_address.is_free():
        return False
    on_its_own = "gradio.blocks" not in sys.modules and threading.current_thread() is threading.main_thread()
    if not (shows_gradio(server.config.loaded_app) or page_address.is_public(server.config.port) or on_its_own):
        return False
    return page_address.take(server, lambda: server.should_exit)


def shows_gradio(app: object) -> bool:
    """Whether an ASGI app is a page of Gradio's, or has one mounted, below any middleware."""
    found, seen = [app], set[int]()
    while found:
        each = found.pop()
        if any((kind.__module__, kind.__name__) == ("gradio.routes", "App") for kind in type(each).__mro__):
            return True
        if id(each) not in seen and not hasattr(each, "endpoint"):  # which is a route to a function
            seen.add(id(each))
            found += _parts(each)
    return False


def _parts(app: object) -> list[object]:
    if isinstance(app, FunctionType):  # a middleware without a class
        return [cell.cell_contents for cell in app.__closure__ or () if callable(cell.cell_contents)]
    return [getattr(app, "app", None), *(getattr(app, "routes", None) or ())]
