"""The findings that `zerofarm doctor` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `remedy` is empty if there is nothing to do."""

    subject: str
    status: Status
    message: str
    remedy: str = ""
