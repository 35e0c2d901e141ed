"""The doors of a gateway come and go while it runs; who is inside goes on."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from spaces.farm.links import messages as says
from spaces_workers.gateway import orders
from spaces_workers.gateway.place import Gate, orders_of, socket_of
from tests.harness import Farm
from tests.processes.gateway_line import bare_page
from tests.waiting import PATIENCE, wait_until

FAULTS = Gate("faults", "faults", os.getuid())
SECOND = Gate("faults.2", "faults", os.getuid(), serves=False)


@pytest.fixture
def gated(own_farm: Farm) -> Farm:
    own_farm.start_gateway("faults")
    return own_farm


def tell(farm: Farm, *gates: Gate) -> None:
    orders.tell(farm.run_dir, farm.state_dir, list(gates))


def test_a_door_is_opened_and_closed_and_who_is_inside_goes_on(gated: Farm) -> None:
    wait_until(orders_of(gated.run_dir, gated.state_dir).exists)
    with bare_page(gated.address_of("faults")) as first:
        tell(gated, FAULTS, SECOND)
        with bare_page(gated.address_of("faults.2")) as second:
            assert isinstance(second.ask(says.AskHosts()), says.TheHosts)
            tell(gated, SECOND)
            assert isinstance(first.ask(says.AskHosts()), says.TheHosts), "a connection ended with its door"
            assert not socket_of(gated.run_dir, gated.state_dir, "faults").exists()
            with bare_page(gated.address_of("faults.2")) as third:
                assert isinstance(third.ask(says.AskHosts()), says.TheHosts)


def test_a_page_beside_the_one_that_serves_is_found_by_nobody(gated: Farm) -> None:
    wait_until(orders_of(gated.run_dir, gated.state_dir).exists)
    first = gated.register("faults")
    tell(gated, FAULTS, SECOND)
    with bare_page(gated.address_of("faults.2")) as page:
        page.ask(says.Register(first))
        assert gated.registry.candidate("faults") is not None
        assert gated.registry.find("faults").client == first.client
        tell(gated, Gate("faults.2", "faults", os.getuid()))
    with bare_page(gated.address_of("faults.2")) as page:
        page.ask(says.Register(first))
        assert gated.registry.find("faults").client != first.client


@pytest.mark.parametrize("orders", [b"", b"not json", b'[["a"]]', b'{"a": 1}', b"[[1, 2, 3, 4, 5, 6, 7]]"])
def test_strange_orders_change_nothing(gated: Farm, orders: bytes) -> None:
    path = orders_of(gated.run_dir, gated.state_dir)
    wait_until(path.exists)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        sock.sendall(orders)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(16) == b""
    with bare_page(gated.address_of("faults")) as page:
        assert isinstance(page.ask(says.AskHosts()), says.TheHosts)
