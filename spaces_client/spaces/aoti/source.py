"""Source code for a Space that loads packages from the Hub."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def of_load_call(module: str, repo_id: str, revision: str | None, loader: Callable[..., Any] | None) -> str:
    """See `spaces.aoti_load_call_source`."""
    arguments = [f"module={module}", f"repo_id={repo_id!r}"]
    if revision is not None:
        arguments.append(f"revision={revision!r}")
    if loader is not None:
        arguments.append(f"aoti_loader={loader.__name__}")
    call = "".join(f"    {argument},\n" for argument in arguments)
    definition = f"{textwrap.dedent(inspect.getsource(loader)).strip()}\n\n" if loader is not None else ""
    return f"{definition}spaces.aoti_load(\n{call})\n"
