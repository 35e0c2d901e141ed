"""The version of what processes of a farm leave for each other: messages, records, streams, the state directory.

Neighbouring versions work together, so that a farm can be updated one process at a time. A field with a default that is
added at the end of a message keeps the version; any other change of a message, a key or a file raises it by one.
"""

from __future__ import annotations

from spaces.errors import RefusedError

#: 0 is that of release 0.1.0, which wrote none, and cannot read the tasks and records of later versions: its workers
#: are updated first, then its pages and programs.
VERSION = 1


def check_version(subject: str, version: int) -> None:
    """Raise RefusedError, which says what to update, unless this process understands that version."""
    if abs(version - VERSION) <= 1:
        return
    older = "this process" if version > VERSION else "the process that wrote it"
    raise RefusedError(
        f"{subject} has version {version} of the farm's formats, this process has {VERSION}, and only neighbours "
        f"understand each other. Update the zerofarm of {older}"
    )
