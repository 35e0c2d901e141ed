"""Does in the fork server the work of libraries at their first use, so that no Space has to.

They build tables, compile expressions and look up classes: a fifth of a second for each process, and 15 MB that forks
would not share. Nothing of it may leave a trace that a Space could notice.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

logger = logging.getLogger(__name__)


def rehearse(rehearsed: set[str]) -> None:
    """Use the libraries that have been imported, except those named, and add their names. One that fails is logged."""
    for library, use in _USES.items():
        if library in sys.modules and library not in rehearsed:
            rehearsed.add(library)
            try:
                use()
            except Exception as error:  # of any version of the library: its Spaces only start later
                logger.warning("%s cannot be used ahead: %s: %s", library, type(error).__name__, error)


def _gradio() -> None:
    """Make a page. Its parts are numbered, and a Space's begin with the first number."""
    import gradio
    from gradio.context import Context
    from gradio.routes import App

    first = Context.id
    try:
        with gradio.Blocks() as page:
            text, button = gradio.Textbox(), gradio.Button()
            button.click(str, text, text)
        App.create_app(page)
    finally:
        Context.id = first


def _torch() -> None:
    import torch

    torch.empty(2).normal_()
    torch.seed()


def _numpy() -> None:
    import numpy

    numpy.random.seed()


def _transformers() -> None:
    from transformers import conversion_mapping

    conversion_mapping.get_checkpoint_conversion_mapping("gpt2")  # builds the table of all models


_USES: dict[str, Callable[[], None]] = {
    "gradio": _gradio,
    "torch": _torch,
    "numpy": _numpy,
    "transformers": _transformers,
}
