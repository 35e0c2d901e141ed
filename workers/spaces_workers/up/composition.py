"""The processes of a farm on this host: each with its command line, its environment and its readiness probe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from spaces import config
from spaces.errors import SpacesError
from spaces.farm import log_files
from spaces.farm.links.gateway_address import at
from spaces.farm.queue import settings
from spaces.farm.queue.leases import Leases
from spaces.farm.values.signing import derive_space_key
from spaces.import_progress import FOLLOWED
from spaces.space import source_at
from spaces.withheld_variables import for_home
from spaces_workers import isolation
from spaces_workers.broker.broker import Broker
from spaces_workers.gateway.place import GATES, Gate, address_of, orders_of, to_text
from spaces_workers.isolation import SpaceEnvironment
from spaces_workers.isolation.build_log import BuildLog
from spaces_workers.setup import metrics_token, operators, process_environment
from spaces_workers.setup.flower_login import VARIABLE as FLOWER_LOGIN
from spaces_workers.setup.flower_login import flower_login, login_path
from spaces_workers.setup.served_space import ServedSpace
from spaces_workers.up import readiness, remains
from spaces_workers.up.addresses import local, url_of
from spaces_workers.up.beginning import fork_server
from spaces_workers.up.beginning.farm_options import FLOWER_HOST, FarmOptions
from spaces_workers.up.door import service as front_door
from spaces_workers.up.door.address import FLOWER, OPERATOR, path_of_space
from spaces_workers.up.keeper import Service
from spaces_workers.up.page_port import PagePort
from spaces_workers.up.process import Command, ForkPlan
from spaces_workers.up.workers.services import environment_of, nursery_of, of_module, workers_of


def fork_server_of(options: FarmOptions) -> Service:
    """The fork server, from which Spaces are forked. Callers wait until it has imported their libraries."""
    path = fork_server.socket_path(options.run_dir, options.state_dir)
    command = fork_server.command(options.run_dir, options.state_dir)
    return Service("fork server", command, probe=lambda _: readiness.listener(path), begun=options.fork_server)


class Composition:
    """Makes the services of one farm, which know its broker."""

    def __init__(self, options: FarmOptions, broker: Broker, leases: Leases) -> None:
        self.url = broker.url
        self._broker = broker
        self._options = options
        self._leases = leases
        self._sandboxes = options.sandboxes
        self._login = flower_login(options.state_dir)
        #: Where programs and pages of other hosts connect, if anywhere.
        self.gateway_address = options.gateway and at(*options.gateway)
        #: The file with Flower's login; None if the operator gave one.
        self.login_file = None if os.environ.get(FLOWER_LOGIN) else login_path(options.state_dir)

    @property
    def operator_login(self) -> Path:
        """The file with the first login of the operator's page."""
        return operators.login_path(self._options.state_dir)

    @property
    def operator_url(self) -> str:
        """The URL of the operator's page."""
        options = self._options
        address = options.door.operator_url if options.door else url_of(options.host, options.home_port)
        return f"{address}{OPERATOR}"

    def nursery(self) -> Service:
        """The nursery, unless one of this farm runs on this host already."""
        return nursery_of(self._options)

    def _is_isolated(self, space: ServedSpace) -> bool:
        return self._options.isolate and space.asks_for_packages

    def gateway(self, gates: Sequence[Gate]) -> Service:
        """The gateway, through which pages reach the farm: none of them is told the broker's URL."""
        options = self._options
        listen = ("--listen", "{}:{}".format(*options.gateway)) if options.gateway else ()
        module = of_module("spaces_workers.gateway", "--state-dir", str(options.state_dir), *listen)
        orders = orders_of(options.run_dir, options.state_dir)
        return Service(
            "gateway",
            Command(module, self._environment("gateway", {GATES: to_text(gates)}), self._log("gateway")),
            probe=lambda _: readiness.listener(orders),  # it listens there last
        )

    def workers(self) -> Iterator[Service]:
        """The workers, each on its own device or share of a device."""
        return workers_of(self._options, self._broker.url_of("worker"), self._leases)

    def page_of(self, space: ServedSpace, name: str, port: int) -> Service:
        """The web process of a Space. `name` is that of its gate, which must be open: a revision's own."""
        path = self._root_path(space)
        try:
            command = self._command_of(space, name, port, path)
        except SpacesError as error:  # of what the operator has set for this Space: its page says so, others go on
            saying = [sys.executable, "-c", f"import sys; sys.exit({str(error)!r})"]
            command = Command(saying, {}, log_files.of_page(self._options.state_dir, name))
        ways = ("/config", "/")  # Gradio's, and that of another framework
        page = self._page(f"Space {name}", command, (self._options.host, port), *ways, space=space)
        door = self._options.door
        return replace(page, url=door.url_of_space(space.name)) if door is not None and path else page

    def _command_of(self, space: ServedSpace, name: str, port: int, path: str) -> Command:
        own, key = self._sandboxes.state_of(space.name), derive_space_key(self._options.farm_key, space.name)
        address, farm = (self._options.host, port), address_of(self._options.run_dir, self._options.state_dir, name)
        return Command(
            [sys.executable, *space.command(own or self._options.state_dir, isolate=self._options.isolate)],
            process_environment.of_web(space.name, farm, key, address, own, path) | {config.PAGE: name, FOLLOWED: "1"},
            log_files.of_page(self._options.state_dir, name),
            fork=self._fork_of(space),
            sandbox=self._sandboxes.of_page(space.name, space.app_file, farm),
            page_port=_page_port(self._options.host, port, key),
            build_log=BuildLog(self._options.state_dir, space.name) if self._is_isolated(space) else None,
            mark=remains.of_page(self._options.state_dir, name),
        )

    def _fork_of(self, space: ServedSpace) -> ForkPlan:
        """Where no fork server listens, it is started the plain way."""
        path = fork_server.socket_path(self._options.run_dir, self._options.state_dir)
        if not self._is_isolated(space):
            return ForkPlan(path, space.app_file)
        return ForkPlan(path, space.app_file, lambda: self._environment_of(space))

    def _environment_of(self, space: ServedSpace) -> SpaceEnvironment:
        """The Space's own; without variables if it must be made first, by a process that then runs the Space."""
        state_dir = self._sandboxes.state_of(space.name) or self._options.state_dir
        made = isolation.existing(source_at(space.app_file), state_dir, name=space.name)
        return made or isolation.farm_environment()

    def home(self) -> Service:
        """The home page."""
        host, port = self._options.host, self._options.home_port
        module = of_module("spaces_app.home", "--host", host, "--port", str(port))
        module += ["--state-dir", str(self._options.state_dir)]
        if (door := self._options.door) is not None and door.domain:
            module += ["--known-as", door.domain, "--address", door.operator_url]
        metrics_token.keep_metrics_token(self._options.state_dir)
        operators.keep_operators(self._options.state_dir)
        command = Command(module, self._environment("home", for_home()), self._log("home"))
        return self._shown(self._page("home", command, (host, port), "/healthz"), "")

    def door(self) -> Iterator[Service]:
        """The front door, if there is one; it answers when the home page does."""
        if (door := self._options.door) is not None:
            command = front_door.command(door, self._options.run_dir, self._options.state_dir, self._ports)
            yield self._page("front door", command, (door.host, door.port), "/healthz")

    @property
    def _ports(self) -> tuple[int, int | None]:
        return self._options.home_port, self._options.flower_port

    def _root_path(self, space: ServedSpace) -> str:
        """Where the door shows a Space; empty for one that a proxy of the operator's shows elsewhere."""
        elsewhere = settings.of_space(space.name).root_path
        return path_of_space(space.name) if self._options.door is not None and not elsewhere else ""

    def _shown(self, service: Service, path: str) -> Service:
        """The service, with the URL by which visitors reach it, or operators."""
        door = self._options.door
        if door is None:
            return service
        return replace(service, url=f"{door.operator_url if path == FLOWER else door.url}{path}")

    def flower(self) -> Iterator[Service]:
        """Flower, if the operator wants it."""
        port = self._options.flower_port
        if port is None:
            return
        module = of_module("spaces_workers.flower", "--address", FLOWER_HOST, "--port", str(port))
        prefix = FLOWER if self._options.door is not None else ""
        own = {FLOWER_LOGIN: self._login} | ({"FLOWER_URL_PREFIX": prefix.strip("/")} if prefix else {})
        command = Command(module, self._environment("flower", own), self._log("flower"))
        yield self._shown(self._page("Flower", command, (FLOWER_HOST, port), f"{prefix}/healthcheck"), FLOWER)

    def _environment(self, user: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of one of the farm's own processes, a user of the broker."""
        return environment_of(self._broker.url_of(user), more)

    def _page(
        self, name: str, command: Command, address: tuple[str, int], *paths: str, space: ServedSpace | None = None
    ) -> Service:
        host, port = local(address[0]), address[1]
        service = Service(name, command, lambda _: readiness.page(host, port, *paths), url_of(host, port))
        if space is None:
            return service
        path = settings.of_space(space.name).root_path or self._root_path(space)
        return replace(service, space=space.name, root_path=path, source=source_at(space.app_file), title=space.title)

    def _log(self, name: str) -> Path:
        return log_files.of_process(self._options.state_dir, name)


def _page_port(host: str, port: int, key: bytes) -> PagePort | None:
    try:
        return PagePort(host, port, key)
    except OSError:
        return None  # it was taken since it was found free: the page says by whom
