"""Acts when a Space's script launches its interface: the web process registers the Space, and a zygote becomes the fork
server.

Gradio and uvicorn are not imported here; they are patched when the Space imports them.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

from spaces import config, effect_check, import_progress, import_shortcuts, role
from spaces.functions import replay
from spaces.import_hooks import when_imported
from spaces.role import Role
from spaces.servers import fixed_ports, gradio_pages, late_apps, sessions, streamed_generators, uvicorn_servers
from spaces.web.login import stand_for_nobody

Serve = Callable[[], NoReturn]

_take_over: Serve | None = None


def prepare() -> None:
    """Called by `import spaces` in a farm: emulates CUDA and watches for the launch."""
    from spaces import emulation

    config.current()  # is read before the script can change the environment
    emulation.install()
    if role.current() is Role.WEB:
        _tell_visitors_apart()
        _let_visitors_wait()
    fixed_ports.watch(replay.importing)
    import_shortcuts.take()
    when_imported("gradio.blocks", lambda blocks: gradio_pages.watch(blocks, _at_launch))
    when_imported("gradio.blocks", late_apps.watch)
    when_imported("gradio.routes", gradio_pages.watch_mounts)
    when_imported("gradio.routes", sessions.watch)
    when_imported("gradio.http_server", gradio_pages.try_ports_by_ipv4)
    when_imported("gradio.utils", _forget_zero_gpu)
    when_imported("gradio.oauth", stand_for_nobody)
    when_imported("uvicorn.config", uvicorn_servers.watch_options)
    when_imported("uvicorn.server", lambda module: uvicorn_servers.watch(module, _at_launch))


def _tell_visitors_apart() -> None:
    from spaces.farm.links.gateway_address import is_gateway
    from spaces.farm.queue import settings
    from spaces.web import identity

    if is_gateway(config.current().url):
        from spaces.web.client import current_client

        identity.prepare(current_client().rules.quota)
    else:
        identity.prepare(settings.current().quota)


def _let_visitors_wait() -> None:
    from spaces.faces import without_thread
    from spaces.farm.payloads import old_files
    from spaces.web import gradio_queue, state_deletion

    when_imported("gradio.blocks", lambda blocks: gradio_queue.watch_functions(blocks, without_thread))
    when_imported("gradio.blocks", gradio_queue.watch_limiter)
    when_imported("gradio.blocks", old_files.watch)
    when_imported("gradio.queueing", gradio_queue.watch_queue)
    when_imported("gradio.components.state", state_deletion.watch)
    for name in streamed_generators.STREAMING:
        when_imported(name, streamed_generators.watch)


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


def _forget_zero_gpu(utils: ModuleType) -> None:
    """On ZeroGPU, Gradio lets one visitor at a time wait; our queue can take all of them."""
    utils.is_zero_gpu_space = lambda: False  # type: ignore[attr-defined] # replaced in the module


def _at_launch() -> None:
    import_progress.end()
    effect_check.tell_at_launch()
    if role.current() is not Role.NONE and not effect_check.replaced():
        from spaces.space import remember_lone_models

        remember_lone_models()
    if _take_over is not None:
        _take_over()
    if role.current() is Role.WEB and not effect_check.replaced():
        from spaces.web.client import current_client

        current_client().serve_space()
    if role.current() is Role.WEB:
        from spaces.farm.payloads import old_files

        old_files.begin()
