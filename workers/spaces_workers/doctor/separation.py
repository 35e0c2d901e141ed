"""Says which level separates the Spaces of a farm on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from spaces.farm.queue import settings
from spaces.farm.queue.rules import IsolationRules
from spaces_workers.doctor.finding import Finding
from spaces_workers.sandbox.description import in_words
from spaces_workers.sandbox.level import LevelFault, chosen, shortcoming


def separation(state_dir: Path) -> Finding:
    """The level that `zerofarm up` would choose, and why it is not the best."""
    try:
        level = chosen(_rules(state_dir))
    except LevelFault as fault:
        return Finding("separation", "problem", str(fault), "docs/isolation.md has the levels and their needs")
    if not (why := shortcoming(level)):
        return Finding("separation", "ok", f"{in_words(level)}, in `zerofarm up`; `zerofarm web` separates nothing")
    remedy = "Run zerofarm as root on Linux 5.12 or newer, and demand no other level: docs/isolation.md"
    return Finding("separation", "warning", f"{in_words(level)}. {why}. `zerofarm web` separates nothing", remedy)


def _rules(state_dir: Path) -> IsolationRules:
    path = Path(os.environ.get(settings.VARIABLE) or state_dir / settings.FILE)
    try:
        return settings.read(path).isolation
    except settings.SettingsFault:
        return IsolationRules()  # there is no file, or another finding tells what is wrong with it
