"""The references of commands, `farm.toml`, variables and metrics, made from the code: `make reference` writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.reference.commands import commands
from docs.reference.environment import environment
from docs.reference.farm_toml import farm_toml
from spaces_app.home.metrics.__main__ import reference as metrics

DOCS = Path(__file__).parents[1]

#: The function that makes the text of each file.
PAGES: Mapping[Path, Callable[[], str]] = {
    DOCS / "reference" / "commands.md": commands,
    DOCS / "reference" / "farm-toml.md": farm_toml,
    DOCS / "reference" / "environment.md": environment,
    DOCS / "metrics.md": metrics,
}
