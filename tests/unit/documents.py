"""Checks the names in a document that can be looked up: files, modules, commands, make targets, variables and links.

`faults` returns one line for each name that does not exist. A document names a file by the end of its path, which must
be the end of one path only; `file.py::name` is a definition in that file, and `…::name` one in the file named before.
A file that the reader is told to save is there too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer

from spaces_workers.commands.command_table import application

ROOT = Path(__file__).parents[2]

_FOLDERS = ("app", "benchmarks", "deploy", "docs", "spaces_client", "tests", "workers")
_PACKAGES = {"spaces": "spaces_client", "spaces_workers": "workers", "spaces_app": "app", "benchmarks": ""}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_SPAN = re.compile(r"`([^`\n]+)`")
_INDENTED = re.compile(r"(?:^|\n)\n((?: {4}.*\n)+)")
_LIST_OF_WORDS = re.compile(r'command: \["(.*)"\]')
_SUFFIX = r"\.(?:py|lua|md|toml|yml|html|js|css|service|example)\b"
_FILE = re.compile(rf"(?<![\w/.~$-])([\w-][\w./-]*{_SUFFIX}|…(?=::))(?:::([\w.]+)(…?))?")
_FOLDER = re.compile(r"(?<![\w/.~$:-])((?:[\w-]+/)+[\w-]*)(?![\w./<…*-])")
_MODULE = re.compile(r"(?<![\w./-])((?:spaces|spaces_workers|spaces_app|benchmarks)(?:\.[A-Za-z_]\w*)+)")
_COMMAND = re.compile(r"(?:^|[\s/(])zerofarm +([a-z][\w-]*)([^|;]*)")
_OPTION = re.compile(r"(?<!\S)--[a-z][\w-]*")
_MAKE = re.compile(r"(?:^|\s)make((?: +[a-z][\w-]*)+)")
_VARIABLE = re.compile(r"(?<![\w{])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b")
_SAVED = re.compile(r"Save this as `([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)")


def faults(path: Path, text: str) -> list[str]:
    """Everything that the text of the document at `path` names and that is not there."""
    if path.suffix != ".md":
        lines = list(_lines_of_configuration(text))
        checks: list[Check] = [_files, _commands]
    else:
        lines = list(code_in(_without(_SAVED.findall(text), text)))
        checks = [_files, _folders, _modules, _commands, _options, _benchmarks, _targets, _variables]
    return [fault for check in checks for fault in check(lines)] + list(_links(path, text))


def code_in(text: str) -> Iterator[str]:
    """The code of a Markdown document, a line or a span at a time. Python and TOML in it are not looked at."""
    for language, block in _FENCE.findall(text):
        if language in ("", "console", "yaml"):
            yield from _lines_of_shell(block)
    prose = _FENCE.sub("", text)
    for block in _INDENTED.findall(prose):
        yield from _lines_of_shell(block)
    yield from _SPAN.findall(prose)


def _without(names: list[str], text: str) -> str:
    for name in names:
        text = text.replace(name, "")
    return text


def _lines_of_shell(block: str) -> Iterator[str]:
    for line in block.splitlines():
        yield _as_command(line.partition(" # ")[0])


def _lines_of_configuration(text: str) -> Iterator[str]:
    """The comments, and the lines that start `zerofarm`."""
    for line in text.splitlines():
        if "#" in line:
            yield line.partition("#")[2]
        elif "command: [" in line or "/zerofarm " in line:
            yield _as_command(line)


def _as_command(line: str) -> str:
    """`command: ["web", "/space"]` of Compose as `zerofarm web /space`, for that is its image's entry point."""
    listed = _LIST_OF_WORDS.search(line)
    if listed is None or listed[1].startswith("valkey"):
        return line
    return "zerofarm " + listed[1].replace('", "', " ")


# --- checks: what is wrong with lines of code

Check = Callable[[list[str]], Iterator[str]]


def _files(lines: list[str]) -> Iterator[str]:
    last = ""
    for line in lines:
        for named, name, cut in _FILE.findall(line):
            last = file = last if named == "…" else named
            if not name and _is_a_literal(file):
                continue
            found = [path for path in _ending_in(file, _files_there()) if not name or _defines(path, name, bool(cut))]
            if len(found) != 1:
                yield f"{file}{'::' if name else ''}{name}: {_counted(found)}"


def _folders(lines: list[str]) -> Iterator[str]:
    """What ends with a slash, or begins with a folder of the tree."""
    known = {name for path in _folders_there() for name in Path(path).parts}
    for line in lines:
        for named in _FOLDER.findall(line):
            folder = named.rstrip("/")
            if (folder == named and Path(named).parts[0] not in known) or _is_a_literal(folder):
                continue
            found = _ending_in(folder, _folders_there())
            if len(found) != 1:
                yield f"{named}: {_counted(found)}"


def _counted(found: list[str]) -> str:
    return f"there are several, {', '.join(found)}" if found else "there is none"


def _modules(lines: list[str]) -> Iterator[str]:
    for line in lines:
        for named in _MODULE.findall(line):
            if not named.endswith((".py", ".md")) and not _is_importable(named):
                yield f"{named}: neither a module nor a name in one"


def _commands(lines: list[str]) -> Iterator[str]:
    for line in lines:
        for name, rest in _COMMAND.findall(line):
            if name not in _commands_there():
                yield f"zerofarm {name}: no such command"
                continue
            for option in _OPTION.findall(rest):
                if option not in _commands_there()[name]:
                    yield f"zerofarm {name} {option}: no such option"


def _options(lines: list[str]) -> Iterator[str]:
    """An option that stands alone is one of `zerofarm`."""
    for line in lines:
        if (option := _OPTION.match(line)) and not any(option[0] in known for known in _commands_there().values()):
            yield f"{option[0]}: no command of zerofarm has this option"


def _benchmarks(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if started := re.search(r"-m benchmarks\.(\w+)(.*)", line):
            script = ROOT / "benchmarks" / f"{started[1]}.py"
            for option in _OPTION.findall(started[2]):
                if not script.is_file() or option not in script.read_text():
                    yield f"benchmarks.{started[1]} {option}: no such option"


def _targets(lines: list[str]) -> Iterator[str]:
    known = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.M)
    targets = known[1].split() if known else []
    for line in lines:
        for named in _MAKE.findall(line):
            yield from (f"make {target}: no such target" for target in named.split() if target not in targets)


def _variables(lines: list[str]) -> Iterator[str]:
    for line in lines:
        for variable in _VARIABLE.findall(line):
            if not re.search(rf"\b{variable}\b", _all_code()):
                yield f"{variable}: no code has this name"


def _links(path: Path, text: str) -> Iterator[str]:
    for target, anchor in _LINK.findall(text):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        there = (path.parent / target).resolve() if target else path
        if not there.exists():
            yield f"({target}): leads nowhere"
        elif anchor and anchor not in _anchors(text if there == path else there.read_text()):
            yield f"({target}#{anchor}): no such heading"


def _anchors(text: str) -> list[str]:
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", text), re.M)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


# --- what is there


def _ending_in(name: str, paths: Collection[str]) -> list[str]:
    return sorted(path for path in paths if f"/{path}".endswith(f"/{name}"))


@cache
def _files_there() -> list[str]:
    roots = [path for path in ROOT.iterdir() if path.is_file()]
    inside = [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [str(path.relative_to(ROOT)) for path in (*roots, *inside) if "__pycache__" not in path.parts]


@cache
def _folders_there() -> set[str]:
    return {str(parent) for path in _files_there() for parent in Path(path).parents if str(parent) != "."}


@cache
def _is_a_literal(name: str) -> bool:
    """Whether the code has a file of this name to read or to write: a Space's, or one in the state directory."""
    return f'"{name}"' in _all_code()


@cache
def _all_code() -> str:
    kinds = (".py", ".lua", ".yml", ".example", ".service", "Dockerfile", "Makefile")
    return "\n".join((ROOT / path).read_text() for path in _files_there() if path.endswith(kinds))


def _defines(path: str, name: str, cut: bool) -> bool:
    """Whether each part of a dotted name begins a line of the file, but for `def`, `class`, `function` or a quote."""
    text, end = (ROOT / path).read_text(), "" if cut else r"\b"
    begin = r"^\s*(?:(?:local |async )?(?:def|class|function) |[\"'])?"
    return all(re.search(rf"{begin}{part}{end}", text, re.M) for part in name.split("."))


@cache
def _is_importable(name: str) -> bool:
    """Whether it is a module, or a name that stands in one; nothing is imported."""
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):
        base = ROOT / _PACKAGES[parts[0]] / Path(*parts[:depth])
        for module in (base.with_suffix(".py"), base / "__init__.py"):
            if module.is_file():
                rest = parts[depth : depth + 1]
                end = "" if name.endswith("_") else r"\b"  # `spaces.aoti_…` are several
                return not rest or re.search(rf"\b{rest[0]}{end}", module.read_text()) is not None
        if base.is_dir():
            return depth == len(parts)
    return False


@cache
def _commands_there() -> dict[str, set[str]]:
    commands = typer.main.get_group(application()).commands
    return {name: _options_of(command) for name, command in commands.items()}


def _options_of(command: Any) -> set[str]:  # Any: click's, or typer's own copy of it
    """The options of a command, or of all commands of a group."""
    below = [_options_of(each) for each in getattr(command, "commands", {}).values()]
    return {"--help"}.union(*below, (option for parameter in command.params for option in parameter.opts))
