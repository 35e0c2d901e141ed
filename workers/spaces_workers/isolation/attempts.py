"""What is tried, in this order, until uv finds versions that go together.

Everything that the Space runs with is resolved at once: its own requirements, the Gradio that its README names, the
farm's torch, and what the farm's own code needs. Where that cannot be, first the farm's code keeps its packages to
itself, then the farm's torch is given up, last the exact Gradio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from spaces_workers.isolation.farm_packages import Farm
from spaces_workers.isolation.requirements import Requirements


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is installed beside the Space's own requirements."""

    gradio: str
    torch: str
    needs: tuple[str, ...]  #: of the farm's own code; empty: it keeps to the farm's versions, which come before all

    @property
    def requirements(self) -> tuple[str, ...]:
        """Lines for uv."""
        return tuple(line for line in (self.gradio, self.torch, *self.needs) if line)


def attempts(requirements: Requirements, sdk_version: str, farm: Farm) -> Iterator[Attempt]:
    """The attempts, the best first."""
    torch = farm.version("torch")
    needs = tuple(map(str, farm.needs()))
    for gradio, wanted_torch, wanted_needs in product(
        _gradios(requirements, sdk_version), [f"torch=={torch}", "torch"] if torch else [""], [needs, ()]
    ):
        yield Attempt(gradio, wanted_torch, wanted_needs)


def _gradios(requirements: Requirements, sdk_version: str) -> Sequence[str]:
    if requirements.name("gradio"):
        return [""]
    if not sdk_version:
        return ["gradio", ""]
    return [f"gradio[oauth,mcp]=={sdk_version}", f"gradio=={sdk_version}", "gradio", ""]
