"""The error of a Space whose environment cannot be made."""

from __future__ import annotations

from spaces.errors import SpacesError


class IsolationError(SpacesError):
    """A Space's environment cannot be made. The message names the requirement, if known, and the reason."""
