"""A small disk of its own for one folder, to be filled; only root may mount one, and not everywhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class SmallDisk:
    """A folder, on a file system of so many bytes if this process may mount one."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=700", "chaos", str(folder)]
        self.is_small = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
        self._filling = folder / "filling"

    def fill(self) -> None:
        """Leave no room on it. In a process of its own: a file that a caller writes travels with its calls."""
        subprocess.run(["dd", "if=/dev/zero", f"of={self._filling}", "bs=4k"], capture_output=True)

    def empty(self) -> None:
        """Give the room back."""
        self._filling.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it."""
        if self.is_small:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
