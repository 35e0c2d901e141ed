"""Objects that are known by their class: those that are alone of it and hold a model."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from spaces.farm.values.lone_models import lone_models

torch = pytest.importorskip("torch")

SCRIPT = """
import torch

class Studio:
    def __init__(self):
        self.parts = {"model": torch.nn.Linear(1, 1)}

class Settings:
    steps = 3

class Net(torch.nn.Module):
    pass
"""


@pytest.fixture
def script() -> Any:  # Any: a module with these classes
    made = ModuleType("studios")
    exec(SCRIPT, vars(made))
    return made


def known(script: ModuleType) -> dict[str, object]:
    return {name: value for name, value in vars(lone_models([script])).items() if not name.startswith("__")}


def test_an_object_that_is_alone_of_its_class_and_holds_a_model_is_known(script: Any) -> None:
    studio, net, settings = script.Studio(), script.Net(), script.Settings()
    assert known(script) == {"studios.Studio": studio, "studios.Net": net}
    assert settings.steps == 3


def test_one_of_two_is_not_known_until_the_other_is_gone(script: Any) -> None:
    first, second = script.Studio(), script.Studio()
    assert known(script) == {}
    second.itself = second
    del second
    assert known(script) == {"studios.Studio": first}
