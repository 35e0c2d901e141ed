"""Ahead-of-time compilation: a module is compiled once, for the GPU at hand, and loaded by every child that needs it.

    @spaces.GPU(duration=1500)
    def compile_transformer():
        with spaces.aoti_capture(pipe.transformer) as call:
            pipe("an example prompt")
        exported = torch.export.export(pipe.transformer, call.args, call.kwargs)
        return spaces.aoti_compile(exported)

    spaces.aoti_apply(compile_transformer(), pipe.transformer)

Compiled packages are kept in a cache on disk (`cache`), keyed by their content (`recipe`), so they survive the end of
children, restarts and kills. A compiled model travels between processes as a name; it uses the module's own weights
(`weights`). Without a GPU, in the web process and in a zygote, the module's own code runs instead of the compiled code.

This file has only the functions that Spaces call; the first call imports torch. They need torch 2.8 or later.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from spaces.aoti.capture import CapturedCall
    from spaces.aoti.model import CompiledModel, LazyModel

    Loader = Callable[[torch.nn.Module, str], Any]  # Any: the return value of a Space's loader is ignored

OLDEST_TORCH = (2, 8)


def aoti_capture(module: Any, call_method: str = "forward") -> AbstractContextManager[CapturedCall]:
    """Capture `args` and `kwargs` of the first call of `module` within the block, for `torch.export.export`.

    That call does not run, and the rest of the block is skipped. Raises RuntimeError if the block makes no call.
    """
    _require_torch()
    from spaces.aoti import capture, exporting, origin

    exporting.prepare()
    origin.note(module)
    return capture.captured(module, call_method)


def aoti_compile(
    exported_program: torch.export.ExportedProgram, inductor_configs: dict[str, Any] | None = None
) -> CompiledModel:
    """Compile an exported program for the GPU of this process, or load it from the cache.

    `inductor_configs` are options of `torch._inductor.config`. The returned model is called like the exported module,
    and can be returned from a GPU function. A zygote, which has no GPU, compiles nothing: its model uses the package
    that a child has put into the cache.
    """
    _require_torch()
    from spaces.aoti import compiling

    return compiling.compiled(exported_program, inductor_configs or {})


def aoti_compile_and_save(
    package_dir: str | os.PathLike[str],
    exported_program: torch.export.ExportedProgram,
    inductor_configs: dict[str, Any] | None = None,
    submodule: str | None = None,
) -> None:
    """Compile and write `package_dir/root/package.pt2`, or `package_dir/submodules/{submodule}/package.pt2`.

    Such a folder can be uploaded to the Hub and loaded by `aoti_load`. In a zygote nothing is written.
    """
    _require_torch()
    from spaces.aoti import compiling

    compiling.save(package_dir, exported_program, inductor_configs or {}, submodule)


def aoti_apply(compiled: CompiledModel, module: torch.nn.Module, call_method: str = "forward") -> None:
    """Make calls of `module` run the compiled model.

    The compiled code uses the module's own parameters, so no weights are held twice. If the GPU function quantized the
    model before compiling it, the quantized weights come with the compiled model, and the module's are freed.
    """
    _require_torch()
    from spaces.aoti import applying

    applying.apply(compiled, module, call_method)


def aoti_patch(module: torch.nn.Module, aoti_model: LazyModel, call_method: str = "forward") -> None:
    """Make calls of `module` run a package that was compiled from an equal module, with the weights of `module`."""
    _require_torch()
    from spaces.aoti import applying

    applying.patch(module, aoti_model, call_method)


def aoti_load(
    module: torch.nn.Module, repo_id: str, revision: str | None = None, aoti_loader: Loader | None = None
) -> None:
    """Load the folder `package`, written by `aoti_compile_and_save`, of a repository on the Hub.

    `aoti_loader(module, package_dir)` replaces `aoti_load_from_package_dir`.
    """
    _require_torch()
    from spaces.aoti import loading

    loading.from_hub(module, repo_id, revision, aoti_loader)


def aoti_load_call_source(
    module_expr: str, repo_id: str, revision: str | None = None, aoti_loader: Loader | None = None
) -> str:
    """The Python source of an `aoti_load` call, with its loader, to paste into a Space that uses the packages."""
    _require_torch()
    from spaces.aoti import source

    return source.of_load_call(module_expr, repo_id, revision, aoti_loader)


def aoti_load_from_package_dir(module: torch.nn.Module, package_dir: str | os.PathLike[str]) -> None:
    """Load `root/package.pt2` into `module`, and each `submodules/{name}/package.pt2` into its submodule.

    A package for a list of modules is loaded into each of them.
    """
    _require_torch()
    from spaces.aoti import loading

    loading.from_folder(module, package_dir)


def aoti_blocks_load(module: torch.nn.Module, repo_id: str, variant: str | None = None) -> None:
    """Load compiled blocks from the Hub: `{Block}[.{variant}]/package.pt2` for each class in `module._repeated_blocks`.

    All blocks of a class share one compiled package and keep their own weights. A `config[.{variant}].json` may list
    `kernels`, which are loaded first. Raises RuntimeError if the module has no `_repeated_blocks`.
    """
    _require_torch()
    from spaces.aoti import loading

    loading.blocks_from_hub(module, repo_id, variant)


def _require_torch() -> None:
    import torch

    numbers = re.match(r"(\d+)\.(\d+)", str(torch.__version__))
    if numbers is None or tuple(map(int, numbers.groups())) < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        raise RuntimeError(
            f"ahead-of-time compilation needs torch {oldest} or later, got {torch.__version__}. "
            f"Put torch>={oldest} into requirements.txt"
        )
