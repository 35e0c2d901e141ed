"""`python -m spaces_app.home`: serves the home page; `$ZEROFARM_URL` names the broker."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from spaces import config
from spaces.farm.page_addresses import pages_path
from spaces.farm.queue import settings
from spaces.farm.queue.settings_file.login_secret import login_secret
from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces.web import descriptors
from spaces_app.home.app import make_app
from spaces_app.home.metrics.access import read_token
from spaces_app.home.snapshots import Snapshots
from spaces_app.home.traces.starting import write_traces

if TYPE_CHECKING:
    from spaces_app.home.operator.openid.provider import Provider

#: Seconds for open requests to finish when the server is told to stop.
SHUTDOWN_GRACE = 1


def main() -> None:
    """Serve until told to stop."""
    arguments = _parser().parse_args()
    descriptors.prepare()
    links = dict(link.split("=", 1) for link in arguments.link)
    snapshots = Snapshots(config.current().url, pages_path(arguments.state_dir), links)
    rules = settings.current()
    address = rules.home.address or arguments.address
    app = make_app(
        snapshots,
        [*rules.home.hosts, *arguments.known_as],
        read_token(arguments.state_dir),
        arguments.state_dir,
        provider=_provider(rules.login, address),
        address=address,
    )
    write_traces(snapshots.queue)
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_GRACE,
    )


def _provider(rules: LoginRules, address: str) -> Provider | None:
    """The provider by which operators log in, whose secret is read at each login."""
    if not rules.issuer:
        return None
    from spaces_app.home.operator.openid.provider import Provider  # its libraries take long to import

    file = settings.path()
    return Provider(rules, lambda: login_secret(rules, file), address)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m spaces_app.home", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--state-dir", type=Path, required=True, help="where `zerofarm up` lists the pages")
    parser.add_argument("--link", action="append", default=[], metavar="NAME=URL", help="the page of a Space")
    parser.add_argument("--known-as", action="append", default=[], metavar="NAME", help="a name of this host")
    parser.add_argument("--address", default="", metavar="URL", help="by which operators reach it; [home] address wins")
    return parser


if __name__ == "__main__":
    main()
