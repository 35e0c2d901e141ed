"""`zerofarm home`: the home page alone, for containers and additional hosts."""

from __future__ import annotations

from typing import Annotated

import typer

from spaces.errors import SpacesError
from spaces.farm.queue import settings
from spaces.withheld_variables import for_home
from spaces_workers.commands import options
from spaces_workers.commands.become import become, own_environment
from spaces_workers.isolation import MODULE
from spaces_workers.setup.metrics_token import keep_metrics_token
from spaces_workers.setup.operators import keep_operators
from spaces_workers.setup.ports import Ports
from spaces_workers.setup.provider import check_provider
from spaces_workers.up.addresses import url_of


def home(
    redis_url: options.RedisUrl = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 7860,
    link: Annotated[
        list[str] | None,
        typer.Option(
            "--link",
            metavar="NAME=URL",
            help="The URL of a Space's page; `:7861` means a port of the home page's host.",
        ),
    ] = None,
    known_as: Annotated[
        list[str] | None,
        typer.Option("--known-as", metavar="NAME", help="A name by which browsers reach this page; may be repeated."),
    ] = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Serve the home page: a gallery of the Spaces, and the farm's status."""
    settings.share(state_dir)
    check_provider()
    url = options.broker_url(redis_url, state_dir)
    port = Ports(host).exactly(port, "--port")
    links = [argument for each in link or [] for argument in ("--link", _checked(each))]
    links += [argument for each in known_as or [] for argument in ("--known-as", each)]
    keep_metrics_token(state_dir)
    keep_operators(state_dir)
    print(f"The home page answers at {url_of(host, port)}", flush=True)
    arguments = ["--host", host, "--port", str(port), "--state-dir", str(state_dir), *links]
    become([*MODULE, "spaces_app.home", *arguments], own_environment(url) | for_home())


def _checked(link: str) -> str:
    name, equals, url = link.partition("=")
    if not (name and equals and url.startswith(("http://", "https://", ":", "/"))):
        raise SpacesError(
            f"--link must be NAME=URL, as in digits=https://farm.example/digits or digits=:7861, got {link!r}"
        )
    return link
