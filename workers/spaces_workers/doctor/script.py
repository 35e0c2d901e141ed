"""Checks with a Space's own interpreter that its script compiles and its imports can be found; executes nothing.

`zerofarm doctor SPACE` calls it. Imports inside `try`, `if` or a function are not checked: they may be optional.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spaces_workers.doctor.finding import Finding

#: Seconds that reading the script may take.
PATIENCE = 60.0

#: Signs that a script may provide its imports itself: it installs, clones, or extends the search path.
_PROVIDES = (b"pip", b"sys.path", b"clone")

#: Only top-level modules are searched for, because a search for `a.b` executes `a`.
_TRIAL = """
import ast, importlib.util, json, os, sys

def names(statement):
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    return [statement.module] if isinstance(statement, ast.ImportFrom) and not statement.level else []

def is_there(name):
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False

path = sys.argv[1]
sys.path.insert(0, os.path.dirname(path))
with open(path, "rb") as file:
    text = file.read()
try:
    compile(text, path, "exec", dont_inherit=True)
    tree = ast.parse(text)
except (SyntaxError, ValueError) as error:
    print(json.dumps([f"line {getattr(error, 'lineno', None) or 1}: {getattr(error, 'msg', error)}", []]))
else:
    tops = dict.fromkeys(name.partition(".")[0] for each in tree.body for name in names(each))
    print(json.dumps(["", [name for name in tops if not is_there(name)]]))
"""


@dataclass(frozen=True, slots=True)
class ScriptCheck:
    """The result of checking one script."""

    app_file: Path
    fault: str = ""  #: why it cannot be compiled
    missing: tuple[str, ...] = ()  #: top-level modules that it imports and that cannot be found

    def problem(self, subject: str) -> Finding | None:
        """The finding if the script has a problem, else None."""
        name = self.app_file.name
        if self.fault:
            return Finding(subject, "problem", f"{name} cannot be compiled: {self.fault}", f"Fix {self.app_file}")
        if not self.missing:
            return None
        message = f"{name} imports {', '.join(self.missing)}, which cannot be found"
        if any(word in self.app_file.read_bytes() for word in _PROVIDES):
            return Finding(subject, "warning", message, "Check that the script itself provides it")
        return Finding(subject, "problem", message, "Add the package to requirements.txt, or fix the import")


def check_script(app_file: Path, python: Path, variables: Mapping[str, str]) -> ScriptCheck:
    """Check the script with this interpreter and these extra variables. Raises OSError if it cannot be read."""
    app_file.open("rb").close()
    command = [str(python), "-P", "-c", _TRIAL, str(app_file)]
    environment = os.environ | dict(variables)
    try:
        trial = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except subprocess.SubprocessError as error:
        return ScriptCheck(app_file, f"{python} cannot read it: {error}")
    fault, missing = json.loads(trial.stdout.splitlines()[-1])
    return ScriptCheck(app_file, fault, tuple(missing))
