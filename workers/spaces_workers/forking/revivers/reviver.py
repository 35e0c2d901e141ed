"""The function that each module here offers: `prepare(objects)`.

It is given all objects of the zygote, brings those it knows into a state that survives a fork, and returns the work of
a child for them, or None if there are none.
"""

from __future__ import annotations

from collections.abc import Callable

from spaces_workers.forking.revivers.objects import Objects

Revive = Callable[[], None]
Prepare = Callable[[Objects], Revive | None]
