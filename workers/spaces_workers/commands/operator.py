"""`zerofarm operator`: who may open the operator's page, with which role."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from spaces.errors import SpacesError
from spaces_workers.commands import options
from spaces_workers.setup import operators


def operator(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of a person, for the record of actions.")],
    role: Annotated[str, typer.Option("--role", help="`operator` acts, `viewer` only looks.")] = "operator",
    remove: Annotated[bool, typer.Option("--remove", help="End the account instead.")] = False,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Make an account for the operator's page, or give one a new password, which is printed. Its sessions end."""
    if remove:
        if not operators.remove_account(state_dir, name):
            raise SpacesError(f"there is no account {name!r} in {operators.accounts_path(state_dir)}")
        print(f"{name} is out")
        return
    if role not in get_args(operators.Role):
        raise SpacesError(f"--role must be {' or '.join(get_args(operators.Role))}, got {role!r}")
    if not name.strip() or len(name) > 64:
        raise SpacesError(f"a name has 1 to 64 characters, got {name!r}")
    operators.keep_operators(state_dir)
    password = operators.new_password()
    operators.set_account(state_dir, name, password, "viewer" if role == "viewer" else "operator")
    print(f"{name} logs in as {role} with the password {password}")
