"""Watches `launch()` of Gradio: the first page of a Space is served at the operator's address, others beside it.

Gradio is never imported here.
"""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any
from weakref import WeakSet

from spaces.servers import page_address

logger = logging.getLogger(__name__)

Options = dict[str, Any]  # Any: of `launch`, of any version

#: Options that cannot apply in a farm: what they are there, and why.
_OVERRULED: dict[str, tuple[object, str]] = {
    "share": (False, "the operator decides which pages are public"),
    "ssr_mode": (False, "Node would take a second port and hide the addresses of visitors"),
    "num_workers": (0, "its processes would take ports that the farm gives to others"),
}

#: Pages whose launch is over; those that still block their script are not among them. Gradio 4 does not say so.
_launched: WeakSet[Any] = WeakSet()  # Any: gradio's Blocks


def watch(blocks: ModuleType, at_page: Callable[[], None]) -> None:
    """Call `at_page` before a page is launched, and launch it as the farm needs it; for `gradio.blocks`."""
    original = blocks.Blocks.launch
    names = list(inspect.signature(original).parameters)[1:]

    @functools.wraps(original)
    def launch(self: Any, *args: Any, **kwargs: Any) -> Any:  # Any: Gradio's own signature, of any version
        options = _overruled(dict(zip(names, args, strict=False)) | kwargs, names)
        if page_address.take(self, lambda: self in _launched and not self.is_running):
            at_page()
            options |= _at_given_address()
        elif not self.is_running:
            options = _beside(options)
        try:
            return original(self, *args[len(names) :], **options)
        finally:
            _launched.add(self)

    blocks.Blocks.launch = launch


def _overruled(options: Options, known: Sequence[str]) -> Options:
    for name, (ours, why) in _OVERRULED.items():
        if options.get(name):
            logger.warning("%s=%r has no effect in a farm: %s", name, options[name], why)
        if name in known:
            options[name] = ours
    return options | {"inbrowser": False}


def _at_given_address() -> Options:
    address, root = page_address.given(), page_address.root_path()
    own = {"server_name": _as_gradio_has_it(address[0]), "server_port": address[1]} if address else {}
    return own | ({"root_path": root} if root else {})


def _beside(options: Options) -> Options:
    """The options of a page that is not the Space's: at the port that it asks for, or at one that is free."""
    address = page_address.given()
    port = options.get("server_port") or page_address.free_port(address[0] if address else "127.0.0.1")
    logger.warning(
        "this is a second page of the Space, at port %d; the first one that the script launched is at the Space's own "
        "address, to which the farm links",
        port,
    )
    return options | {"server_port": port, "root_path": options.get("root_path") or ""}


def watch_mounts(routes: ModuleType) -> None:
    """Mount pages below the path at which the operator's proxy shows the app; for `gradio.routes`."""
    original = routes.mount_gradio_app
    names = list(inspect.signature(original).parameters)

    @functools.wraps(original)
    def mount(*args: Any, **kwargs: Any) -> Any:  # Any: Gradio's own signature, of any version
        options = dict(zip(names, args, strict=False)) | kwargs
        if root := page_address.root_path():
            options["root_path"] = root + options["path"].rstrip("/")
        return original(**options)

    # A fork of a process that has imported Gradio finds the function under both names.
    for module in (routes, sys.modules.get("gradio")):
        if getattr(module, "mount_gradio_app", None) is original:
            module.mount_gradio_app = mount  # type: ignore[union-attr] # replaced in the module


def try_ports_by_ipv4(server: ModuleType) -> None:
    """Gradio first tries a port of the operator's address with an IPv4 socket, which fails for other addresses."""
    if ":" in server.LOCALHOST_NAME:
        server.LOCALHOST_NAME = "127.0.0.1"  # type: ignore[attr-defined] # replaced in the module


def _as_gradio_has_it(host: str) -> str:
    """Add the brackets of an IPv6 address: Gradio puts the name into a URL. For listening there must be none."""
    return f"[{host}]" if ":" in host else host
