"""Compiled code on disk, and in this process once it runs.

Torch loads a package by unpacking it under /tmp and removes the files when the process exits normally, which a killed
child does not. Here a package is unpacked once, into the cache, and the library is loaded from there.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import threading
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch._inductor.package.package import package_aoti
from torch.export._tree_utils import reorder_kwargs
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten, treespec_loads

from spaces import emulation
from spaces.aoti import cache, compile_target
from spaces.aoti.elf import forbid_executable_stack
from spaces.aoti.weights import Weights

Archive = str | os.PathLike[str] | io.BytesIO

#: The folder, in an entry of the cache, of the unpacked `package.pt2`: the compiled files, and `CONSTANTS`.
FILES = "model"

#: The tensors of the code that are in no module's state; packages of the official client lack this file.
CONSTANTS = "constants.pt"

#: The folder of the model's files in a package of torch.
_INSIDE = "/data/aotinductor/model/"


class Package:
    """An entry of the cache, which may not exist yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._turn = threading.Lock()
        self._loaded: Loaded | None = None

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return Package, (self.name,)

    @classmethod
    def of_archive(cls, file: Archive) -> Package:
        """Unpack a `package.pt2` into the cache, unless it is there already."""
        with _opened(file) as archive:
            name = f"archive-{hashlib.file_digest(archive, 'sha256').hexdigest()}"
            cache.keep(name, lambda folder: _unpack(archive, folder / FILES))
        return cls(name)

    def find(self) -> Package | None:
        """Itself, if it exists and was made for the device of this process."""
        return self if cache.find(self.name) is not None and self._fits else None

    def named(self) -> Package:
        """Itself, regardless of the device: a web process, which has no GPU, passes on packages for a GPU."""
        return self

    def archive(self) -> io.BytesIO:
        """A `package.pt2` as torch and the official package read it."""
        file = io.BytesIO()
        package_aoti(file, sorted(map(str, (self._folder / FILES).iterdir())))
        file.seek(0)
        return file

    def run(self, weights: Weights, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the compiled code with these weights; modules that share a package run one at a time."""
        with self._turn:
            if self._loaded is None:
                self._loaded = Loaded(self._folder, self._device)
            return self._loaded.run(weights, args, kwargs)

    @property
    def _folder(self) -> Path:
        return cache.cache_dir() / self.name

    @cached_property
    def _metadata(self) -> dict[str, str]:
        library = _library(self._folder)
        described: dict[str, str] = json.loads(library.with_name(f"{library.stem}_metadata.json").read_text())
        return described

    @property
    def _device(self) -> str:
        return self._metadata["AOTI_DEVICE_KEY"]

    @property
    def _fits(self) -> bool:
        if self._device == "cpu":
            return self._metadata.get("AOTI_MACHINE", platform.machine()) == platform.machine()
        if compile_target.emulated() or not torch.cuda.is_available():
            return False
        made_for = self._metadata.get("AOTI_COMPUTE_CAPABILITY", "")
        return not made_for.isdigit() or _runs(int(made_for), torch.cuda.get_device_capability())


class Loaded:
    """A library in this process, and the weights that it uses now."""

    def __init__(self, folder: Path, device: str) -> None:
        library = _library(folder)
        self._runner = _runner(library, device)
        self._names = {fqn: name for name, fqn in self._runner.get_constant_names_to_original_fqns().items()}
        arguments, results = self._runner.get_call_spec()
        self._arguments: TreeSpec = treespec_loads(arguments)
        self._results: TreeSpec = treespec_loads(results)
        constants = library.parent / CONSTANTS
        self._constants = torch.load(constants, weights_only=True) if constants.exists() else {}
        self._known: WeakKeyDictionary[Weights, dict[str, torch.Tensor]] = WeakKeyDictionary()
        self._weights: Weights | None = None

    def run(self, weights: Weights, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._weights is not weights:
            self._take(weights)
        leaves = tree_flatten((args, reorder_kwargs(kwargs, self._arguments)))[0]
        inputs = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        outputs = self._runner.run(inputs)
        if compile_target.emulated() and any(map(emulation.is_emulated, inputs)):
            for output in outputs:
                emulation.adopt(output)
        return tree_unflatten(outputs, self._results)

    def _take(self, weights: Weights) -> None:
        """Make the library use these tensors. It does not copy them; `weights` keeps them alive."""
        if weights not in self._known:
            self._known[weights] = self._named(weights)
        self._runner.update_constant_buffer(self._known[weights], False, True, True)
        self._weights = weights

    def _named(self, weights: Weights) -> dict[str, torch.Tensor]:
        """The tensors under the library's names."""
        tensors = {**self._constants, **weights.constants_map}
        if missing := sorted(self._names.keys() - tensors.keys()):
            raise RuntimeError(
                f"the compiled package needs {', '.join(missing)}, which are no parameters of the module: it was "
                "compiled from a different module, or a different version of it"
            )
        return {name: tensors[fqn].detach() for fqn, name in self._names.items()}


def take_files(files: list[str], folder: Path) -> None:
    """Copy the compiler's output into an entry of the cache."""
    folder.mkdir()
    for file in files:
        shutil.copyfile(file, folder / Path(file).name)
    _prepare(folder)


def _unpack(archive: io.BufferedReader | io.BytesIO, folder: Path) -> None:
    folder.mkdir()
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            if _INSIDE in entry.filename and not entry.is_dir():
                with packed.open(entry) as source, (folder / Path(entry.filename).name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    _prepare(folder)


def _prepare(folder: Path) -> None:
    for library in folder.glob("*.so"):
        forbid_executable_stack(library)


def _opened(file: Archive) -> io.BufferedReader | io.BytesIO:
    return io.BytesIO(file.getvalue()) if isinstance(file, io.BytesIO) else open(file, "rb")


def _library(folder: Path) -> Path:
    libraries = sorted((folder / FILES).glob("*.so"))
    wrappers = [library for library in libraries if library.name.endswith(".wrapper.so")] or libraries
    if len(wrappers) != 1:
        raise RuntimeError(f"a compiled package must hold one library, {folder} has {len(wrappers)}")
    return wrappers[0]


def _runner(library: Path, device: str) -> Any:  # Any: of torch's C++
    if device == "cpu":
        return torch._C._aoti.AOTIModelContainerRunnerCpu(str(library), 1)
    return torch._C._aoti.AOTIModelContainerRunnerCuda(str(library), 1, "cuda", str(library.parent))


def _runs(made_for: int, here: tuple[int, int]) -> bool:
    """GPU code runs on GPUs of the same major version and the same or a later minor version."""
    major, minor = divmod(made_for, 10)
    return major == here[0] and minor <= here[1]
