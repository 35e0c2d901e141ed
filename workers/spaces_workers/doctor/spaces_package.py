"""Checks that `import spaces` finds our package and works: by its files, and in a fresh interpreter.

This module imports nothing of `spaces`, because it must report that `spaces` cannot be imported: no command of
`zerofarm` works then, and Gradio, which imports it inside a `try`, hides the error.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from spaces_workers.doctor.finding import Finding

DISTRIBUTION = "zerofarm"

REINSTALL = f"pip install --force-reinstall {DISTRIBUTION}"

#: Seconds that the import may take; it usually needs less than one.
PATIENCE = 60.0

#: Prints the file that would be imported, then imports the modules that web process, zygote and child need. As in the
#: farm's processes, the current folder is not on the search path.
_TRIAL = """
import importlib.util
spec = importlib.util.find_spec("spaces")
print(spec.origin if spec and spec.origin else "", flush=True)
import spaces, spaces.web.client, spaces.farm.celery.celery_app, spaces.farm.payloads.packer
import spaces_workers.zygote.main
"""


def installed() -> Finding:
    """Check that `import spaces` finds our package, not Hugging Face's package of the same name."""
    subject = "spaces package"
    version = _official_version()
    if version is not None:
        message = f"the official `spaces` package {version} is installed beside ours and overwrites its files"
        return Finding(subject, "problem", message, f"pip uninstall spaces && {REINSTALL}")
    found = importlib.util.find_spec("spaces")
    if found is None or found.origin is None:
        return Finding(subject, "problem", "`import spaces` finds no module of ours", REINSTALL)
    if not is_ours(Path(found.origin)):
        return _stranger(subject, found.origin)
    return Finding(subject, "ok", f"ours, at {Path(found.origin).parent}")


def imported(
    subject: str = "import spaces",
    python: Path = Path(sys.executable),
    variables: Mapping[str, str] | None = None,
    remedy: str = REINSTALL,
) -> Finding:
    """Try `import spaces` as a web process of the farm does, in a fresh interpreter with these extra variables."""
    environment = {name: value for name, value in os.environ.items() if name != "ZEROFARM_URL"}
    environment |= {"ZEROFARM_ROLE": "web"} | dict(variables or {})
    command = [str(python), "-P", "-c", _TRIAL]
    try:
        trial = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(subject, "problem", f"it cannot be tried with {python}: {error}", remedy)
    origin = trial.stdout.partition("\n")[0]
    if origin and not is_ours(Path(origin)):
        return _stranger(subject, origin)
    if trial.returncode != 0:
        reason = trial.stderr.strip().rpartition("\n")[2] or f"exit code {trial.returncode}"
        return Finding(subject, "problem", f"fails in {python}: {reason} (found: {origin or 'nothing'})", remedy)
    return Finding(subject, "ok", f"works in {python}")


def is_ours(origin: Path) -> bool:
    """Whether the file belongs to our distribution: by its digest, or by its path in an editable installation.

    A file that cannot be read, such as one inside an archive, does not.
    """
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return False
    for file in distribution.files or []:
        if file.as_posix() == "spaces/__init__.py" and file.hash is not None:
            return _digest(origin) == file.hash.value
    sources = Path(__file__).resolve().parents[3]
    return origin.resolve().is_relative_to(sources / "spaces_client")


def _digest(file: Path) -> str | None:
    try:
        return urlsafe_b64encode(sha256(file.read_bytes()).digest()).rstrip(b"=").decode()
    except OSError:
        return None


def _official_version() -> str | None:
    try:
        return importlib.metadata.version("spaces")
    except importlib.metadata.PackageNotFoundError:
        return None


def _stranger(subject: str, origin: str) -> Finding:
    """The finding for another package named `spaces`, or for a user's file `spaces.py`."""
    is_installed = bool({"site-packages", "dist-packages"} & set(Path(origin).parts))
    remedy = REINSTALL if is_installed else f"Rename {origin}, or remove its folder from PYTHONPATH"
    return Finding(subject, "problem", f"`import spaces` finds {origin}, which is not part of {DISTRIBUTION}", remedy)
