"""Shows the files of one user as those of another: the user namespaces for mounts with mapped owners.

A namespace is kept by a descriptor of the process that describes sandboxes. Those that enter them open it by /proc: to
make a namespace takes a fork, which costs a large process too much. mount_setattr(2), MOUNT_ATTR_IDMAP
"""

from __future__ import annotations

import errno
import os
import signal

from spaces_workers.sandbox import system_calls

#: The group that shows as `nogroup`.
_NOBODY = 65534


class Owners:
    """The mappings of one process, each made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int, int], int] = {}

    def mapping(self, path: str, uid: int) -> str:
        """A file of the namespace that shows the owner of `path` as user `uid`, and the owner's group as nobody's.

        Files that the user makes get its own group, also on the host, where the owner's might have rights.
        """
        status = os.stat(path)
        key = status.st_uid, status.st_gid, uid
        if key not in self._made:
            self._made[key] = _namespace(*key)
        return f"/proc/{os.getpid()}/fd/{self._made[key]}"


def _namespace(owner: int, group: int, uid: int) -> int:
    """A descriptor of a namespace, which needs a process of its own to begin with."""
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            system_calls.unshare(system_calls.CLONE_NEWUSER)
            os.write(done, b"1")
            signal.pause()
        finally:
            os._exit(1)
    os.close(done)
    try:
        if not os.read(ready, 1):
            raise OSError(errno.EPERM, "this kernel makes no user namespace")
        _map(pid, "uid_map", {owner: uid})
        _map(pid, "gid_map", {uid: uid} if group == uid else {group: _NOBODY, uid: uid})
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _map(pid: int, name: str, shown: dict[int, int]) -> None:
    with open(f"/proc/{pid}/{name}", "w") as file:
        file.write("".join(f"{number} {as_number} 1\n" for number, as_number in shown.items()))
