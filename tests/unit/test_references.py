"""What lives at module level goes by name, and is the same object on the other side."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spaces.errors import EncodingError
from spaces.farm.values.codec import Codec
from spaces.farm.values.references import Reference, References, may_be_referred_to, space_modules

KEY = b"k" * 32


class Tokenizer:
    def __init__(self) -> None:
        self.lock = threading.Lock()  # never by value


class Pipeline:
    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        self.tokenizer = tokenizer or Tokenizer()
        self.steps = 20

    def generate(self) -> int:
        return self.steps


def named_function(*args: object, **kwargs: object) -> None:
    pass


@pytest.fixture
def space() -> Iterator[ModuleType]:
    module = ModuleType("a_space")
    module.pipe = Pipeline()  # type: ignore[attr-defined]
    module.models = {"small": Pipeline(), 2: Tokenizer()}  # type: ignore[attr-defined]
    module.choices = [Tokenizer(), Tokenizer()]  # type: ignore[attr-defined]
    module.callback = lambda: "called"  # type: ignore[attr-defined]
    sys.modules["a_space"] = module
    yield module
    del sys.modules["a_space"]


@pytest.fixture
def codec(space: ModuleType) -> Codec:
    return Codec(KEY, References(lambda: [space]))


def round_trip(value: object, codec: Codec) -> Any:  # any: whatever was sent
    encoded = codec.encode(value)
    return codec.decode(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))


PLACES: dict[str, Callable[[Any], object]] = {
    "a global": lambda space: space.pipe,
    "an attribute": lambda space: space.pipe.tokenizer,
    "an item": lambda space: space.models["small"],
    "an item under a number": lambda space: space.models[2],
    "an attribute of an item": lambda space: space.models["small"].tokenizer,
    "an item of a list": lambda space: space.choices[1],
    "a lambda": lambda space: space.callback,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_an_object_of_the_space_is_the_same_object_afterwards(
    place: Callable[[Any], object], space: ModuleType, codec: Codec
) -> None:
    value = place(space)
    assert round_trip(value, codec) is value
    assert round_trip({"in": [(value,)]}, codec)["in"][0][0] is value


def test_objects_of_the_space_inside_pickles_go_by_name(space: Any, codec: Codec) -> None:
    partial = round_trip(functools.partial(named_function, space.pipe, k={"t": space.pipe.tokenizer}), codec)
    assert partial.args[0] is space.pipe
    assert partial.keywords["k"]["t"] is space.pipe.tokenizer
    method = round_trip(space.pipe.generate, codec)
    assert method.__self__ is space.pipe


def test_references_need_no_key(space: Any) -> None:
    codec = Codec(references=References(lambda: [space]))
    assert round_trip([space.pipe, space.models], codec)[0] is space.pipe


def test_a_dict_of_models_is_a_new_dict_of_the_same_models(space: Any, codec: Codec) -> None:
    result = round_trip(space.models, codec)
    assert result is not space.models
    assert result["small"] is space.models["small"]


def test_submodules_of_a_torch_model_go_by_name(space: Any, codec: Codec) -> None:
    torch: Any = pytest.importorskip("torch")  # any: torch is untyped here
    space.model = torch.nn.Sequential(torch.nn.Linear(5000, 5000))
    assert round_trip(space.model, codec) is space.model
    assert round_trip(space.model[0], codec) is space.model[0]


def test_plain_data_at_module_level_goes_by_value(space: Any, codec: Codec) -> None:
    space.settings, space.mask, space.here = {"steps": [1, 2]}, np.zeros(3), Path("/tmp")
    result = round_trip((space.settings, space.mask, space.here), codec)
    assert result[0] == space.settings
    assert result[0] is not space.settings
    assert result[1] is not space.mask


@pytest.mark.parametrize("value", [1, "text", None, [1], Path(), np.zeros(1), Pipeline, named_function, len, threading])
def test_what_is_data_or_has_a_name_of_its_own_is_never_referred_to(value: object) -> None:
    assert not may_be_referred_to(value)


def test_an_object_that_was_assigned_later_is_found(space: Any, codec: Codec) -> None:
    round_trip(space.pipe, codec)
    space.late = Tokenizer()
    assert round_trip(space.late, codec) is space.late


def test_an_object_that_was_replaced_is_not_confused_with_its_successor(space: Any, codec: Codec) -> None:
    old = space.pipe.tokenizer
    round_trip(old, codec)
    space.pipe.tokenizer = Tokenizer()
    with pytest.raises(EncodingError, match="lock"):
        codec.encode(old)
    assert round_trip(space.pipe.tokenizer, codec) is space.pipe.tokenizer


def test_looking_up_a_known_object_does_not_look_around_again(space: Any) -> None:
    asked = []
    codec = Codec(KEY, References(lambda: asked.append(1) or [space]))  # type: ignore[func-returns-value]
    for _ in range(10):
        codec.encode([space.pipe, space.models["small"]])
    assert len(asked) == 1


def test_many_unknown_objects_are_looked_for_once_per_value(space: Any) -> None:
    asked = []
    codec = Codec(KEY, References(lambda: asked.append(1) or [space]))  # type: ignore[func-returns-value]
    codec.encode([complex, *(Exception(number) for number in range(20))])
    assert len(asked) == 1


def test_an_object_that_is_gone_is_named(space: Any, codec: Codec) -> None:
    encoded = codec.encode(space.models["small"].tokenizer)
    del space.models["small"]
    with pytest.raises(EncodingError, match=r"a_space\.models\['small'\]\.tokenizer does not exist in this process"):
        codec.decode(encoded.body)


def test_an_object_of_another_type_is_refused(space: Any, codec: Codec) -> None:
    encoded = codec.encode(space.pipe)
    space.pipe = Tokenizer()
    with pytest.raises(EncodingError, match=rf"a_space\.pipe should be of type {__name__}\.Pipeline, got .*Tokenizer"):
        codec.decode(encoded.body)


def test_a_forged_reference_reaches_nothing_but_objects_of_the_space(space: Any) -> None:
    space.system = sys
    references = References(lambda: [space])
    assert references.resolve(Reference("a_space", "pipe", (), f"{__name__}.Pipeline")) is space.pipe
    for forged in (
        Reference("os", "system", (), "builtins.builtin_function_or_method"),
        Reference("a_space", "system", (), "builtins.module"),
        Reference("a_space", "system", (("attribute", "modules"),), "builtins.dict"),
        Reference("a_space", "pipe", (("attribute", "__class__"),), "builtins.type"),
        Reference("a_space", "pipe", (("item", 0),), "builtins.int"),
        Reference("a_space", "choices", (("item", "x"),), "builtins.int"),
    ):
        with pytest.raises(EncodingError):
            references.resolve(forged)


def test_finding_an_object_runs_no_property_of_the_space(space: Any) -> None:
    class Curious:
        @property
        def weights(self) -> None:
            raise AssertionError("the property was read")

        def __getattr__(self, name: str) -> None:
            raise AssertionError(f"{name} was asked for")

    space.curious = Curious()
    assert round_trip(space.curious, Codec(KEY, References(lambda: [space]))) is space.curious


def test_a_long_list_is_data(space: Any) -> None:
    space.rows = [Exception(number) for number in range(100_000)]
    space.few = space.rows[:10]
    references = References(lambda: [space])
    find = references.finder()
    assert find(space.rows[70_000]) is None
    assert str(find(space.rows[5])) == "a_space.few[5]"


def test_the_modules_of_a_space_are_its_script_and_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "space"
    modules = space_modules(inside)
    for name, file in {
        "helpers": inside / "helpers.py",
        "deep": inside / "pack" / "__init__.py",
        "installed": inside / ".venv/lib/site-packages/installed.py",
        "neighbour": tmp_path / "space_two" / "x.py",
    }.items():
        module = ModuleType(name)
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, name, module)
    assert {module.__name__ for module in modules()} == {"__main__", "helpers", "deep"}
    assert next(iter(modules())) is sys.modules["__main__"]
