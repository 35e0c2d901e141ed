"""The folder in which Gradio keeps files of a Space's visitors, and the time for which they stay there."""

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
    """The variable with a folder of the Space's own: alike in all its processes, on each host, and for this farm alone.

    It is a temporary folder, because files go to workers of other hosts by their paths there.
    """
    variables = os.environ | variables_of_space(space)
    above = os.environ.get(FOLDER) or variables.get("TMPDIR") or tempfile.gettempdir()
    return {FOLDER: str(Path(above, f"gradio-{space}-{sha256(key).hexdigest()[:10]}"))}


def keeping_files(space: str) -> dict[str, str]:
    """The variable that tells its page for how long; none if for ever, or if the operator has named another folder."""
    keep = settings.current().files.keep
    return {} if math.isinf(keep) or FOLDER in variables_of_space(space) else {config.KEEP_FILES: str(keep)}
