"""The moment a Space's script launches its interface: where the web process registers the Space, and where a zygote
takes over.

Nothing here imports Gradio or uvicorn; they are patched when, and only when, the Space imports them.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from spaces import config
from spaces.config import Role
from spaces.imports import when_imported

logger = logging.getLogger(__name__)

Serve = Callable[[], NoReturn]

_take_over: Serve | None = None


def prepare() -> None:
    """Called by `import spaces`: nothing without a farm; else CUDA is emulated and launching is watched."""
    if config.current().role is Role.NONE:
        return
    from spaces import emulation

    emulation.install()
    when_imported("gradio.blocks", _watch_gradio)
    when_imported("uvicorn", _watch_uvicorn)


def take_over_at_launch(serve: Serve) -> None:
    """In a zygote: call `serve`, which never returns, when the script launches its interface."""
    global _take_over
    _take_over = serve


def _watch_gradio(blocks: ModuleType) -> None:
    original = blocks.Blocks.launch

    @functools.wraps(original)
    def launch(self: Any, *args: Any, **kwargs: Any) -> Any:  # Any: Gradio's own signature, of any version
        _at_launch()
        return original(self, *args, **_ours(kwargs))

    blocks.Blocks.launch = launch


def _watch_uvicorn(uvicorn: ModuleType) -> None:
    original: Any = uvicorn.run

    @functools.wraps(original)
    def run(*args: Any, **kwargs: Any) -> Any:
        _at_launch()
        port = os.environ.get("GRADIO_SERVER_PORT")
        if port:
            kwargs |= {"port": int(port), "host": os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")}
        return original(*args, **kwargs)

    uvicorn.run = run  # type: ignore[attr-defined] # it is there: the module is uvicorn


def _at_launch() -> None:
    if _take_over is not None:
        _take_over()
    if config.current().role is Role.WEB:
        from spaces.client import current_client

        current_client().serve_space()


def _ours(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a launch, less those that cannot hold in a farm: the address is the operator's to give."""
    if config.current().role is Role.NONE:
        return options
    if options.get("share"):
        logger.warning("share=True has no effect in a farm: the operator decides what is reachable from outside")
    address = {}
    if port := os.environ.get("GRADIO_SERVER_PORT"):
        address = {"server_port": int(port), "server_name": os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")}
    return options | address | {"share": False, "inbrowser": False}
