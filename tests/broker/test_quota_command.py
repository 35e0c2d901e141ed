"""`zerofarm quota` on a broker that has counted nobody."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from spaces_workers.cli import main


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param(
            "",
            "No visitor has been counted so far. Quotas are off unless farm.toml of the farm's pages has enabled = "
            "true in [quota].",
            id="off",
        ),
        pytest.param("[quota]\nenabled = true\n", "No visitor has been counted so far.", id="on"),
    ],
)
@pytest.mark.usefixtures("queue")
def test_a_farm_that_has_counted_nobody_says_so_without_a_table(
    settings: str,
    told: str,
    broker_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "farm.toml").write_text(settings)
    monkeypatch.setattr(sys, "argv", ["zerofarm", "quota", "--redis-url", broker_url, "--state-dir", str(tmp_path)])
    with patch.dict(os.environ), pytest.raises(SystemExit):  # it shares the file's name with what it starts
        main()
    assert " ".join(capsys.readouterr().out.split()) == told
