"""Libraries that are imported with less work come to the same."""

from __future__ import annotations

import json
import subprocess
import sys

FOUND = """
import json, os, sys
from collections import Counter

read = Counter()
sys.addaudithook(lambda event, given: event == "open" and read.update([str(given[0])]))
{shortcuts}
import transformers
from transformers.models import __file__ as models
from transformers.utils.import_utils import define_import_structure

found = [[sorted(backends), sorted((module, sorted(names)) for module, names in modules.items())]
         for backends, modules in define_import_structure(models).items()]
sources = [file for file in read if file.startswith(os.path.dirname(models)) and "modeling_" in file]
twice = [file for file in sources if file.endswith(".py") and read[file] > 1]
print(json.dumps([sorted(found), len(sources), len(twice)]))
"""

SHORTCUTS = "from spaces import import_shortcuts; import_shortcuts.take()"


def test_transformers_finds_the_same_models_though_it_reads_no_file_of_theirs_twice() -> None:
    plain, plain_read, plain_twice = found()
    ours, ours_read, ours_twice = found(SHORTCUTS)
    assert ours == plain
    assert (ours_read, ours_twice) == (plain_read, 0)
    assert plain_twice > 100


def found(shortcuts: str = "") -> tuple[object, int, int]:
    """The names in transformers' models by what they need; how many files were read, and how many of them twice."""
    command = [sys.executable, "-c", FOUND.format(shortcuts=shortcuts)]
    names, read, twice = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return names, read, twice
