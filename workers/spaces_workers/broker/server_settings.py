"""The addresses and the password of the farm's own broker, and its configuration file."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from spaces_workers.broker.files import BrokerFiles
from spaces_workers.broker.users import directives, operator, password_of
from spaces_workers.setup.secret_file import write_secret

log = logging.getLogger(__name__)

SOCKET_PATH_LIMIT = 107  # bytes: sun_path in <sys/un.h> has 108, and the last is a zero
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


@dataclass(frozen=True, slots=True)
class Listen:
    """A TCP address at which the other hosts of a farm reach the broker."""

    host: str = "0.0.0.0"
    port: int = 6379

    @property
    def local_host(self) -> str:
        """The address by which this host reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    def fault(self) -> OSError | None:
        """Return why nothing can listen here now, or None."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            family, kind, protocol, _name, address = found[0]
            with socket.socket(family, kind, protocol) as probe:
                # As the server does: a port whose last connections are in TIME_WAIT counts as free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            return error
        return None


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The addresses and the password of the server of one state directory."""

    files: BrokerFiles
    socket_path: Path
    listen: Listen | None
    password: str = field(repr=False)

    @classmethod
    def of(cls, state_dir: Path, listen: Listen | None) -> ServerSettings:
        """Return the settings for `state_dir`, with the password of the last start or a new one."""
        state_dir = state_dir.absolute()
        state_dir.mkdir(parents=True, exist_ok=True)
        files = BrokerFiles(state_dir)
        return cls(files, _socket_path(state_dir), listen, files.password())

    @property
    def url(self) -> str:
        """The URL of the operator, who may do everything."""
        return self._url(f":{self.password}")

    def url_of(self, user: str) -> str:
        """The URL of a process that may do as much as `users.RULES` says."""
        return self._url(f"{user}:{password_of(user, self.password)}")

    def _url(self, login: str) -> str:
        if self.listen is None:
            return f"redis+socket://{login}@{self.socket_path}"
        host = self.listen.local_host
        name = f"[{host}]" if ":" in host else host
        return f"redis://{login}@{name}:{self.listen.port}/0"

    def prepare(self) -> None:
        """Make the socket's directory, accessible to this user only."""
        directory = self.socket_path.parent
        directory.mkdir(mode=0o700, exist_ok=True)
        facts = directory.lstat()
        if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
            raise PermissionError(f"{directory} must belong to user {os.getuid()} with mode 0700; remove it")

    def write(self) -> None:
        """Write the configuration, and the URL with the password for processes that join, both with mode 0600."""
        write_secret(self.files.configuration, self._configuration())
        write_secret(self.files.url, self.url)

    def remove_traces(self) -> None:
        """Remove the files that mean nothing once the server is gone; its data, log and password stay."""
        self.files.remove_traces()
        self.socket_path.unlink(missing_ok=True)

    def _configuration(self) -> str:
        settings = [
            ("daemonize", "no"),
            ("dir", str(self.files.state_dir)),
            ("unixsocket", str(self.socket_path)),
            ("unixsocketperm", "700"),
            ("appendonly", "yes"),
            ("appendfsync", "everysec"),
            # An evicted key would be a lost task. The append-only file makes snapshots superfluous.
            ("maxmemory-policy", "noeviction"),
            ("save", ""),
            # A stream allocates its first node whole: 4 kB for each ended task, though most have three events.
            ("stream-node-max-bytes", "1024"),
            *self._address(),
        ]
        users = operator(self.password), *directives(self.password)
        lines = [*(f"{name} {_quoted(value)}" for name, value in settings), *users]
        return "".join(f"{line}\n" for line in lines)

    def _address(self) -> list[tuple[str, str]]:
        if self.listen is None:
            return [("port", "0")]
        return [("bind", self.listen.host), ("port", str(self.listen.port))]


def _socket_path(state_dir: Path) -> Path:
    """Return the socket's path, in a folder of its own: processes that see only that folder find a later socket too.

    The address of a unix socket holds 107 bytes, and libraries escape a path in a URL differently; if the state
    directory's path is longer or has special characters, the folder is in the temporary one.
    """
    path = state_dir / "broker" / "broker.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT and PLAIN_PATH.fullmatch(str(path)):
        return path
    digest = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"zerofarm-{os.getuid()}-{digest}" / "broker.sock"
    log.info("the path %s is too long, or has special characters, for a socket; using %s instead", path, short)
    return short


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
