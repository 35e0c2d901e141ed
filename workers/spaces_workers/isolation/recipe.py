"""How an environment is made: the farm's packages claimed, the Space's installed, what still fits lent."""

from __future__ import annotations

import json
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from packaging.utils import canonicalize_name

from spaces.source import Source
from spaces_workers.isolation import farm_packages, startup, system_packages, uv
from spaces_workers.isolation.attempts import Attempt, attempts
from spaces_workers.isolation.environment import CONSTRAINTS, NOTES
from spaces_workers.isolation.farm_packages import CLAIMED, OURS, Farm
from spaces_workers.isolation.fault import IsolationError
from spaces_workers.isolation.front_matter import front_matter
from spaces_workers.isolation.requirements import Requirements, requirements_of

Log = Callable[[str], None]

#: Changes when environments made before are not good any more.
_EDITION = "1"

#: What is never installed, whoever asks for it: the farm's are in every environment.
_NEVER = ("spaces", OURS)

_OUR_MODULES = ("spaces", "spaces_workers", "spaces_app")

_PIP = '#!/bin/sh\nexec "$(dirname -- "$(realpath -- "$0")")/python" -m pip "$@"\n'


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a Space's environment is made from."""

    name: str
    root: Path
    requirements: Requirements
    sdk_version: str
    python_version: str
    system_packages: tuple[str, ...]
    key: str  #: changes when anything of it does, or the farm's packages


def wanted_by(source: Source, name: str) -> Wanted:
    """Read what a Space asks for."""
    card = {} if source.alone else front_matter(source.root)
    requirements = requirements_of(source)
    sdk_version = card.get("sdk_version", "") if card.get("sdk", "gradio") == "gradio" else ""
    python_version = card.get("python_version", "")
    packages = system_packages.asked_for(source)
    parts = [_EDITION, name, sys.version, sys.prefix, farm_packages.fingerprint(), str(_our_folders())]
    parts += [str(requirements), sdk_version, python_version, str(packages)]
    if requirements.names_local_files:
        parts += [str(source.root), source.digest()]
    key = sha256("\0".join(parts).encode()).hexdigest()[:16]
    return Wanted(name, source.root, requirements, sdk_version, python_version, packages, key)


def make(wanted: Wanted, staging: Path, log: Log) -> None:
    """Lay an environment into an empty folder. Raises IsolationError."""
    log(f"{wanted.name}: making its environment")
    making = _Making(wanted, staging, log)
    making.make()


class _Making:
    def __init__(self, wanted: Wanted, root: Path, log: Log) -> None:
        self._wanted = wanted
        self._root = root
        self._log = log
        self._farm = Farm.of_this_process()
        self._packages = root / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    def make(self) -> None:
        self._make_venv()
        self._write_inputs()
        for package in self._farm.packages.values():
            package.claim(self._packages)
        attempt = self._install()
        hidden = self._withdraw_unfit()
        self._lend(attempt)
        self._write_startup()
        notes = [note for note in self._notes(attempt, hidden) if note]
        (self._root / NOTES).write_text(json.dumps(notes))

    # --- the steps

    def _make_venv(self) -> None:
        outcome = self._uv("venv", "--quiet", "--relocatable", "--allow-existing", "--no-project",
                           "--python", sys.executable, str(self._root))  # fmt: skip
        if not outcome.succeeded:
            raise IsolationError(
                f"no virtual environment can be made for Space {self._wanted.name!r}: {outcome.reason}"
            )

    def _write_inputs(self) -> None:
        inputs = self._root / "inputs"
        inputs.mkdir()
        (inputs / "requirements.txt").write_text(self._wanted.requirements.text)
        (inputs / "constraints.txt").write_text("".join(f"{line}\n" for line in self._wanted.requirements.constraints))
        (inputs / "never.txt").write_text("".join(f"{name}\n" for name in _NEVER))
        needs = "".join(f"{need.name}{need.specifier}\n" for need in self._farm.needs())
        (self._root / CONSTRAINTS).write_text(needs)

    def _install(self) -> Attempt:
        """Climb down the ladder of attempts until one succeeds; returns it."""
        failed_gradio: str | None = None
        outcome: uv.Outcome | None = None
        for attempt in attempts(self._wanted.requirements, self._wanted.sdk_version, self._farm):
            if attempt.gradio == failed_gradio:
                continue
            first = outcome is None
            outcome = self._try(attempt)
            if outcome.succeeded:
                return attempt
            if first:
                self._refuse_what_cannot_be_had()
            if outcome.failed_to_build:
                break
            if not outcome.unsolvable:  # the network, most likely: only fewer wishes can help
                failed_gradio = attempt.gradio
        raise self._error(outcome)

    def _refuse_what_cannot_be_had(self) -> None:
        """Raise at once, and in the clearest words, when the Space's own requirements alone cannot be resolved."""
        outcome = self._uv_install("--dry-run")
        if not outcome.succeeded:
            raise self._error(outcome)

    def _withdraw_unfit(self) -> set[str]:
        """Take back the claims to packages of the farm that need another version than the Space has."""
        unfit = self._farm.unfit(self._versions())
        for claim in self._claims():
            if canonicalize_name(claim.name.partition("-")[0]) in unfit:
                shutil.rmtree(claim)
        return unfit

    def _lend(self, attempt: Attempt) -> None:
        ours, farm = self._root / "ours", self._root / "farm"
        for folder in (ours, farm):
            folder.mkdir()
        for module, path in _our_folders().items():
            (ours / module).symlink_to(path)
        if not attempt.needs:
            for package in self._farm.behind(self._farm.needs()).values():
                package.lend(ours)
        claimed = {canonicalize_name(claim.name.partition("-")[0]) for claim in self._claims()}
        for name, package in self._farm.packages.items():
            if name in claimed and name != OURS:
                package.lend(farm)

    def _write_startup(self) -> None:
        shutil.copyfile(startup.__file__, self._packages / "_zerofarm_environment.py")
        (self._packages / "_zerofarm_environment.pth").write_text("import _zerofarm_environment\n")
        for name in ("pip", "pip3"):
            script = self._root / "bin" / name
            if not script.exists():
                script.write_text(_PIP)
                script.chmod(0o755)

    # --- what the author should know

    def _notes(self, attempt: Attempt, hidden: set[str]) -> Iterator[str]:
        wanted, here = self._wanted, platform.python_version()
        if wanted.python_version and not f"{here}.".startswith(f"{wanted.python_version}."):
            yield f"README.md names Python {wanted.python_version}; it runs with the farm's {here}"
        yield self._note_on_gradio(attempt)
        yield self._note_on_torch()
        yield self._note_on_our_needs(attempt)
        if hidden:
            yield f"packages of the farm that do not go with its requirements are hidden: {', '.join(sorted(hidden))}"
        if wanted.requirements.ignored:
            yield f"options in requirements.txt without effect here: {', '.join(wanted.requirements.ignored)}"
        yield system_packages.note_on(wanted.system_packages)

    def _note_on_gradio(self, attempt: Attempt) -> str:
        asked, used = self._wanted.sdk_version, self._versions().get("gradio", "")
        if not asked or asked == used:
            return ""
        if self._wanted.requirements.name("gradio"):
            return f"README.md names Gradio {asked}, requirements.txt decides: it runs with {used}"
        warning = f"Gradio {asked}, which README.md names, could not be had: it runs with {used or 'none'}"
        if asked.partition(".")[0] != used.partition(".")[0]:
            warning += ", another major version, which may not run it"
        return f"{warning}. To try again, remove {self._root.with_name(self._wanted.key)}"

    def _note_on_torch(self) -> str:
        farms, used = self._farm.version("torch"), self._versions().get("torch", "")
        if not farms or farms == used:
            return ""
        return f"it has torch {used} of its own: its requirements do not allow the farm's {farms}"

    def _note_on_our_needs(self, attempt: Attempt) -> str:
        if attempt.needs:
            return ""
        here = self._versions()
        others = [
            f"{name} {package.version} instead of {here[name]}"
            for name, package in self._farm.behind(self._farm.needs()).items()
            if here.get(name, package.version) != package.version
        ]
        return f"the farm's own code needs other versions than it asks for; it gets {', '.join(sorted(others))}"

    # --- uv

    def _try(self, attempt: Attempt) -> uv.Outcome:
        settings = {}
        if attempt.torch == "torch" and self._farm.version("torch").endswith("+cpu"):
            settings["UV_TORCH_BACKEND"] = "cpu"
        return self._uv_install(*attempt.requirements, **settings)

    def _uv_install(self, *more: str, **settings: str) -> uv.Outcome:
        inputs = self._root / "inputs"
        options = ["--prerelease", "allow"] if self._wanted.requirements.prereleases else []
        return self._uv(
            "pip", "install", "--python", str(self._root / "bin" / "python"), *options,
            "--requirements", str(inputs / "requirements.txt"), "--constraints", str(inputs / "constraints.txt"),
            "--excludes", str(inputs / "never.txt"), *more, **settings,
        )  # fmt: skip

    def _uv(self, *arguments: str, **settings: str) -> uv.Outcome:
        return uv.run(arguments, self._wanted.root, lambda line: self._log(f"{self._wanted.name}: {line}"), **settings)

    def _error(self, outcome: uv.Outcome | None) -> IsolationError:
        assert outcome is not None
        guilty = [str(each) for each in self._wanted.requirements.named() if _mentions(outcome.reason, each.name)]
        what = f" ({', '.join(guilty)})" if guilty else ""
        return IsolationError(
            f"the requirements of Space {self._wanted.name!r} cannot be installed{what}:\n{outcome.reason.strip()}"
        )

    # --- what is there

    def _versions(self) -> dict[str, str]:
        found = distributions(path=[str(self._packages)])
        return {canonicalize_name(each.metadata["Name"]): each.version for each in found}

    def _claims(self) -> list[Path]:
        infos = self._packages.glob("*.dist-info/INSTALLER")
        return [info.parent for info in infos if info.read_text().strip() == CLAIMED]


def _our_folders() -> dict[str, str]:
    """Our packages and where they are, installed or in their sources."""
    specs = {name: find_spec(name) for name in _OUR_MODULES}
    return {name: spec.submodule_search_locations[0] for name, spec in specs.items()
            if spec is not None and spec.submodule_search_locations}  # fmt: skip


def _mentions(text: str, name: str) -> bool:
    spelled = re.escape(canonicalize_name(name)).replace(r"\-", "[-_.]+")
    return re.search(rf"(?<![\w.-]){spelled}(?![\w-])", text, re.IGNORECASE) is not None
