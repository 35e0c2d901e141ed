"""One revision of a Space: its files as they were when it was added, or, at 0, the operator's own folder."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.space import source_at
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

    def is_like(self, other: Revision) -> bool:
        """Whether both have the same files. What a folder of the operator had before is not known any more."""
        return self.number > 0 and source_at(self.space.app_file).digest() == source_at(other.space.app_file).digest()
