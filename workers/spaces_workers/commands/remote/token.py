"""`zerofarm token`: make, list and revoke the tokens with which other hosts reach the farm."""

from __future__ import annotations

import json as json_format
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from redis import Redis
from rich.markup import escape
from rich.table import Table

from spaces.errors import RefusedError, SpacesError
from spaces.farm.connection import connect
from spaces.farm.links.token import Token
from spaces.farm.queue.control.audit import Action, Audit, this_user
from spaces.farm.values.signing import derive_space_key
from spaces_workers.commands import number_options, options
from spaces_workers.commands.broker_errors import naming_broker
from spaces_workers.commands.output import output
from spaces_workers.commands.remote import worker_token
from spaces_workers.gateway.tokens import TokenRecord, Tokens, Use, day
from spaces_workers.joining.invitations import Invitation, Invitations
from spaces_workers.setup.farm_key import farm_key
from spaces_workers.setup.secret_file import write_secret

DAY = 24 * 3600

token = typer.Typer(
    help="Make, list and revoke tokens for programs, pages and workers of other hosts.", no_args_is_help=True
)
token.command()(worker_token.worker)


@token.command()
def new(
    spaces: Annotated[
        list[str], typer.Option("--space", metavar="NAME", help="The Space that it is for; with --into several.")
    ],
    days: Annotated[
        int,
        typer.Option(
            "--days",
            metavar="N",
            parser=number_options.whole_number("--days", 1, 3650),
            help="Days until it expires.",
        ),
    ] = 30,
    serve: Annotated[
        bool, typer.Option("--serve", help="For a page of the Space, which brings its code; else for calls alone.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="FOLDER", help="Write it to NAME/token there, unless one there is still good."),
    ] = None,
    owner: Annotated[
        int | None, typer.Option("--owner", metavar="UID", help="The user who may read that file.")
    ] = None,
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Make a token and print it, which happens once: the farm keeps a digest."""
    if into is None and len(spaces) > 1:
        raise SpacesError("a token is for one Space: give one --space, or --into FOLDER for the tokens of several")
    key = farm_key(state_dir) if serve else b""
    with _broker(options.broker_url(redis_url, state_dir)) as redis:
        maker = Maker(Tokens(redis), Audit(redis), days * DAY, Use.SERVE if serve else Use.CALL, key)
        for space in spaces:
            if into is None:
                print(maker.made(space))
            else:
                maker.keep(space, into / space / "token", owner)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes tokens of one kind."""

    tokens: Tokens
    audit: Audit
    seconds: float
    use: Use
    farm_key: bytes = field(repr=False)

    def made(self, space: str) -> str:
        """The text of a new token."""
        record, text = self.tokens.new(space, self.seconds, self.use)
        self.audit.note(Action(this_user(), "make token", space, f"{record.id} to {record.use}, until {record.until}"))
        print(f"Token {record.id} for Space {space}, until {record.until}. It is told this once.", file=sys.stderr)
        return f"{text}.{derive_space_key(self.farm_key, space).hex()}" if self.use is Use.SERVE else text

    def keep(self, space: str, path: Path, owner: int | None) -> None:
        """Write a new token, unless half of the time of the one in the file is left."""
        if not self._is_good(space, path):
            write_secret(path, self.made(space), owner)

    def _is_good(self, space: str, path: Path) -> bool:
        try:
            record = self.tokens.holder(Token.of(path.read_text()).shown)
        except (OSError, RefusedError):
            return False
        left = record.expires_at - time.time()
        return (record.space, record.use) == (space, self.use) and left > self.seconds / 2


@token.command(name="list")
def list_(
    redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR, json: options.Json = False
) -> None:
    """List all tokens: what they are for, and until when they are valid. Of those for workers, the unused ones."""
    with _broker(options.broker_url(redis_url, state_dir)) as redis:
        found = [*Tokens(redis).all(), *map(_record, Invitations(redis).all())]
    if json:
        shown = [{name: value for name, value in asdict(each).items() if name != "digest"} for each in found]
        print(json_format.dumps(shown))
        return
    output().print(_table(found))


@token.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="ID", help="As in `zerofarm token list`.")],
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """End a token. Who is connected with it is disconnected within seconds."""
    with _broker(options.broker_url(redis_url, state_dir)) as redis:
        if Invitations(redis).revoke(name):
            Audit(redis).note(Action(this_user(), "revoke token", "a host", name))
            print(f"Token {name} to join is revoked")
            return
        revoked = Tokens(redis).revoke(name)
        Audit(redis).note(Action(this_user(), "revoke token", revoked.space, revoked.id))
    print(f"Token {revoked.id} for Space {revoked.space} is revoked")


@contextmanager
def _broker(url: str) -> Iterator[Redis]:
    with connect(url) as redis, naming_broker(url):
        yield redis


def _record(invitation: Invitation) -> TokenRecord:
    """As the other tokens are listed; it is not told when it was made."""
    return TokenRecord(invitation.id, "", "join", "", None, time.time() + invitation.seconds_left)


def _table(found: list[TokenRecord]) -> Table:
    table = Table(title="Tokens", title_justify="left", box=None, header_style="dim")
    for column in ("id", "Space", "for", "made", "state"):
        table.add_column(column)
    now = time.time()
    for each in found:
        state = each.fault(now) or f"valid until {each.until}"
        table.add_row(
            each.id,
            escape(each.space) or "-",
            str(each.use),
            "-" if each.made_at is None else day(each.made_at),
            state,
        )
    return table
