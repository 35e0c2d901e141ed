"""Connections whose other end is gone without a word, as after a loss of power: they are noticed and made again."""

from __future__ import annotations

import time

import pytest
from redis import TimeoutError as BrokerSilent
from redis.client import PubSub

from chaos.brokers import Brokers
from chaos.relay import Relay
from spaces.farm.connection import connect
from spaces.farm.subscription import Subscription
from tests.harness import Farm
from tests.processes.test_deaths import running
from tests.waiting import PATIENCE, wait_until

#: Seconds that half a minute of silence, which such a connection took before, must not fit into.
SOON = 20.0


def test_a_stream_and_a_new_call_go_on_soon_after_all_connections_were_lost(replicated: Farm, brokers: Brokers) -> None:
    with replicated.client() as client:
        stream = client.submit("faults", "count", 30, 0.1)
        wait_until(lambda: running(replicated, stream.id))
        brokers.link.half_open()
        lost_at = time.monotonic()
        assert list(stream) == list(range(30))
        assert client.submit("faults", "add", 3, 4).result(timeout=PATIENCE) == 7
        assert time.monotonic() - lost_at < SOON


def test_a_dead_subscription_says_so_and_subscribes_again(brokers: Brokers) -> None:
    """Behind a proxy that lost its power only the silence shows it: the proxy's system has answered for the broker."""
    proxy = Relay(brokers.primary.port)
    with (
        connect(f"redis://{proxy.host}:{proxy.port}/0") as redis,
        Subscription(redis.connection_pool, ignore_subscribe_messages=True) as told,
    ):
        told.subscribe("news")
        wait_until(lambda: _publish(brokers) == 1)
        wait_until(lambda: _heard(told))
        proxy.half_open()
        with pytest.raises(BrokerSilent):
            wait_until(lambda: _heard(told), SOON)
        wait_until(lambda: _publish(brokers) and _heard(told))
    proxy.close()


def _heard(told: PubSub) -> bool:
    return told.get_message(timeout=1.0) is not None


def _publish(brokers: Brokers) -> int:
    """How many subscriptions got it; one that is half open counts."""
    with brokers.primary.connection() as redis:
        return int(redis.publish("news", "new"))
