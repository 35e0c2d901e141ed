"""Why a Space has no environment."""

from __future__ import annotations

from spaces.errors import SpacesError


class IsolationError(SpacesError):
    """A Space's environment cannot be made. The message names the requirement, as far as it is known, and says why."""
