"""The farm's key, from which each Space's key is derived: the operator's, or one that is generated once and kept."""

from __future__ import annotations

import hmac
import os
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from spaces import config
from spaces.errors import SpacesError
from spaces_workers.setup.secret_file import secret

BYTES = 32
FEWEST_BYTES = 16


class KeyFault(SpacesError):
    """The farm's key cannot be used."""


def farm_key(state_dir: Path, environment: Mapping[str, str] = os.environ) -> bytes:
    """`$ZEROFARM_KEY` or the file `$ZEROFARM_KEY_FILE`, else the key in `state_dir/farm.key`, generated if missing.

    All are hexadecimal.
    """
    if given := secret(config.FARM_KEY, environment):
        return _key(given, f"${config.FARM_KEY}")
    path = state_dir / "farm.key"
    return _key(kept(path, secrets.token_hex(BYTES)), str(path))


def fingerprint(key: bytes) -> str:
    """Eight digits by which people compare keys. They reveal nothing of the key."""
    return hmac.new(key, b"zerofarm key fingerprint", sha256).hexdigest()[:8]


def kept(path: Path, secret: str) -> str:
    """The secret in a file, which is made with `secret` if it is missing; only its user can read it."""
    if not path.exists():
        _make(path, secret)
    return path.read_text().strip()


def _make(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    # A link, not a rename: if two threads or processes write one at once, the first wins and both read the same.
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _key(text: str, origin: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        raise KeyFault(f"{origin} must be hexadecimal digits, as `openssl rand -hex {BYTES}` prints them") from None
    if len(key) < FEWEST_BYTES:
        raise KeyFault(f"{origin} must have at least {2 * FEWEST_BYTES} hexadecimal digits, got {len(text)}")
    return key
