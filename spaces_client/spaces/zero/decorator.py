"""`from spaces.zero.decorator import GPU`, as some libraries for Spaces write it."""

from __future__ import annotations

from spaces.decorator import GPU

__all__ = ["GPU"]
