"""Acts when a Space's script launches its interface: the web process registers the Space, and a zygote becomes the fork
server.

Gradio and uvicorn are not imported here; they are patched when the Space imports them.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from spaces import config, effect_check
from spaces.config import Role
from spaces.imports import when_imported
from spaces.web.login import stand_for_nobody

logger = logging.getLogger(__name__)

Serve = Callable[[], NoReturn]

#: The options of uvicorn in a farm; they override the Space's.
_ONE_PROCESS = {"reload": False, "workers": 1}

_take_over: Serve | None = None


def prepare() -> None:
    """Called by `import spaces`: emulates CUDA and watches for the launch; does nothing without a farm."""
    if config.current().role is Role.NONE:
        return
    from spaces import emulation

    emulation.install()
    if config.current().role is Role.WEB:
        _tell_visitors_apart()
        _let_visitors_wait()
    when_imported("gradio.blocks", _watch_gradio)
    when_imported("gradio.http_server", _try_ports_by_ipv4)
    when_imported("gradio.utils", _forget_zero_gpu)
    when_imported("gradio.oauth", stand_for_nobody)
    when_imported("uvicorn.config", _keep_to_one_process)
    when_imported("uvicorn.server", _watch_uvicorn)


def _tell_visitors_apart() -> None:
    from spaces.farm.queue import settings
    from spaces.web import identity

    identity.prepare(settings.current().quota)


def _let_visitors_wait() -> None:
    from spaces.decorator import without_thread
    from spaces.web import gradio_queue

    when_imported("gradio.blocks", lambda blocks: gradio_queue.watch_functions(blocks, without_thread))
    when_imported("gradio.blocks", gradio_queue.watch_limiter)
    when_imported("gradio.queueing", gradio_queue.watch_queue)


def take_over_at_launch(serve: Serve) -> None:
    """In a zygote: call `serve`, which never returns, at the script's launch."""
    global _take_over
    _take_over = serve


def announce() -> None:
    """Report that the script is complete, for a script that starts its own kind of server instead of launching.

    Has no effect without a farm, or before the first function is decorated.
    """
    from spaces.functions.function import functions

    if functions:
        _at_launch()


def _watch_gradio(blocks: ModuleType) -> None:
    original = blocks.Blocks.launch
    names = list(inspect.signature(original).parameters)[1:]

    @functools.wraps(original)
    def launch(self: Any, *args: Any, **kwargs: Any) -> Any:  # Any: Gradio's own signature, of any version
        _at_launch()
        return original(self, *args[len(names) :], **_ours(dict(zip(names, args, strict=False)) | kwargs))

    blocks.Blocks.launch = launch


def _watch_uvicorn(module: ModuleType) -> None:
    """Watch `run` and `Server` of uvicorn: scripts that mount pages into their own app start uvicorn themselves."""
    server = module.Server

    @functools.wraps(server.run)
    def run(self: Any, sockets: Any = None) -> Any:  # Any: uvicorn's own
        _at_uvicorn(self)
        return original_run(self, sockets)

    @functools.wraps(server.serve)
    async def serve(self: Any, sockets: Any = None) -> Any:
        _at_uvicorn(self)
        return await original_serve(self, sockets)

    original_run, original_serve = server.run, server.serve
    server.run, server.serve = run, serve


def _keep_to_one_process(module: ModuleType) -> None:
    """Disable uvicorn's reloader and workers, which are processes that the farm does not know."""
    original = module.Config.__init__

    @functools.wraps(original)
    def configure(self: Any, *args: Any, **options: Any) -> None:  # Any: uvicorn's own
        for name, ours in _ONE_PROCESS.items():
            if (asked := options.get(name) or ours) != ours:
                logger.warning("%s=%r of uvicorn has no effect in a farm: one process serves a Space", name, asked)
        original(self, *args, **options | _ONE_PROCESS)

    module.Config.__init__ = configure


def _at_uvicorn(server: Any) -> None:
    if type(server).__module__.startswith("gradio"):
        return  # Gradio's own server, whose launch was noticed already
    if isinstance(server.config.app, str):
        server.config.load_app()  # "app:app" runs the script again, under another name
    _at_launch()
    if address := _address():
        server.config.host, server.config.port = address


def _try_ports_by_ipv4(server: ModuleType) -> None:
    """Gradio first tries a port of the operator's address with an IPv4 socket, which fails for other addresses."""
    if ":" in server.LOCALHOST_NAME:
        server.LOCALHOST_NAME = "127.0.0.1"  # type: ignore[attr-defined] # replaced in the module


def _forget_zero_gpu(utils: ModuleType) -> None:
    """On ZeroGPU, Gradio lets one visitor at a time wait; our queue can take all of them."""
    utils.is_zero_gpu_space = lambda: False  # type: ignore[attr-defined] # replaced in the module


def _at_launch() -> None:
    effect_check.tell_at_launch()
    if config.current().role is not Role.NONE:
        from spaces.space import remember_lone_models

        remember_lone_models()
    if _take_over is not None:
        _take_over()
    if config.current().role is Role.WEB and not effect_check.replaced():
        from spaces.web.client import current_client

        current_client().serve_space()


def _ours(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a launch, without those that a farm cannot keep: the operator decides on the address."""
    if config.current().role is Role.NONE:
        return options
    if options.get("share"):
        logger.warning("share=True has no effect in a farm: the operator decides which pages are public")
    address = _address()
    ours = {"server_name": _as_gradio_has_it(address[0]), "server_port": address[1]} if address else {}
    return options | ours | {"share": False, "inbrowser": False}


def _address() -> tuple[str, int] | None:
    """The operator's address for this Space, which overrides the script's."""
    port = os.environ.get("GRADIO_SERVER_PORT")
    return (os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), int(port)) if port else None


def _as_gradio_has_it(host: str) -> str:
    """Add the brackets of an IPv6 address: Gradio puts the name into a URL. For listening there must be none."""
    return f"[{host}]" if ":" in host else host
