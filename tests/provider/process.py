"""Starts the provider."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]

#: Text that must not be found anywhere but in its file.
SECRET = "hush:%41+&é"


@contextmanager
def provider(log: Path, *redirects: str, port: int | None = None) -> Iterator[str]:
    """A provider that sends browsers back to these addresses. Yields its issuer."""
    port = port or free_port()
    command = [sys.executable, "-m", "tests.provider", str(port), SECRET, *redirects]
    environment = os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1"}
    with (
        log.open("ab") as file,
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=file, stderr=file) as process,
    ):
        try:
            wait_until(lambda: _listens(port))
            yield f"http://127.0.0.1:{port}/realms/lab"
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def login_table(issuer: str, secret_file: Path, more: str = "") -> str:
    """`[login]` of farm.toml for this provider, whose secret is written to the file."""
    secret_file.touch(0o600)
    secret_file.write_text(f"{SECRET}\n")
    return f"""[login]
issuer = "{issuer}"
client_id = "zerofarm"
client_secret_file = "{secret_file}"
operators = ["gpu-admins"]
viewers = ["lab"]
name = "Lab account"
{more}
"""
