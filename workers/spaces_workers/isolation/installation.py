"""Installs a Space's requirements over the farm's packages, which its environment claims to have."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from packaging.utils import canonicalize_name

from spaces_workers.isolation import uv
from spaces_workers.isolation.environment_key import Wanted
from spaces_workers.isolation.errors import IsolationError
from spaces_workers.isolation.farm_packages import OURS, Farm
from spaces_workers.isolation.install_attempts import Attempt, attempts

#: Packages that are never installed: every environment has the farm's.
NEVER = ("spaces", OURS)


class Installation:
    """Runs uv for an environment that is being made."""

    def __init__(self, wanted: Wanted, root: Path, farm: Farm, log: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._python = root / "bin" / "python"
        self._inputs = root / "inputs"
        self._farm = farm
        self._log = log

    def run(self) -> Attempt:
        """Return the first attempt that succeeds. Raises IsolationError."""
        self._write_inputs()
        hopeless: tuple[str, ...] | None = None
        outcome: uv.Outcome | None = None
        for attempt in attempts(self._wanted.requirements, self._wanted.sdk_version, self._farm):
            if attempt.gradio == hopeless:
                continue
            is_first = outcome is None
            outcome = self._try(attempt)
            if outcome.succeeded:
                return attempt
            if is_first:
                self._refuse_what_cannot_be_had()
            if outcome.failed_to_build:
                break
            if not outcome.unsolvable:  # most likely the network: only an attempt with another Gradio may succeed
                hopeless = attempt.gradio
        assert outcome is not None
        raise self._error(outcome)

    def _refuse_what_cannot_be_had(self) -> None:
        """Raise at once, with the clearest message, if the Space's own requirements alone cannot be met."""
        if not self._wanted.requirements.lines:
            return
        outcome = self._install("--dry-run", log=_tell_nobody)
        if not outcome.succeeded:
            raise self._error(outcome)

    def _try(self, attempt: Attempt) -> uv.Outcome:
        settings = {}
        if attempt.torch == ("torch",) and self._farm.version("torch").endswith("+cpu"):
            settings["UV_TORCH_BACKEND"] = "cpu"
        return self._install(*attempt.lines, log=self._tell, **settings)

    def _install(self, *more: str, log: Callable[[str], None], **settings: str) -> uv.Outcome:
        files = {"--requirements": "requirements.txt", "--constraints": "constraints.txt", "--excludes": "never.txt"}
        arguments = ["pip", "install", "--python", str(self._python)]
        for option, name in files.items():
            if (self._inputs / name).exists():
                arguments += [option, str(self._inputs / name)]
        if self._wanted.requirements.prereleases:
            arguments += ["--prerelease", "allow"]
        # Runs in the Space's folder: pip resolves paths in a requirements file relative to it.
        return uv.run([*arguments, *more], self._wanted.root, log, **settings)

    def _tell(self, line: str) -> None:
        self._log(f"{self._wanted.name}: {line}")

    def _write_inputs(self) -> None:
        requirements = self._wanted.requirements
        contents = {
            "requirements.txt": requirements.lines,
            "constraints.txt": requirements.constraints,
            "never.txt": NEVER,
        }
        self._inputs.mkdir()
        for name, lines in contents.items():
            if lines:
                (self._inputs / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def _error(self, outcome: uv.Outcome) -> IsolationError:
        named = self._wanted.requirements.named()
        guilty = [str(each) for each in named if _mentions(outcome.reason, each.name)]
        which = f" ({', '.join(guilty)})" if guilty else ""
        return IsolationError(
            f"the requirements of Space {self._wanted.name!r} cannot be installed{which}:\n{outcome.reason.strip()}"
        )


def _tell_nobody(line: str) -> None:
    del line


def _mentions(text: str, name: str) -> bool:
    spelled = re.escape(canonicalize_name(name)).replace(r"\-", "[-_.]+")
    return re.search(rf"(?<![\w.-]){spelled}(?![\w-])", text, re.IGNORECASE) is not None
