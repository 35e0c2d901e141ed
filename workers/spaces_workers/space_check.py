"""What `zerofarm doctor SPACE` finds of one Space: that its own processes can `import spaces`, and find ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spaces.in_effect import namesakes
from spaces.space import source_at
from spaces_workers import spaces_package
from spaces_workers.finding import Finding
from spaces_workers.isolation import existing
from spaces_workers.served_space import ServedSpace


def examine_space(space: ServedSpace, state_dir: Path) -> Iterator[Finding]:
    """Look at a Space; its environment is used if it is there, not made. Raises nothing."""
    for path in namesakes(space.app_file.parent):
        message = f"{path} cannot be imported: `import spaces` finds ZeroFarm's package"
        yield Finding(f"Space {space.name}", "warning", message, f"Rename {path.name}")
    try:
        yield _in_its_environment(space, state_dir) if space.asks_for_packages else _in_the_farm_s(space)
    except OSError as error:
        yield Finding(f"Space {space.name}", "problem", f"it cannot be read: {error}", "Let this user read its files")


def _in_its_environment(space: ServedSpace, state_dir: Path) -> Finding:
    subject = f"Space {space.name}"
    own = existing(source_at(space.app_file), state_dir, name=space.name)
    if own is None:
        return Finding(subject, "ok", "its environment is made when it starts, with ours in it")
    root = own.python.parent.parent
    remedy = f"Remove {root}: the next start of the Space makes another"
    return spaces_package.imported(subject, own.python, own.variables, remedy)


def _in_the_farm_s(space: ServedSpace) -> Finding:
    return spaces_package.imported(f"Space {space.name}")
