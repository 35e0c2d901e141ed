"""The combinations of packages that are tried, in this order, until uv finds compatible versions.

Everything is resolved together: the Space's own requirements, the Gradio that its README names, the farm's torch, and
the requirements of the farm's own code. If that fails, first the farm's code gets its packages from a separate folder,
then the farm's torch is given up, last the exact version of Gradio.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from spaces_workers.isolation.farm_packages import Farm
from spaces_workers.isolation.requirements import Requirements

Lines: TypeAlias = tuple[str, ...]

#: The extras that Hugging Face installs with Gradio.
EXTRAS = "oauth,mcp"

#: huggingface_hub 1 has no HfFolder, and no longer installs requests.
_HUB = "huggingface_hub<1"

#: Versions that break Gradio, and that it did not exclude before the version named here: schemas of pydantic 2.11 break
#: its client, and starlette 1.0 dropped the order of arguments that its pages use.
GRADIO_LIMITS: tuple[tuple[Version, Lines], ...] = (
    (Version("5.23"), (_HUB, "pydantic<2.11", "starlette<1")),
    (Version("5.42"), (_HUB,)),
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The requirements that are installed beside the Space's own, as lines for uv."""

    gradio: Lines
    torch: Lines
    needs: Lines  #: of the farm's own code; empty: that code imports the farm's versions, which are searched first

    @property
    def lines(self) -> Lines:
        """All requirements of this attempt."""
        return self.gradio + self.torch + self.needs


def attempts(requirements: Requirements, sdk_version: str, farm: Farm) -> Iterator[Attempt]:
    """The attempts, the best first."""
    torch = farm.version("torch")
    torches: list[Lines] = [(f"torch=={torch}",), ("torch",)] if torch else [()]
    needs: Lines = tuple(map(str, farm.needs()))
    for attempt in product(_gradios(requirements, sdk_version), torches, [needs, ()]):
        yield Attempt(*attempt)


def _gradios(requirements: Requirements, sdk_version: str) -> Iterator[Lines]:
    named = requirements.specifier("gradio")
    if sdk_version and allows(named, sdk_version):
        limits = _limits(sdk_version)
        for wish in (f"gradio[{EXTRAS}]=={sdk_version}", f"gradio=={sdk_version}"):
            if limits:
                yield (wish, *limits)
            yield (wish,)
    if named is not None and (limits := _limits(_version_meant(named))):
        yield limits
    if named is None:
        yield ("gradio",)
    yield ()


def _limits(gradio: str) -> Lines:
    """The limits that a version of Gradio should have declared; none for a version that cannot be parsed."""
    try:
        version = Version(gradio)
    except InvalidVersion:
        return ()
    return next((limits for before, limits in GRADIO_LIMITS if version < before), ())


def allows(named: SpecifierSet | None, sdk_version: str) -> bool:
    """Whether a Space's requirements allow the Gradio that its README names, as Hugging Face expects."""
    try:
        return named is None or named.contains(sdk_version, prereleases=True)
    except InvalidVersion:
        return False


def _version_meant(named: SpecifierSet) -> str:
    """The pinned version, the last Gradio 4 if 5 is excluded, else an empty string."""
    for each in named:
        if each.operator in ("==", "~="):
            return each.version.removesuffix(".*")
    return "4.44.1" if named.contains("4.44.1") and not named.contains("5.0.0") else ""
