"""`except spaces.zero.gradio.HTMLError`, by which Spaces hear that there is no GPU for a visitor. Imports no Gradio."""

from __future__ import annotations

from spaces.errors import RefusedError as HTMLError

__all__ = ["HTMLError"]
