"""Puts the files of a Space into a folder: copies them, or has git or the Hub's own client fetch them.

`python -m spaces_workers.up.hosting.fetch SOURCE FOLDER` prints the commit. `zerofarm up` runs it as a process of its
own, which it can end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

from spaces.source import LEFT_OUT
from spaces_workers.isolation import MODULE
from spaces_workers.link.die_with_starter import tied
from spaces_workers.up.hosting.origin import Git, Hub, Local, Origin, OriginFault, in_words, origin_of

#: Seconds that git may take.
PATIENCE = 600.0


async def fetched(source: str, folder: Path) -> str:
    """Fill a folder by a process of its own. Returns the commit, or nothing for a copy. Raises OriginFault."""
    command = tied([sys.executable, *MODULE, __name__, source, str(folder)])
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
    )
    try:
        said, complaint = await process.communicate()
    except BaseException:
        os.killpg(process.pid, 9)
        raise
    if process.returncode:
        words = complaint.decode(errors="replace").strip().splitlines()
        raise OriginFault(words[-1] if words else f"the process that fetches {in_words(source)} was ended")
    return said.decode().strip()


def fetch(origin: Origin, folder: Path) -> str:
    """Fill a folder, which does not exist. Returns the commit, or nothing for a copy. Raises OriginFault."""
    match origin:
        case Local(path):
            _copy(path, folder)
            return ""
        case Git(url, revision):
            return _clone(url, revision, folder)
        case Hub(repository, revision):
            return _download(repository, revision, folder)


def _copy(path: Path, folder: Path) -> None:
    try:
        if path.is_file() and path.name != "app.py":
            folder.mkdir(parents=True)
            shutil.copy2(path, folder / path.name)
        else:
            top = path.parent if path.is_file() else path
            shutil.copytree(top, folder, ignore=shutil.ignore_patterns(*LEFT_OUT, "*.pyc"), symlinks=False)
    except (OSError, shutil.Error) as error:
        raise OriginFault(f"{path} cannot be copied: {error}") from None


def _clone(url: str, revision: str, folder: Path) -> str:
    """One commit, without its history: fetched by name, which works for branches, tags and commits alike."""
    if shutil.which("git") is None:
        raise OriginFault(f"git is not installed, which fetches {in_words(url)}: apt install git")
    folder.mkdir(parents=True)
    _git(folder, url, "init", "--quiet")
    _git(folder, url, "fetch", "--quiet", "--depth=1", "--", url, revision or "HEAD")
    _git(folder, url, "checkout", "--quiet", "FETCH_HEAD")
    commit = _git(folder, url, "rev-parse", "HEAD").strip()
    shutil.rmtree(folder / ".git")
    return commit[:12]


def _git(folder: Path, url: str, *arguments: str) -> str:
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise OriginFault(f"git did not fetch {in_words(url)} within {PATIENCE:g} s") from None
    if done.returncode:
        words = " ".join(done.stderr.replace(url, in_words(url)).split())
        raise OriginFault(f"git cannot fetch {in_words(url)}: {words or f'it exited with code {done.returncode}'}")
    return done.stdout


def _download(repository: str, revision: str, folder: Path) -> str:
    try:
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError:
        raise OriginFault(
            "huggingface_hub is not installed, which fetches Spaces: pip install huggingface_hub"
        ) from None
    try:
        commit = HfApi().space_info(repository, revision=revision or None, timeout=30.0).sha or ""
        snapshot_download(repository, repo_type="space", revision=commit or None, local_dir=folder)
    except HFValidationError as error:
        raise OriginFault(f"hf:{repository} is no name of a Space: {error}") from None
    except HfHubHTTPError as error:
        words = " ".join(str(error.server_message or error).split())
        raise OriginFault(f"the Hub does not give Space {repository} to this farm: {words}") from None
    except Exception as error:  # its client raises those of the library that it connects by
        raise OriginFault(f"the Hub cannot be reached for Space {repository}: {error}") from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return commit[:12]


def main() -> None:
    """Fetch, and print the commit; or one line that says why not."""
    source, folder = sys.argv[1:]
    try:
        print(fetch(origin_of(source), Path(folder)))
    except OriginFault as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
