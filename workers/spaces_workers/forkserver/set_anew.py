"""Variables that libraries read while they are imported, and that a fork can make them read again.

A script sets them before its imports, to which a fork comes too late. So the fork watches its environment, and tells
the libraries itself. It does so too if the script sets them after its imports, where a program of its own would not.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from types import ModuleType
from typing import Any

#: Constants of other libraries that are derived from those of the Hub's client are looked for in these.
_USERS_OF_THE_HUB = (
    *("huggingface_hub", "transformers", "diffusers", "accelerate", "peft", "sentence_transformers"),
    *("gradio", "gradio_client"),
)


def tell(environment: Mapping[str, str], before: Mapping[str, str], named: Set[str]) -> None:
    """Tell libraries what is not as it was when they were imported; and later changes of the variables in `named`."""
    for name in CAN_BE_SET:
        if environment.get(name) != before.get(name):
            CAN_BE_SET[name]()
    if named:
        os.environ.__class__ = _Watched  # the object stays: libraries hold it by name


class _Watched(os._Environ):  # type: ignore[type-arg]  # not generic at run time
    """The environment, which tells libraries of changes."""

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        CAN_BE_SET.get(key, _nobody)()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        CAN_BE_SET.get(key, _nobody)()


def _nobody() -> None:
    """Has no need to be told."""


def _threads() -> None:
    """The pools of libgomp, OpenBLAS and torch, which each read other variables; the last two do not exceed the cores.

    Source: torch 2.13 and threadpoolctl's `threadpool_info`, in processes with each of the variables.
    """
    cores = len(os.sched_getaffinity(0))
    openmp, blas, torchs = _count("OMP"), _count("OPENBLAS") or _count("OMP"), _count("MKL") or _count("OMP")
    if "numpy" in sys.modules and importlib.util.find_spec("threadpoolctl"):
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        if openmp:
            threadpool_limits(openmp, user_api="openmp")
        if blas:
            threadpool_limits(min(blas, cores), user_api="blas")
    if torchs and (torch := sys.modules.get("torch")):
        torch.set_num_threads(min(torchs, cores))


def _count(pool: str) -> int:
    value = os.environ.get(f"{pool}_NUM_THREADS", "")
    return int(value) if value.isdigit() else 0


def _verbosity(library: str, variable: str) -> Callable[[], None]:
    def tell_it() -> None:
        logging: Any = sys.modules.get(f"{library}.utils.logging")  # Any: the library's own
        if logging is not None and (level := logging.log_levels.get(os.environ.get(variable, ""))) is not None:
            logging.set_verbosity(level)

    return tell_it


def _hub() -> None:
    """Run the module of the Hub's constants once more, and put what differs wherever the old values are."""
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is None or constants.__spec__ is None or constants.__spec__.loader is None:
        return
    fresh = importlib.util.module_from_spec(constants.__spec__)
    constants.__spec__.loader.exec_module(fresh)
    old, new = dict(vars(constants)), vars(fresh)
    for module in _modules_of(_USERS_OF_THE_HUB):
        for name, value in list(vars(module).items()):
            if (renewed := _renewed(name, value, old, new)) is not value:
                setattr(module, name, renewed)


def _renewed(name: str, value: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:  # Any: of any module
    if name in new:
        return new[name] if value is old.get(name) and value != new[name] and not callable(value) else value
    return _moved(value, old["HF_HOME"], new["HF_HOME"]) if isinstance(value, str | Path) else value


def _moved(value: str | Path, old: str, new: str) -> str | Path:
    """The same path below another folder; itself if it is not there."""
    text = str(value)
    return type(value)(new + text[len(old) :]) if text == old or text.startswith(old + os.sep) else value


def _modules_of(libraries: tuple[str, ...]) -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in libraries and isinstance(module, ModuleType):
            yield module


def _folder_of_files() -> None:
    """Gradio asks for its folder when it uses one, except for these copies of its name."""
    utils: Any = sys.modules.get("gradio.utils")  # Any: Gradio's own
    for module in _modules_of(("gradio",)) if utils else ():
        if "DEFAULT_TEMP_DIR" in vars(module):
            vars(module)["DEFAULT_TEMP_DIR"] = utils.get_upload_folder()


_VERBOSITIES = {f"{library.upper()}_VERBOSITY": library for library in ("transformers", "diffusers")}

#: What to do when a variable is set anew.
CAN_BE_SET: Mapping[str, Callable[[], None]] = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), _threads),
    "GRADIO_TEMP_DIR": _folder_of_files,
    **{variable: _verbosity(library, variable) for variable, library in _VERBOSITIES.items()},
    **dict.fromkeys(
        (
            *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ASSETS_CACHE", "HUGGINGFACE_ASSETS_CACHE"),
            *("HF_XET_CACHE", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_ENABLE_HF_TRANSFER"),
            *("HF_XET_HIGH_PERFORMANCE", "HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_ETAG_TIMEOUT"),
            *("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK"),
            *("HF_HUB_DISABLE_SYMLINKS", "HF_HUB_DISABLE_SYMLINKS_WARNING", "HF_HUB_DISABLE_IMPLICIT_TOKEN"),
            *("HF_HUB_DISABLE_EXPERIMENTAL_WARNING", "HF_HUB_DISABLE_UPDATE_CHECK"),
        ),
        _hub,
    ),
}
