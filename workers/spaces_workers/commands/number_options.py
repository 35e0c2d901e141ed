"""Numbers on the command line, refused in one line that names the option, the value and the allowed values."""

from __future__ import annotations

from collections.abc import Callable

from spaces.errors import SpacesError
from spaces_workers.setup.ports import HIGHEST


class NumberFault(SpacesError):
    """The value of an option is no number, or not an allowed one."""


def whole_number(option: str, least: int, most: int | None = None) -> Callable[[str | int], int]:
    """Make a parser of whole numbers from `least` to `most`, for typer."""
    allowed = f"of at least {least}" if most is None else f"between {least} and {most}"

    def read(given: str | int) -> int:
        try:
            number = int(given)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise NumberFault(f"{option} must be a whole number {allowed}, got {given!s}")
        return number

    return read


def port(option: str) -> Callable[[str | int], int]:
    """Make a parser of ports; 0 means any free port."""
    return whole_number(option, 0, HIGHEST)
