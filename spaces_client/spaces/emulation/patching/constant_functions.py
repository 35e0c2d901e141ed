"""Functions that return a constant, and the replacement of parts of torch by tables of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn  # torch is not typed here

from spaces.emulation.errors import needs_gpu
from spaces.emulation.patching.patches import Patches

Answer = Callable[..., Any]
Answers = dict[str, Answer]


def says(value: object) -> Answer:
    """A function that takes any arguments and returns `value`."""

    def answer(*_args: object, **_options: object) -> object:
        return value

    return answer


nothing = says(None)
zero = says(0)


def refuses(what: str) -> Answer:
    """A function that takes any arguments and raises `EmulationError` about `what`."""

    def refuse(*_args: object, **_options: object) -> NoReturn:
        raise needs_gpu(what)

    return refuse


def same(answer: Answer, names: str) -> Answers:
    """One function under several names, separated by spaces."""
    return dict.fromkeys(names.split(), answer)


def replace(patches: Patches, answers: Answers, *owners: Any) -> None:
    for owner in owners:
        for name, answer in answers.items():
            patches.function(owner, name, answer)
