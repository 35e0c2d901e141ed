"""`@spaces.GPU` beside the official package's own: equal where we claim it, and different only on purpose."""

from __future__ import annotations

from typing import Any

import pytest

from tests.official.conftest import Observe

QUEUE_WARNING = "UserWarning: `enable_queue` parameter is now ignored and always set to `True`"

#: Outside of a farm we say nothing at all: the decorator has no effect there.
ALONE: dict[str, tuple[Any, Any]] = {"enable_queue": ([QUEUE_WARNING], [])}

#: What the official package does on ZeroGPU, and what we do in a farm instead.
IN_FARM: dict[str, tuple[Any, Any]] = {
    "imported": (["gradio"], []),
    "unknown option": ([], ["UserWarning: @spaces.GPU has no option 'timeout'; it is ignored"]),
    "unknown size": ("fine", "DefinitionError"),
    "no function": ("fine", "DefinitionError"),
    "kind coroutine": ("NotImplementedError", "fine"),
    "duration fraction": (12, 12.7),
    "duration day": (0, 86400),
    "duration negative": (86395, "DefinitionError"),
    "duration text": ("TypeError", "DefinitionError"),
}


@pytest.mark.parametrize(("in_farm", "differences"), [(False, ALONE), (True, IN_FARM)], ids=["alone", "in a farm"])
def test_all_else_is_as_in_the_official_package(
    of_official: Observe, of_ours: Observe, in_farm: bool, differences: dict[str, tuple[Any, Any]]
) -> None:
    official, ours = of_official(in_farm), of_ours(in_farm)
    assert {name: ours[name] for name in ours.keys() - differences.keys()} == {
        name: official[name] for name in official.keys() - differences.keys()
    }


@pytest.mark.parametrize(("in_farm", "name"), [*((False, name) for name in ALONE), *((True, name) for name in IN_FARM)])
def test_a_difference_is_as_we_tell_it(of_official: Observe, of_ours: Observe, in_farm: bool, name: str) -> None:
    assert (of_official(in_farm)[name], of_ours(in_farm)[name]) == (IN_FARM if in_farm else ALONE)[name]
