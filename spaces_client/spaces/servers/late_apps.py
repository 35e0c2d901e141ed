"""Makes the app of a page when somebody asks for it: Gradio makes one three times, and serves the last.

Each has some eighty routes, whose parameters FastAPI looks into: a sixth of the start of a page. A script that asks for
`demo.app` before its launch gets one as before. Gradio is never imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: How Gradio asks for an app that it will replace at the launch; it may serve others.
_FOR_NOW = {"mcp_server": False}


def watch(blocks: Any) -> None:  # Any: the module `gradio.blocks`, of any version
    """Make apps late, where Gradio asks for them as 5.49 and 6 do."""
    app: Any = getattr(blocks, "App", None)
    if app is None or "app" in vars(blocks.Blocks):
        return

    def create_app(*args: Any, **kwargs: Any) -> Any:  # Any: Gradio's own, of any version
        if len(args) == 1 and kwargs == _FOR_NOW:
            return _Later(lambda: app.create_app(*args, **kwargs))
        return app.create_app(*args, **kwargs)

    blocks.App = type(app.__name__, (app,), {"create_app": staticmethod(create_app)})
    blocks.Blocks.app = _AppOfPage()


@dataclass(frozen=True, slots=True)
class _Later:
    make: Callable[[], Any]  # Any: Gradio's app


class _AppOfPage:
    """The attribute `app` of `gradio.Blocks`."""

    def __get__(self, page: Any, _: type | None = None) -> Any:  # Any: Gradio's own
        if page is None or "app" not in vars(page):
            raise AttributeError("app")
        if isinstance(vars(page)["app"], _Later):
            vars(page)["app"] = vars(page)["app"].make()
        return vars(page)["app"]

    def __set__(self, page: Any, app: Any) -> None:  # Any: Gradio's own
        vars(page)["app"] = app
