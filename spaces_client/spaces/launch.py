"""The moment a Space's script launches its interface: where the web process registers the Space, and where a zygote
takes over.

Nothing here imports Gradio or uvicorn; they are patched when, and only when, the Space imports them.
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

#: What uvicorn does in a farm, whatever it is asked for.
_ONE_PROCESS = {"reload": False, "workers": 1}

_take_over: Serve | None = None


def prepare() -> None:
    """Called by `import spaces`: nothing without a farm; else CUDA is emulated and launching is watched."""
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
    """In a zygote: call `serve`, which never returns, when the script launches its interface."""
    global _take_over
    _take_over = serve


def announce() -> None:
    """Say that the script is complete, for one that starts a server of its own kind: what launching says otherwise.

    Nothing happens without a farm, or before the first function is decorated.
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
    """Scripts that mount their pages into an app of their own start uvicorn themselves, by `run` or by a `Server`."""
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
    """Uvicorn's reloader and its workers are processes of their own, of which the farm knows nothing."""
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
        return  # Gradio's own server, of a launch that was noticed already
    if isinstance(server.config.app, str):
        server.config.load_app()  # "app:app" runs the script once more, under a name of its own
    _at_launch()
    if address := _address():
        server.config.host, server.config.port = address


def _try_ports_by_ipv4(server: ModuleType) -> None:
    """Gradio first tries a port on the operator's address by a socket of IPv4, which knows no other one."""
    if ":" in server.LOCALHOST_NAME:
        server.LOCALHOST_NAME = "127.0.0.1"  # type: ignore[attr-defined] # replaced in the module


def _forget_zero_gpu(utils: ModuleType) -> None:
    """Gradio lets one visitor at a time wait on ZeroGPU, whose queue is elsewhere; so is ours, and takes them all."""
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
    """The options of a launch, less those that cannot hold in a farm: the address is the operator's to give."""
    if config.current().role is Role.NONE:
        return options
    if options.get("share"):
        logger.warning("share=True has no effect in a farm: the operator decides what is reachable from outside")
    address = _address()
    ours = {"server_name": _as_gradio_has_it(address[0]), "server_port": address[1]} if address else {}
    return options | ours | {"share": False, "inbrowser": False}


def _address() -> tuple[str, int] | None:
    """Where the operator wants this Space to answer, whatever its script says."""
    port = os.environ.get("GRADIO_SERVER_PORT")
    return (os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), int(port)) if port else None


def _as_gradio_has_it(host: str) -> str:
    """Gradio puts the name into its own address, so it wants the brackets of one; whoever listens wants none."""
    return f"[{host}]" if ":" in host else host
