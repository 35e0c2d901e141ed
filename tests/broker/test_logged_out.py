"""A session of the operator's page that was ended stays so, also after a restart, and while the broker is away."""

from __future__ import annotations

import time

from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces_app.home.operator.logged_out import LoggedOut
from tests.broker.support import PLAIN, Server


def test_another_start_of_the_page_knows_which_sessions_were_ended(queue: Queue) -> None:
    LoggedOut(queue).add("token", time.time() + 600)
    assert [LoggedOut(queue).has(token) for token in ("token", "another")] == [True, False]


def test_it_is_remembered_until_the_session_would_have_ended(queue: Queue) -> None:
    LoggedOut(queue).add("token", time.time() + 600)
    (key,) = queue.redis.scan_iter(queue.keys.logged_out("*"))
    assert 0 < int(queue.redis.ttl(key)) <= 600
    assert b"token" not in key.rpartition(b":")[2]


def test_a_session_is_ended_also_while_the_broker_is_away(server: Server) -> None:
    with connect(server.url, retry=None) as redis:
        sessions = LoggedOut(Queue(redis, rules=PLAIN))
        server.kill()
        assert not sessions.has("token")
        sessions.add("token", time.time() + 600)
        assert sessions.has("token")
