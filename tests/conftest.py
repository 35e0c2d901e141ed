"""What all tests share: importing Gradio leaves event loops open, which is its own affair and no test's."""

from __future__ import annotations

import gc
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import gradio  # noqa: F401

    gc.collect()
