"""Questions to a package named `spaces`, run as a script with the official one on the path, or with ours.

Prints a JSON object with the observation for each question; it does not judge them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

IN_FARM = sys.argv[1] == "farm"
if IN_FARM:
    sys.modules["torch"] = None  # type: ignore[assignment] # the official package patches a torch with CUDA, or none

import spaces  # noqa: E402 - after what must be so before it

IMPORTED = [name for name in ("torch", "gradio") if sys.modules.get(name)]
OFFICIAL = not hasattr(spaces, "Farm")

GPU: Any = spaces.GPU  # Any: forms that the types refuse are asked about, too


def plain(value: int = 3, *, scale: float = 1.0) -> float:
    """Doc."""
    return value * scale


def generator(value: int) -> Iterator[int]:
    yield value


async def coroutine(value: int) -> int:
    return value


async def async_generator(value: int) -> AsyncIterator[int]:
    yield value


class Model:
    def method(self, value: int) -> int:
        return value

    def __call__(self, value: int) -> int:
        return value


FORMS: dict[str, Callable[[Any], Any]] = {
    "bare": GPU,
    "called": lambda f: GPU()(f),
    "duration": lambda f: GPU(duration=5)(f),
    "timedelta": lambda f: GPU(duration=timedelta(minutes=2))(f),
    "callable duration": lambda f: GPU(duration=lambda *_: 5)(f),
    "no duration": lambda f: GPU(duration=None)(f),
    "size": lambda f: GPU(size="xlarge")(f),
    "positional duration": lambda f: GPU(45)(f),
    "positional size": lambda f: GPU("xlarge")(f),
}

KINDS: dict[str, Callable[[], Any]] = {
    "plain": lambda: plain,
    "generator": lambda: generator,
    "coroutine": lambda: coroutine,
    "async generator": lambda: async_generator,
    "lambda": lambda: lambda value: value,
    "partial": lambda: functools.partial(plain, 3),
    "bound method": lambda: Model().method,
    "callable object": lambda: Model(),
}


def fresh() -> Callable[..., Any]:
    """A function that was never decorated."""
    return lambda value: value


def outcome(act: Callable[[], Any]) -> str:
    """What comes of it: "fine", or the name of the error."""
    try:
        act()
    except Exception as error:
        return type(error).__name__
    return "fine"


def decorate(kind: Callable[[], Any]) -> None:
    GPU(kind())


def warned(**options: Any) -> list[str]:
    """The warnings about options."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        GPU(**options)(fresh())
    return [f"{each.category.__name__}: {each.message}" for each in caught]


def look(function: Callable[..., Any]) -> dict[str, Any]:
    """The attributes of a decorated function."""
    decorated = GPU(function)
    return {
        "name": decorated.__name__,
        "qualname": decorated.__qualname__,
        "module": decorated.__module__,
        "doc": decorated.__doc__,
        "signature": str(inspect.signature(decorated)),
        "wraps": inspect.unwrap(decorated) is function,
        "zerogpu": getattr(decorated, "zerogpu", "absent"),
        "generator": inspect.isgeneratorfunction(decorated),
    }


def twice() -> list[bool]:
    function = fresh()
    decorated = GPU(duration=5)(function)
    return [GPU(function) is decorated, GPU(decorated) is decorated, GPU(duration=9)(decorated) is decorated]


def auto_wrap() -> list[bool]:
    function = fresh()
    seen = [spaces.gradio_auto_wrap(function) is function]
    spaces.enable_gradio_auto_wrap()
    seen += [spaces.gradio_auto_wrap(function) is GPU(function), spaces.gradio_auto_wrap(None) is None]
    spaces.disable_gradio_auto_wrap()
    return [*seen, spaces.gradio_auto_wrap(function) is function]


def seconds_asked(duration: Any) -> float | str:
    """The seconds that a call asks for, or the name of the error that it is refused with."""
    asked: list[float] = []
    try:
        (_asked_of_official if OFFICIAL else _asked_of_ours)(GPU(duration=duration)(fresh()), asked)
    except Exception as error:
        return asked[0] if asked else type(error).__name__
    return asked[0]


def _asked_of_official(function: Callable[[int], Any], asked: list[float]) -> None:
    from spaces.zero import client  # type: ignore[attr-defined,unused-ignore] # of the other package

    def schedule(*, duration: timedelta | None, gpu_size: str | None, **_: Any) -> None:
        asked.append(client.get_duration_seconds(duration, gpu_size))
        raise InterruptedError

    client.schedule = schedule  # type: ignore[attr-defined] # there it exists
    function(7)


def _asked_of_ours(function: Callable[[int], Any], asked: list[float]) -> None:
    from spaces.testing import InMemoryFarm

    with InMemoryFarm() as farm:
        function(7)
        asked += [task.time_limit for task in farm.tasks]


DURATIONS = {
    "none": None,
    "whole": 45,
    "fraction": 12.7,
    "timedelta": timedelta(minutes=2),
    "day": timedelta(days=1),
    "negative": -5,
    "text": "30",
    "of the argument": lambda value: value + 1,
    "of the wrong arguments": lambda: 1,
    "that raises": lambda value: {}[value],
}


def observations() -> dict[str, Any]:
    """Everything, as JSON."""
    config: Any = importlib.import_module("spaces.config")
    private: Any = __import__("spaces.zero").zero
    seen: dict[str, Any] = {
        "imported": IMPORTED,
        "public names": sorted(name for name in OFFICIAL_NAMES if hasattr(spaces, name)),
        "ahead-of-time names": [callable(getattr(spaces, name)) for name in OFFICIAL_NAMES if name.startswith("aoti")],
        "Config": {name: getattr(config.Config, name) for name in ("zero_gpu", "gradio_auto_wrap", "zero_gpu_v2")},
        "startup": callable(getattr(private, "startup", None)),
        "default size": private.default_gpu_size(),
        "twice": twice(),
        "auto wrap": auto_wrap(),
        "enable_queue": warned(enable_queue=True),
        "unknown option": warned(timeout=3),
        "unknown size": outcome(lambda: GPU(size="medium")(fresh())),
        "no function": outcome(lambda: GPU()(5)),
    }
    seen |= {f"form {name}": GPU(function) is function for name, form in FORMS.items() for function in [form(fresh())]}
    seen |= {f"kind {name}": outcome(functools.partial(decorate, kind)) for name, kind in KINDS.items()}
    if not IN_FARM:
        seen |= {f"same {name}": form(function) is function for name, form in FORMS.items() for function in [fresh()]}
        return seen
    seen |= {"look of a function": look(plain), "look of a generator": look(generator)}
    return seen | {f"duration {name}": seconds_asked(duration) for name, duration in DURATIONS.items()}


OFFICIAL_NAMES = (
    "GPU",
    "gradio_auto_wrap",
    "disable_gradio_auto_wrap",
    "enable_gradio_auto_wrap",
    "aoti_capture",
    "aoti_compile",
    "aoti_compile_and_save",
    "aoti_apply",
    "aoti_patch",
    "aoti_load",
    "aoti_load_call_source",
    "aoti_load_from_package_dir",
    "aoti_blocks_load",
)

if __name__ == "__main__":
    print(json.dumps(observations()))
