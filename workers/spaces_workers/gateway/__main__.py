"""`python -m spaces_workers.gateway`: serves pages and programs, which hold no password of the broker.

`zerofarm up` starts it and starts it again. `$ZEROFARM_URL` names the broker, `$ZEROFARM_GATES` the pages of that farm.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from spaces import config
from spaces.web import descriptors
from spaces_workers.gateway.broker_side import BrokerSide
from spaces_workers.gateway.doors import Doors
from spaces_workers.gateway.place import GATES, from_text
from spaces_workers.gateway.server import Gateway, listen_with_tokens


def main() -> None:
    """Serve until told to stop."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s gateway: %(message)s")
    descriptors.prepare()
    sys.setswitchinterval(0.001)  # a thread that waits for the broker's answer gets it soon, however many are busy
    here = config.current()
    gateway = Gateway(BrokerSide(here.url, here.host))
    if GATES in os.environ:
        doors = Doors(gateway, here.run_dir, arguments.state_dir)
        doors.set(from_text(os.environ[GATES]))
        doors.take_orders()
    if arguments.listen:
        gateway.add(listen_with_tokens(*arguments.listen))
    gateway.serve()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m spaces_workers.gateway", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--listen", metavar="HOST:PORT", type=_address, help="for programs and pages with tokens")
    return parser


if __name__ == "__main__":
    main()
