"""`spaces.zero.gradio.HTMLError`, which Spaces catch if a visitor gets no GPU. Does not import Gradio."""

from __future__ import annotations

from spaces.errors import RefusedError as HTMLError

__all__ = ["HTMLError"]
