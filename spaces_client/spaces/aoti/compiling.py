"""Compiles exported programs by AOTInductor, each only once."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch._inductor.codecache  # torch 2.8 forgets to import it itself (pytorch#165157)
from torch.export import ExportedProgram
from torch.export.pt2_archive._package_weights import Weights as CompiledWeights

from spaces.aoti import cache, compile_target
from spaces.aoti.model import CompiledModel
from spaces.aoti.origin import place_of
from spaces.aoti.package import CONSTANTS, FILES, Package, take_files
from spaces.aoti.program import on_its_device
from spaces.aoti.recipe import Recipe
from spaces.aoti.weights import Weights, tensors_of_program

logger = logging.getLogger(__name__)

PACKAGE = "package.pt2"

#: Options for a package that holds code and no weights; they override a Space's options.
OVERRIDES: dict[str, Any] = {
    "aot_inductor.package": True,
    "aot_inductor.package_constants_in_so": False,
    "always_keep_tensor_constants": True,
    "joint_graph_constant_folding": False,
    "freezing": False,
}
if hasattr(torch._inductor.config.aot_inductor, "package_constants_on_disk_format"):  # since torch 2.10
    OVERRIDES["aot_inductor.package_constants_on_disk_format"] = "pickle_weights"
else:
    OVERRIDES["aot_inductor.package_constants_on_disk"] = True


class Postponed:
    """A program in a process without a device to compile for: a child compiles its package, sooner or later."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def find(self) -> Package | None:
        return Package(self._recipe.name).find()

    def named(self) -> Package | None:
        return self.find()


def compiled(program: ExportedProgram, configs: dict[str, Any]) -> CompiledModel:
    """See `spaces.aoti_compile`."""
    here = compile_target.may_compile()
    source = _package(program, configs) if here else Postponed(Recipe.of(program, _options(configs)))

    def eager(*args: Any, **kwargs: Any) -> Any:
        return on_its_device(program).module()(*args, **kwargs)

    return CompiledModel(source, Weights.of_program(program), eager, place_of(program))


def save(
    folder: str | os.PathLike[str], program: ExportedProgram, configs: dict[str, Any], submodule: str | None
) -> None:
    """See `spaces.aoti_compile_and_save`."""
    if not compile_target.may_compile():
        logger.info("%s is not written by a process without a device; the GPU function that compiles it does", folder)
        return
    archive = _package(program, configs).archive()
    target = (Path(folder) / "submodules" / submodule if submodule else Path(folder) / "root") / PACKAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{PACKAGE}.{os.getpid()}")
    draft.write_bytes(archive.getbuffer())
    draft.replace(target)


def _options(configs: dict[str, Any]) -> dict[str, Any]:
    return {**configs, **OVERRIDES}


def _package(program: ExportedProgram, configs: dict[str, Any]) -> Package:
    options = _options(configs)
    name = Recipe.of(program, options).name
    program = on_its_device(program)
    cache.keep(name, lambda folder: _compile(program, options, folder))
    return Package(name)


def _compile(program: ExportedProgram, options: dict[str, Any], folder: Path) -> None:
    started = time.monotonic()
    args, kwargs = program.example_inputs
    with compile_target.without_emulation():
        artifacts = torch._inductor.aot_compile(program.module(), args, kwargs, options=options)
    take_files([artifact for artifact in artifacts if isinstance(artifact, str)], folder / FILES)
    known = tensors_of_program(program).keys()
    of_the_code = {
        name: artifact.get_weight(name)[0].detach()
        for artifact in artifacts
        if isinstance(artifact, CompiledWeights)
        for name in artifact.keys() - known
    }
    torch.save(of_the_code, folder / FILES / CONSTANTS)
    logger.info("compiled ahead of time in %.1f s: %s", time.monotonic() - started, folder.name)
