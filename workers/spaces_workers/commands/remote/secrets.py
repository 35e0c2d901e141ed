"""`zerofarm secrets`: make the secrets of a farm of containers, each process's in a folder of its own."""

from __future__ import annotations

import os
import secrets as random
from pathlib import Path
from typing import Annotated

import typer

from spaces_workers.broker.users import RULES, directives, operator, password_of
from spaces_workers.setup.farm_key import farm_key, kept
from spaces_workers.setup.secret_file import write_secret

#: The password of the broker's first user, for `zerofarm secrets`; a random one if it is not given.
PASSWORD = "ZEROFARM_BROKER_PASSWORD"

#: May ask whether the broker answers, and nothing else, without a password.
_HEALTH = "user health on nopass -@all +ping"


def secrets(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Gets a folder for each process of the farm.")],
    broker: Annotated[str, typer.Option("--broker", metavar="HOST:PORT", help="The broker's address.")] = "broker:6379",
    owner: Annotated[
        int | None, typer.Option("--owner", metavar="UID", help="The user of the processes that read the secrets.")
    ] = None,
) -> None:
    """Make a farm's key, the broker's users and their URLs, unless they were made before.

    $ZEROFARM_KEY and $ZEROFARM_BROKER_PASSWORD are taken where they are set.
    """
    key = farm_key(folder / "operator").hex()
    write_secret(folder / "operator" / "farm.key", key)
    password = os.environ.get(PASSWORD) or random.token_urlsafe(32)
    password = kept(folder / "operator" / "broker.password", password)
    write_secret(folder / "operator" / "broker.url", f"redis://:{password}@{broker}/0", owner)
    for user in RULES:
        write_secret(folder / user / "broker.url", f"redis://{user}:{password_of(user, password)}@{broker}/0", owner)
    write_secret(folder / "worker" / "farm.key", key, owner)
    for name, part in (("username", "scaler"), ("password", password_of("scaler", password))):
        write_secret(folder / "scaler" / name, part, owner)  # KEDA takes no URL
    _write_users(folder / "broker" / "users.conf", password)


def _write_users(path: Path, password: str) -> None:
    """Digests of random passwords: the broker's own user, whoever that is, may read them."""
    write_secret(path, "".join(f"{line}\n" for line in (_HEALTH, operator(password), *directives(password))))
    path.chmod(0o444)
