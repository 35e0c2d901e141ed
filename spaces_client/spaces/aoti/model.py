"""A compiled model: its package, its weights, and the code to run if the package cannot run."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable
from pickle import PicklingError
from typing import Any, Protocol

import torch

from spaces.aoti import compile_target
from spaces.aoti.compiled_weights import keep, kept
from spaces.aoti.origin import module_at
from spaces.aoti.package import Archive, Package
from spaces.aoti.weights import Tensors, Weights
from spaces.farm.values.references import Reference

logger = logging.getLogger(__name__)

Eager = Callable[..., Any]  # Any: called like the module


_MISSING = (
    "a compiled model is not in this host's cache, or was not made for its device: compile it in a @spaces.GPU "
    "function, and give it to its module by spaces.aoti_apply"
)


class Source(Protocol):
    """The source of a package: a `Package` itself, or a program that another process compiles."""

    def find(self) -> Package | None:
        """The package, if it exists and fits the device of this process."""

    def named(self) -> Package | None:
        """The package to name to another process, regardless of this one's device; None if it does not exist."""


class CompiledModel:
    """The result of `aoti_compile`, called like the exported module.

    It is sent to other processes without its weights, except those that the compiling function made. There it uses the
    weights of the module that it came from, if known, or those of the module given to `aoti_apply`. If its package is
    missing or does not fit, as in a process without a GPU, it runs `eager`, the uncompiled code.
    """

    def __init__(
        self,
        archive_file: Archive | Source,
        weights: Weights | None = None,
        eager: Eager | None = None,
        origin: Reference | None = None,
    ) -> None:
        self.weights = weights
        self._origin = origin
        self._source = _source(archive_file)
        self._eager = eager
        self._package: Package | None = None
        self._warned = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self._eager, args, kwargs)

    def __reduce__(self) -> tuple[Callable[..., CompiledModel], tuple[Package, str | None, Reference | None]]:
        package = self._source.named()
        if package is None:
            raise PicklingError("a model that has not been compiled yet cannot be sent to another process")
        return _arrived, (package, keep(self.weights), self._origin)

    def __deepcopy__(self, _memo: object) -> CompiledModel:
        """Return the same object: a copy of its module shares it."""
        return self

    @property
    def archive_file(self) -> io.BytesIO:
        """The package as a `package.pt2`, for Spaces that store it themselves."""
        package = self._source.find()
        if package is None:
            raise RuntimeError(_MISSING)
        return package.archive()

    def with_weights(self, weights: Weights) -> CompiledModel:
        """The same package for another module."""
        return CompiledModel(self._source, weights, self._eager, self._origin)

    def run(self, eager: Eager | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the compiled code, or `eager` if that cannot run, for example during an export or a trace."""
        if torch.compiler.is_compiling() and eager is not None:
            return eager(*args, **kwargs)
        self._package = package = self._package or self._source.find()
        if package is None:
            return self._uncompiled(eager)(*args, **kwargs)
        if self.weights is None:
            raise RuntimeError("a compiled model has no weights here: give it a module's by spaces.aoti_apply")
        return package.run(self.weights, args, kwargs)

    def _uncompiled(self, eager: Eager | None) -> Eager:
        if eager is None:
            raise RuntimeError(_MISSING)
        self._warn()
        return eager

    def _warn(self) -> None:
        if not self._warned and not (compile_target.emulated() and not compile_target.may_compile()):
            self._warned = True
            logger.warning("%s. It runs uncompiled", _MISSING)


class LazyModel:
    """A package on disk, for one module or for several of the same structure, see `aoti_patch`."""

    def __init__(self, archive_file: Archive) -> None:
        self._package = Package.of_archive(archive_file)

    def with_weights(self, weights: Tensors | Weights) -> CompiledModel:
        """The package with the weights of one module."""
        return CompiledModel(self._package, weights if isinstance(weights, Weights) else Weights(weights))


def _arrived(package: Package, weights: str | None, origin: Reference | None) -> CompiledModel:
    """Unpickle a model, with the weights that this process has. Pickles refer to this function."""
    module = module_at(origin)
    if weights is not None and not (module and kept(weights).are_those_of(module)):
        kept(weights).read_ahead()
        return CompiledModel(package, kept(weights), origin=origin)
    return CompiledModel(package, Weights.of_module(module) if module else None, origin=origin)


def _source(given: Archive | Source) -> Source:
    return Package.of_archive(given) if isinstance(given, str | os.PathLike | io.BytesIO) else given
