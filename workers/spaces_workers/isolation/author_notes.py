"""Notes for the author of a Space: where its environment differs from the requested one."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spaces_workers.isolation import system_packages
from spaces_workers.isolation.environment_key import Wanted
from spaces_workers.isolation.farm_packages import Farm
from spaces_workers.isolation.install_attempts import EXTRAS, Attempt, allows


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of making an environment."""

    attempt: Attempt
    versions: Mapping[str, str]  #: of all its packages, by canonical name
    hidden: frozenset[str]  #: packages of the farm that do not fit


def notes_on(wanted: Wanted, farm: Farm, result: Result) -> list[str]:
    """The notes, a sentence each."""
    return [
        *_python(wanted),
        *_gradio(wanted, result),
        *_torch(farm, result),
        *_needs(farm, result),
        *_hidden(result),
        *_options(wanted),
        *system_packages.notes_on(wanted.system_packages),
    ]


def _python(wanted: Wanted) -> Iterator[str]:
    here = platform.python_version()
    if wanted.python_version and not f"{here}.".startswith(f"{wanted.python_version}."):
        yield f"README.md names Python {wanted.python_version}; it runs with the farm's {here}"


def _gradio(wanted: Wanted, result: Result) -> Iterator[str]:
    asked, used = wanted.sdk_version, result.versions.get("gradio", "")
    if not asked:
        return
    if not allows(wanted.requirements.specifier("gradio"), asked):
        if asked != used:
            yield f"README.md names Gradio {asked}, but requirements.txt decides: it runs with {used}"
    elif asked != used:
        major = asked.partition(".")[0] == used.partition(".")[0]
        doubt = "" if major else ", another major version, which may not run it"
        yield (
            f"Gradio {asked}, which README.md names, could not be installed: it runs with {used or 'none'}{doubt}. "
            f"To try again, remove the environment {wanted.key}"
        )
    elif not any(EXTRAS in line for line in result.attempt.gradio):
        yield f"Gradio's extras {EXTRAS} could not be installed: signing in and mcp_server=True may not work"


def _torch(farm: Farm, result: Result) -> Iterator[str]:
    farms, used = farm.version("torch"), result.versions.get("torch", "")
    if farms != used:
        yield f"it has torch {used or 'none'}: its requirements do not allow the farm's {farms}"


def _needs(farm: Farm, result: Result) -> Iterator[str]:
    if result.attempt.needs:
        return
    others = [
        f"{name} {package.version} instead of {result.versions[name]}"
        for name, package in sorted(farm.behind(farm.needs()).items())
        if result.versions.get(name, package.version) != package.version
    ]
    yield f"the farm's own code needs other versions than it asks for, so it gets {', '.join(others)}"


def _hidden(result: Result) -> Iterator[str]:
    if result.hidden:
        yield f"packages of the farm that conflict with its own are hidden from it: {', '.join(sorted(result.hidden))}"


def _options(wanted: Wanted) -> Iterator[str]:
    if ignored := wanted.requirements.ignored:
        yield f"options in requirements.txt that have no effect here: {', '.join(ignored)}"
