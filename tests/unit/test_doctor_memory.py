"""The doctor compares what Spaces need with what the host has."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from spaces_workers.doctor.host_memory import host_memory
from spaces_workers.gpu.devices import GIB
from spaces_workers.setup.served_space import ServedSpace, served_spaces


def spaces(folder: Path, count: int, requirements: str | None = None) -> list[ServedSpace]:
    made = [folder / f"space-{number}" for number in range(count)]
    for each in made:
        each.mkdir(parents=True)
        (each / "app.py").touch()
        if requirements is not None:
            (each / "requirements.txt").write_text(requirements)
    return served_spaces(made)


@pytest.mark.parametrize(
    ("count", "requirements", "available", "status"),
    [
        (10, None, 4, "ok"),
        (40, None, 4, "warning"),
        (10, "einops", 4, "warning"),
        (10, "einops", 16, "ok"),
        (1, None, 0.5, "warning"),
    ],
)
def test_a_host_that_cannot_hold_all_spaces_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, requirements: str | None, available: float, status: str
) -> None:
    memory = SimpleNamespace(available=int(available * GIB))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    finding = host_memory(spaces(tmp_path, count, requirements))
    assert finding.status == status
    assert finding.message.startswith("1 Space needs about" if count == 1 else f"{count} Spaces need about")
    assert ("--no-isolate" in finding.remedy) == (status == "warning" and requirements is not None)
