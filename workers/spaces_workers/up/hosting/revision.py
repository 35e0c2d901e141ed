"""One revision of a Space: its files as they were when it was added, or, at 0, the operator's own folder."""

from __future__ import annotations

from dataclasses import dataclass

from spaces_workers.setup.served_space import ServedSpace


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision that can be served."""

    number: int  #: counted from 1; 0: the folder that the operator has named to `zerofarm up`
    space: ServedSpace
    source: str = ""  #: where it came from, as the operator has named it
    label: str = ""  #: the commit, or the digest of the files
    made_at: float = 0.0  #: seconds since the epoch

    @property
    def page(self) -> str:
        """The name of its page, unless another one of it runs."""
        return f"{self.space.name}.{self.number}" if self.number else self.space.name
