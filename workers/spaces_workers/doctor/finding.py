"""What an examination finds: `zerofarm doctor` prints these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` is empty where there is nothing to do."""

    subject: str
    status: Status
    message: str
    remedy: str = ""
