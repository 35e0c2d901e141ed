"""`size` of a Space in `farm.toml`, at a real page."""

from __future__ import annotations

from pathlib import Path

from tests.harness import configured_farm


def test_functions_that_name_no_size_are_registered_with_that_of_their_space(tmp_path: Path) -> None:
    with configured_farm(tmp_path, "[spaces.studio]\nsize = 'xlarge'\n") as farm:
        farm.start_gateway("studio")
        farm.start_web("studio")
        assert {function.size for function in farm.registry.find("studio").functions} == {"xlarge"}
