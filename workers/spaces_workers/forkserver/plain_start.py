"""Decides whether a Space may start as a fork of the fork server, or must import its libraries itself.

A fork has libraries in memory that were imported before its script began. A Space that could notice is started the
plain way, and its log says why.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

from spaces.space import source_at
from spaces_workers.forkserver.libraries import LIBRARIES, Preloaded
from spaces_workers.forkserver.set_anew import CAN_BE_SET

#: Variables that imports read and that take effect later all the same, when a library is used. Source: each was set
#: after the import in a process of its own (torch 2.13, transformers 5.23, diffusers 0.42, Gradio 6.31).
READ_LATER = frozenset(
    {
        *("HF_TOKEN", "TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES", "TORCH_HOME", "NUMBA_CACHE_DIR"),
        *("GRADIO_TEMP_DIR", "GRADIO_ALLOWED_PATHS", "GRADIO_ANALYTICS_ENABLED", "TORCHINDUCTOR_CACHE_DIR"),
        *("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "PATH", "PWD", "HOME", "SPACE_ID", "SYSTEM", "LANG", "COLUMNS"),
        *("TMPDIR", "TEMP", "TMP", "PYTHONUNBUFFERED", "TERM", "SPACES_ZERO_GPU", "LINES"),
    }
)

#: Variables that native code reads while it is loaded, which nobody can observe from Python.
READ_BY_NATIVE_CODE = frozenset(
    {
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OPENBLAS_CORETYPE"),
        *("OMP_PROC_BIND", "OMP_DYNAMIC", "OMP_SCHEDULE", "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_BLOCKTIME"),
        *("MKL_DYNAMIC", "DNNL_VERBOSE", "ONEDNN_VERBOSE", "TORCH_CPP_LOG_LEVEL", "TORCH_SHOW_CPP_STACKTRACES"),
        *("PYTHONHASHSEED", "PYTHONPATH", "PYTHONWARNINGS", "PYTHONMALLOC", "PYTHONOPTIMIZE", "PYTHONDEVMODE"),
        *("MALLOC_ARENA_MAX", "LD_PRELOAD", "LD_LIBRARY_PATH", "TOKENIZERS_LOG", "LC_ALL"),
    }
)

#: Folders of a Space, and files in them, that are searched for names of libraries.
DEPTH, MOST_FILES = 4, 2000

_LIBRARY = re.compile(rf"\b({'|'.join(library.name for library in LIBRARIES)})\b")

_INSTALLS = re.compile(r"\b(pip3?|uv)\b.{0,20}\binstall\b", re.DOTALL)


def plain_reason(app_file: Path, environment: Mapping[str, str], preloaded: Preloaded) -> str:
    """Why a Space must be started the plain way, as a part of a sentence; empty if it may be forked.

    `environment` is the Space's.
    """
    critical = (preloaded.variables | READ_BY_NATIVE_CODE) - READ_LATER - CAN_BE_SET.keys()
    for name in sorted(critical):
        if _of(environment, name) != _of(preloaded.environment, name):
            return f"libraries read the variable {name} while they are imported, and this Space has its own"
    files = _python_files(app_file)
    for file in files:
        name = file.parent.name if file.name == "__init__.py" else file.stem
        if name in preloaded.modules and file != app_file:
            return f"{file} has the name of the library {name}"
    for file in files:
        if reason := _reason_in(file, critical):
            return reason
    return ""


def named_libraries(app_file: Path) -> set[str]:
    """The libraries of the fork server's table that a Space's files name."""
    return {name for file in _python_files(app_file) for name in _LIBRARY.findall(_text(file))}


def named_variables(app_file: Path) -> frozenset[str]:
    """The variables that a Space's files name, of those that a fork can make libraries read again."""
    texts = [_text(file) for file in _python_files(app_file)]
    return frozenset(name for name in CAN_BE_SET if any(name in text for text in texts))


def _of(environment: Mapping[str, str], name: str) -> str | None:
    value = environment.get(name)
    return value or None if name == "PYTHONPATH" else value  # an empty one is none


def _reason_in(file: Path, critical: frozenset[str] | set[str]) -> str:
    text = _text(file)
    if _INSTALLS.search(text):
        return f"{file} installs packages while it is imported"
    if not any(name in text for name in critical):
        return ""
    for word in _words(text):
        if word in critical:
            return f"libraries read the variable {word} while they are imported, and {file} names it"
    return ""


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace") if file.suffix == ".py" else ""
    except OSError:
        return ""


def _words(text: str) -> Iterator[str]:
    """Names and texts of a script, without its comments."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.STRING:
                yield token.string.strip("rbuRBU").strip("'\"")
            elif token.type == tokenize.NAME:
                yield token.string
    except (tokenize.TokenError, SyntaxError):
        return


def _python_files(app_file: Path) -> list[Path]:
    source = source_at(app_file)
    return [app_file] if source.alone else list(_files(source.root))


def _files(root: Path) -> Iterator[Path]:
    """Python files and packages of a Space, near its top."""
    waiting, found = [(root, 0)], 0
    while waiting and found < MOST_FILES:
        folder, depth = waiting.pop()
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith((".", "__pycache__", "node_modules")):
                continue
            if entry.suffix == ".py":
                found += 1
                yield entry
            elif entry.is_dir() and depth < DEPTH:
                waiting.append((entry, depth + 1))
