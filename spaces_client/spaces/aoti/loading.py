"""Loads packages that were compiled elsewhere, from a folder or from the Hub."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from spaces.aoti.applying import patch
from spaces.aoti.compiling import PACKAGE
from spaces.aoti.model import LazyModel

#: The folder of a repository that `aoti_load` downloads.
FOLDER = "package"


def from_hub(
    module: torch.nn.Module, repo_id: str, revision: str | None, loader: Callable[[torch.nn.Module, str], Any] | None
) -> None:
    """See `spaces.aoti_load`."""
    from huggingface_hub import snapshot_download

    downloaded = snapshot_download(repo_id=repo_id, revision=revision, allow_patterns=f"{FOLDER}/*")
    (loader or from_folder)(module, str(Path(downloaded) / FOLDER))


def from_folder(module: torch.nn.Module, folder: str | os.PathLike[str]) -> None:
    """See `spaces.aoti_load_from_package_dir`."""
    submodules = Path(folder) / "submodules"
    for package in sorted(submodules.glob(f"*/{PACKAGE}")):
        _load(module.get_submodule(package.parent.name), package)
    root = Path(folder) / "root" / PACKAGE
    if root.exists():
        _load(module, root)


def blocks_from_hub(module: torch.nn.Module, repo_id: str, variant: str | None) -> None:
    """See `spaces.aoti_blocks_load`."""
    from huggingface_hub import hf_hub_download

    names: Iterable[str] | None = getattr(module, "_repeated_blocks", None)
    if names is None:
        raise RuntimeError(
            f"aoti_blocks_load needs a module with _repeated_blocks, and {type(module).__name__} has none. "
            "Load a package of the whole module with spaces.aoti_load"
        )
    _load_kernels(repo_id, variant)
    for name in names:
        model = LazyModel(hf_hub_download(repo_id=repo_id, filename=PACKAGE, subfolder=_variant(name, variant)))
        for block in module.modules():
            if type(block).__name__ == name:
                patch(block, model, "forward")


def _load(module: torch.nn.Module, package: Path) -> None:
    model = LazyModel(package)
    for each in module if isinstance(module, Iterable) else [module]:
        patch(each, model, "forward")


def _load_kernels(repo_id: str, variant: str | None) -> None:
    """Load the operators of the Hub's `kernels` that the compiled code calls."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        file = hf_hub_download(repo_id, f"{_variant('config', variant)}.json")
    except EntryNotFoundError:
        return
    for kernel in json.loads(Path(file).read_text()).get("kernels") or ():
        from kernels import get_kernel  # type: ignore[import-not-found, unused-ignore] # of the Space's own choice

        get_kernel(**kernel)


def _variant(name: str, variant: str | None) -> str:
    return f"{name}.{variant}" if variant else name
