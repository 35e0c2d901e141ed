"""Flower for a farm: `python -m spaces_workers.flower`, which `zerofarm up` and `zerofarm flower` start.

Flower runs unchanged on the farm's Celery app, so tasks have their usual names. `pages`, `events` and `ends` add what
ranked queues need. It never runs without a password, and the password is never on a command line:
`$FLOWER_BASIC_AUTH` is `user:password`; if it is not set, a login is generated and printed once.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from typing import Any

from celery import Celery
from flower.app import Flower, rewrite_handler
from flower.command import apply_env_options, extract_settings, setup_logging
from flower.options import options
from flower.urls import settings
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop

from spaces.errors import SpacesError
from spaces.farm.celery.celery_app import make_celery
from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces.role import URL
from spaces_workers.flower.columns import FarmColumns
from spaces_workers.flower.ends import Ends
from spaces_workers.flower.events import FarmEvents
from spaces_workers.flower.pages import PAGES
from spaces_workers.flower.templates import Templates
from spaces_workers.flower.wall import Refused, Wall, Walled

#: Flower can stop tasks and workers, so by default it answers on this host only.
ADDRESS, PORT = "127.0.0.1", 5555

USER = "zerofarm"

#: Tasks that Flower remembers, at about 2 kB each.
MAX_TASKS = 20_000

#: Columns of the list of tasks.
COLUMNS = "name,state,args,received,runtime,held,start,rank,visitor,by,worker,exception,uuid"


class FarmFlower(Flower):  # type: ignore[misc]  # flower has no types
    """Flower with pages and events that support ranked queues."""

    def __init__(self, app: Celery, queue: Queue) -> None:
        limits = {"max_tasks_in_memory": options.max_tasks, "max_workers_in_memory": options.max_workers}
        events = FarmEvents(app, IOLoop.current(), enable_events=False, **limits)  # our workers always send events
        templates = Templates(settings["template_path"], with_link=bool(options.url_prefix))
        super().__init__(capp=app, options=options, events=events, template_loader=templates, **settings)
        self.queue = queue
        self.wall = Wall(options.url_prefix)
        self.add_transform(Walled)
        columns = FarmColumns(queue)
        options.format_task = lambda task: columns.shown(task)  # Flower takes plain functions only
        self.ends = Ends(self.events.state, queue)
        prefix = options.url_prefix
        self.add_handlers(".*", [rewrite_handler(page, prefix) for page in PAGES] if prefix else PAGES)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:  # Any: tornado's
        """Answer no script of another page."""
        if self.wall.lets_in(request):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, Refused)

    def start(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.io_loop.asyncio_loop.add_signal_handler(number, self.io_loop.stop)
        self.ends.start()
        super().start()


def main(argv: Sequence[str] | None = None) -> int:
    """Run Flower until SIGTERM or SIGINT, then end the process. Returns the exit code if it could not start."""
    given = _parser().parse_args(argv)
    try:
        serve(given.redis_url, given.address, given.port)
    except (SpacesError, OSError) as error:
        print(f"Flower cannot start at {given.address}:{given.port}: {error}", file=sys.stderr)
        return 1
    sys.stdout.flush()
    # Python would wait for Flower's threads, which wait for the broker as long as it is absent.
    os._exit(0)


def serve(url: str, address: str, port: int) -> None:
    """Serve at `address` for the farm whose broker is at `url`; port 0 takes a free port.

    Raises SpacesError for a malformed URL or login, OSError if the port is taken.
    """
    queue = Queue(connect(url))
    app = make_celery(url)
    app.set_default()  # Flower asks for the time zone of the current app
    _configure()
    login = _made_login()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    flower = FarmFlower(app, queue)
    options.address, options.port, options.unix_socket = address, port, ""
    print(f"Flower answers at http://{address}:{flower.start_http_server()}{login}", flush=True)
    try:
        flower.start()
    finally:
        _finish(loop)
        flower.stop()


def _configure() -> None:
    """Set our defaults, then the operator's `$FLOWER_...`, then the settings that must hold."""
    options.max_tasks, options.tasks_columns = MAX_TASKS, COLUMNS
    apply_env_options()
    extract_settings()
    setup_logging()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s flower: %(message)s")
    # The first warns four times whenever no worker answers, as at every start of a farm; the second logs every refusal
    # that the client has received already.
    for name in ("flower.inspector", "tornado.general"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _made_login() -> str:
    """Generate a login if the operator gave none. Returns the text to print about it, or an empty one."""
    given = [login for login in options.basic_auth or [] if login]
    if not all(":" in login for login in given):
        raise SpacesError("$FLOWER_BASIC_AUTH must be user:password, or several of them with commas between")
    options.basic_auth = given
    if given or options.auth:
        return ""
    options.basic_auth = [f"{USER}:{secrets.token_urlsafe(12)}"]
    return f"\nIts login is {options.basic_auth[0]}; set FLOWER_BASIC_AUTH=user:password to choose one"


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the coroutines that still run, and let them finish."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m spaces_workers.flower", description=__doc__)
    url = os.environ.get(URL) or os.environ.get("REDIS_URL")
    parser.add_argument("--redis-url", default=url, required=not url, help=f"broker; default: ${URL}, $REDIS_URL")
    parser.add_argument("--address", default=ADDRESS, help="address to listen at; default: %(default)s, this host only")
    parser.add_argument("--port", type=int, default=PORT, help="default: %(default)s; 0: a free port")
    return parser


if __name__ == "__main__":
    sys.exit(main())
