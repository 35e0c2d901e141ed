"""Makes the reference of environment variables: ours from the comments of the constants that name them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from docs.reference.comments import Named, named_in, sentence
from docs.reference.variables import INNER, OTHERS
from spaces.withheld_variables import AS_FILES
from spaces_workers.setup.process_environment import DEFAULTS, ONE_SERVER, PAGES

ROOT = Path(__file__).parents[2]

INTRODUCTION = """\
# Environment variables

This page is made from the code, by `make reference`. A Space inherits the environment of `zerofarm up` without the
farm's own variables and secrets. Variables for one Space are `env` and `secrets` of its table in `farm.toml`:
[farm-toml.md](farm-toml.md#spacesname).
"""

_FOR_US = (
    "For commands, and for programs that call functions. *Or as a file*: a variable of this name with `_FILE` at its\n"
    "end names a file that holds the value."
)
_OF_OTHERS = "Variables of other programs that the farm reads too."
_COMPOSE = "In `.env` beside `docker-compose.yml`; `deploy/env.example` has them."
_INSIDE = "The farm sets them for processes that it starts."
_FOUND = (
    "Beside `SPACE_ID` (`zerofarm/NAME`), `SPACE_AUTHOR_NAME` and `SPACE_REPO_NAME`. The operator's and the Space's\n"
    f"own values win, but not over {', '.join(f'`{name}`' for name in ONE_SERVER)}."
)

OURS = re.compile(r"ZEROFARM(_[A-Z]+)+")
_SETTING = re.compile(r"(?:# )?([A-Z_]+)=")
_USED_BY_COMPOSE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


def environment() -> str:
    """The page."""
    ours = {str(each.value): each for each in sorted(of_code(), key=lambda each: str(each.value))}
    asked = {name: _told(each) for name, each in ours.items() if name not in INNER}
    inner = {name: _told(ours[name]) for name in INNER}
    given = sorted((DEFAULTS | PAGES | ONE_SERVER).items())
    parts = [
        *_part("The farm's own", _FOR_US, "meaning", asked),
        *_part("Of others", _OF_OTHERS, "meaning", OTHERS),
        *_part("For Compose", _COMPOSE, "meaning", _of_compose()),
        *_part(
            "Found by a Space", _FOUND, "value", {name: f"`{value}`" if value else "empty" for name, value in given}
        ),
        *_part("Inside the farm", _INSIDE, "meaning", inner),
    ]
    return "\n".join([INTRODUCTION, *parts]).rstrip()


def of_code() -> Iterator[Named]:
    """The constants of the code that name a variable of ours."""
    for path in modules():
        for each in named_in(path):
            if isinstance(each.value, str) and OURS.fullmatch(each.value):
                yield each


def modules() -> list[Path]:
    """The code that a farm runs."""
    return [path for root in ("spaces_client", "workers", "app") for path in sorted((ROOT / root).rglob("*.py"))]


def _told(named: Named) -> str:
    as_file = " Or as a file." if named.value in AS_FILES else ""
    return sentence(named.meaning) + as_file


def _of_compose() -> dict[str, str]:
    """The variables that the compose files take, with the comments of `deploy/env.example`."""
    files = [ROOT / "docker-compose.yml", *sorted((ROOT / "deploy").glob("docker-compose.*.yml"))]
    used = {name for file in files for name, _, _ in _USED_BY_COMPOSE.findall(file.read_text())}
    told = dict(_of_example((ROOT / "deploy" / "env.example").read_text()))
    return {name: told[name] for name in told if name in used}


def _of_example(text: str) -> Iterator[tuple[str, str]]:
    """Each setting with the comment above it."""
    for block in text.strip().split("\n\n"):
        *comment, last = block.splitlines()
        if setting := _SETTING.match(last):
            yield setting[1], " ".join(line.removeprefix("# ") for line in comment)


def _part(title: str, introduction: str, column: str, rows: Mapping[str, str]) -> list[str]:
    table = [f"| variable | {column} |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in rows.items())]
    return [f"## {title}", "", introduction, "", *table, ""]
