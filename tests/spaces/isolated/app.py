"""A Space that pins a package otherwise than the farm and installs one more at import. It has no interface."""

import importlib.util
import json
import os
import subprocess
import sys

import humanize

import spaces

subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "tidbit"], check=True)

import tidbit  # noqa: E402 - it was not there before

SEEN = {
    "humanize": humanize.__version__,
    "tidbit": tidbit.__file__,
    "spaces": os.path.realpath(spaces.__file__),
    "torch": os.path.realpath(importlib.util.find_spec("torch").origin),
    "python": sys.executable,
}
print(json.dumps(SEEN))


@spaces.GPU
def seen():
    return SEEN
