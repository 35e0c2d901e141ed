"""The files, addresses and password of the farm's own broker, and its configuration file."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import socket
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

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
    """The files, addresses and password of the server of one state directory."""

    state_dir: Path
    socket_path: Path
    listen: Listen | None
    password: str | None

    @classmethod
    def of(cls, state_dir: Path, listen: Listen | None) -> ServerSettings:
        """Return the settings for `state_dir`; with `listen`, the password of the last start is used, or a new one."""
        state_dir = state_dir.absolute()
        state_dir.mkdir(parents=True, exist_ok=True)
        password = _password(state_dir / "broker.password") if listen else None
        return cls(state_dir, _socket_path(state_dir), listen, password)

    @property
    def url(self) -> str:
        """The URL for Celery, kombu, Flower and `spaces.farm.connection.connect`."""
        if self.listen is None:
            return f"redis+socket://{self.socket_path}"
        return self.url_for(self.listen.local_host)

    def url_for(self, host: str) -> str:
        """Return the URL for clients that reach this host as `host`. Only for a server with a TCP address."""
        if self.listen is None:
            raise ValueError("a broker that listens on a unix socket only has no URL for other hosts")
        name = f"[{host}]" if ":" in host else host
        return f"redis://:{self.password}@{name}:{self.listen.port}/0"

    @property
    def lock_path(self) -> Path:
        return self.state_dir / "broker.lock"

    @property
    def log_path(self) -> Path:
        return self.state_dir / "broker.log"

    @property
    def configuration_path(self) -> Path:
        return self.state_dir / "broker.conf"

    @property
    def url_path(self) -> Path:
        return self.state_dir / "broker.url"

    def prepare(self) -> None:
        """Make the socket's directory, accessible to this user only."""
        directory = self.socket_path.parent
        directory.mkdir(mode=0o700, exist_ok=True)
        facts = directory.lstat()
        if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
            raise PermissionError(f"{directory} must belong to user {os.getuid()} with mode 0700; remove it")

    def write(self) -> None:
        """Write the configuration, and the URL for processes that join. Both may hold the password: mode 0600."""
        _write_private(self.configuration_path, self._configuration())
        _write_private(self.url_path, self.url)

    def running_url(self) -> str | None:
        """Return the URL that the running server's starter wrote, or None."""
        with suppress(FileNotFoundError):
            return self.url_path.read_text() or None
        return None

    def remove_traces(self) -> None:
        """Remove the files that mean nothing once the server is gone; its data, log and password stay."""
        for path in (self.url_path, self.configuration_path, self.socket_path):
            path.unlink(missing_ok=True)

    def _configuration(self) -> str:
        directives = [
            ("daemonize", "no"),
            ("dir", str(self.state_dir)),
            ("unixsocket", str(self.socket_path)),
            ("unixsocketperm", "700"),
            ("appendonly", "yes"),
            ("appendfsync", "everysec"),
            # An evicted key would be a lost task. The append-only file makes snapshots superfluous.
            ("maxmemory-policy", "noeviction"),
            ("save", ""),
            # A stream allocates its first node whole: 4 kB for each ended task, though most have three events.
            ("stream-node-max-bytes", "1024"),
        ]
        if self.listen is None:
            directives.append(("port", "0"))
        else:
            directives += [
                ("bind", self.listen.host),
                ("port", str(self.listen.port)),
                ("requirepass", str(self.password)),
            ]
        return "".join(f"{name} {_quoted(value)}\n" for name, value in directives)


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


def _password(path: Path) -> str:
    if not path.exists():
        # A link, not a rename: if two processes write one at the same time, the first wins and both read the same.
        draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        _write_private(draft, secrets.token_urlsafe(32))
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text()


def _write_private(path: Path, text: str) -> None:
    """Replace `path` atomically by a file that only this user may read."""
    draft = path.with_name(f"{path.name}.draft-{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
