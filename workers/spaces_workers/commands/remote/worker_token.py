"""`zerofarm token worker`: the line and the token with which one more host joins the farm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer
from redis import AuthenticationError

from spaces.farm.connection import connect
from spaces.farm.queue.control.audit import Action, Audit, this_user
from spaces_workers.broker.users import password_of
from spaces_workers.commands import number_options, options
from spaces_workers.commands.broker_errors import naming_broker
from spaces_workers.joining.address import Reached, address_of
from spaces_workers.joining.fetching import place_of
from spaces_workers.joining.invitations import Invitations
from spaces_workers.joining.join_token import JoinToken
from spaces_workers.joining.ticket import Ticket
from spaces_workers.setup.farm_key import farm_key, fingerprint

HOUR = 3600

_OPERATORS = (
    "The broker has no user `worker`: the host gets the login of --redis-url, with all rights of that at the broker. "
    "`zerofarm secrets` makes the farm's users for a broker of your own"
)

_TUNNEL = (
    "The broker listens at {0}, for this host alone. Start the farm by `zerofarm up --broker-at ADDRESS:6379`, or lead "
    "the port through a tunnel, on the other host: ssh -N -L {0}:{0} THIS-HOST"
)


def worker(
    hours: Annotated[
        int,
        typer.Option(
            "--hours", metavar="N", parser=number_options.whole_number("--hours", 1, 48), help="Hours until it expires."
        ),
    ] = 1,
    address: Annotated[
        str, typer.Option("--address", metavar="HOST:PORT", help="Where the other host reaches the broker.")
    ] = "",
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Print the line and the token by which one more host joins the farm with its GPUs. The token works once."""
    url = options.broker_url(redis_url, state_dir)
    key = farm_key(state_dir)
    with connect(url) as redis, naming_broker(url):
        reached = Reached(_checked(address), is_local=False) if address else address_of(url, redis)
        token, login = JoinToken.new(fingerprint(key)), _login(url)
        Invitations(redis).make(token, Ticket(login, key.hex()), hours * HOUR)
        Audit(redis).note(Action(this_user(), "make token", "a host", f"{token.id} to join, for {hours} h"))
    for warning in _warnings(url, login, reached):
        print(warning, file=sys.stderr)
    told = (
        f"Token {token.id} works once, within {hours} h. It is told this once. Type on the other host "
        "the first line, and the token when it asks:"
    )
    print(told, file=sys.stderr)
    print(f"zerofarm join {reached.address} --token-file -\n{token.text}")


def _warnings(url: str, login: str, reached: Reached) -> Iterator[str]:
    if login == _own_login(url):
        yield _OPERATORS
    if reached.is_local:
        yield _TUNNEL.format(reached.address)


def _checked(address: str) -> str:
    place_of(address)
    return address


def _login(url: str) -> str:
    """The login of the broker's user for workers, where it has one; else that of the URL."""
    parts = urlsplit(url)
    own = f"worker:{password_of('worker', unquote(parts.password or ''))}"
    address = parts._replace(netloc=f"{own}@{parts.netloc.rpartition('@')[2]}").geturl()
    with connect(address, retry=None) as redis:
        try:
            redis.ping()
        except AuthenticationError:
            return _own_login(url)
    return own


def _own_login(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[0]
