"""The sizes of GPU that a function can ask for."""

from __future__ import annotations

from enum import StrEnum

#: The size of GPU for functions of a Space that name none.
VARIABLE = "ZEROFARM_SIZE"


class Size(StrEnum):
    """How much of a GPU a task needs: half an H200 (or a MIG 3g.71gb slice), or a whole one."""

    LARGE = "large"
    XLARGE = "xlarge"
