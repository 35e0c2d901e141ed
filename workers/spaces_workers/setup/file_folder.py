"""The folder in which a Space has its files of visitors, as Gradio keeps them, and for how long."""

from __future__ import annotations

import math
import os
import tempfile
from hashlib import sha256
from pathlib import Path

from spaces import config
from spaces.farm.payloads.old_files import FOLDER
from spaces.farm.queue import settings
from spaces_workers.setup.space_variables import variables_of_space


def folder_of_files(space: str, key: bytes) -> dict[str, str]:
    """A folder of the Space's own: alike in all its processes, on each host, and for this farm alone.

    It is a temporary folder, because files go to workers of other hosts by their paths there.
    """
    variables = os.environ | variables_of_space(space)
    above = os.environ.get(FOLDER) or variables.get("TMPDIR") or tempfile.gettempdir()
    return {FOLDER: str(Path(above, f"gradio-{space}-{sha256(key).hexdigest()[:10]}"))}


def keeping_files(space: str) -> dict[str, str]:
    """For its page, how long they are kept; nothing if it keeps them for ever, or where the operator has named."""
    keep = settings.current().files.keep
    return {} if math.isinf(keep) or FOLDER in variables_of_space(space) else {config.KEEP_FILES: str(keep)}
