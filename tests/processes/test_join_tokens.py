"""A token to join works once, in its time, and for nothing else."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, cast

import pytest
from redis import Redis, ResponseError

from spaces.errors import FarmUnavailable
from spaces.farm.connection import connect
from spaces_workers.joining.invitations import Invitations
from spaces_workers.joining.join_token import JoinToken
from spaces_workers.joining.ticket import Ticket
from spaces_workers.setup.farm_key import fingerprint
from tests.harness import FARM_KEY, Farm
from tests.processes.second_host import (
    Host,
    made_token,
    open_farm,
    port,
    second,
    token_of,
    zerofarm,
)
from tests.waiting import wait_until

__all__ = ["open_farm", "port", "second"]  # fixtures


def test_a_token_works_once(open_farm: Farm, second: Host, port: int) -> None:
    token = token_of(open_farm)
    assert second.join(f"127.0.0.1:{port}", token).returncode == 0
    third = Host(open_farm, "third")
    refused = third.join(f"127.0.0.1:{port}", token)
    assert refused.returncode == 1
    assert f"token {JoinToken.of(token).id} was used, was revoked, or has expired" in refused.stderr
    assert "`zerofarm token worker`" in refused.stderr
    assert not (third.state_dir / "joined.url").exists()


def test_a_token_expires(open_farm: Farm, second: Host, port: int) -> None:
    token = JoinToken.new(fingerprint(FARM_KEY))
    Invitations(open_farm.redis).make(token, Ticket("worker:a", FARM_KEY.hex()), 1)
    wait_until(lambda: not open_farm.redis.exists(open_farm.queue.keys.invitation(token.id)))
    refused = second.join(f"127.0.0.1:{port}", token.text)
    assert refused.returncode == 1
    assert f"token {token.id} was used, was revoked, or has expired" in refused.stderr


def test_a_token_is_listed_and_can_be_revoked(open_farm: Farm, second: Host, port: int) -> None:
    token = token_of(open_farm)
    name = JoinToken.of(token).id
    assert name in zerofarm(open_farm, "token", "list")
    (listed,) = json.loads(zerofarm(open_farm, "token", "list", "--json"))
    assert (listed["id"], listed["use"], listed["made_at"]) == (name, "join", None)
    assert zerofarm(open_farm, "token", "revoke", name) == f"Token {name} to join is revoked\n"
    assert name not in zerofarm(open_farm, "token", "list")
    refused = second.join(f"127.0.0.1:{port}", token)
    assert refused.returncode == 1
    assert f"does not know token {name}: it is of another farm, was used or revoked" in refused.stderr


def test_a_token_whose_user_the_broker_has_forgotten_is_not_listed(open_farm: Farm) -> None:
    """A broker of the operator's own that saves keys, and no users, forgets those at its next start."""
    token = JoinToken.of(token_of(open_farm))
    open_farm.redis.acl_deluser(token.user)
    assert token.id not in zerofarm(open_farm, "token", "list")
    assert zerofarm(open_farm, "token", "revoke", token.id) == f"Token {token.id} to join is revoked\n"


def test_a_token_is_good_although_another_process_forgets_users_while_it_is_made(open_farm: Farm) -> None:
    """The other process removed the user of a token whose ticket was not written yet."""
    token, other = JoinToken.new(fingerprint(FARM_KEY)), JoinToken.new(fingerprint(FARM_KEY))
    ticket = Ticket("worker:a", FARM_KEY.hex())

    class Interrupted(Redis):
        def execute_command(self, *words: Any, **options: Any) -> Any:  # Any: as redis declares it
            Invitations(open_farm.redis).make(other, ticket, 60)
            return super().execute_command(*words, **options)  # type: ignore[no-untyped-call]  # redis declares none

    with Interrupted(connection_pool=open_farm.redis.connection_pool) as redis:
        Invitations(redis).make(token, ticket, 60)
    assert {token.id, other.id} == {each.id for each in Invitations(open_farm.redis).all()}
    assert {token.user, other.user} <= {*cast("list[str]", open_farm.redis.acl_users())}


def test_a_broker_that_makes_no_users_keeps_no_ticket(open_farm: Farm) -> None:
    token = JoinToken.new(fingerprint(FARM_KEY))
    with connect(open_farm.broker.url_of("gateway"), retry=None) as redis:
        open_farm.redis.acl_setuser("gateway", keys=["*"], commands=["+acl|users"], enabled=True)
        with pytest.raises(FarmUnavailable, match="does not let this login make a user"):
            Invitations(redis).make(token, Ticket("worker:a", FARM_KEY.hex()), 60)
    assert not open_farm.redis.exists(open_farm.queue.keys.invitation(token.id))


def test_a_token_with_the_login_of_the_operator_is_told_as_such(open_farm: Farm) -> None:
    """A broker of the operator's own may have no user for workers."""
    made = made_token(open_farm)
    assert "rights" not in made.stderr
    open_farm.redis.acl_deluser("worker")
    made = made_token(open_farm)
    assert "The broker has no user `worker`: the host gets the login of --redis-url" in made.stderr


def test_the_holder_of_a_token_can_do_nothing_else_at_the_broker(open_farm: Farm, port: int) -> None:
    token = JoinToken.of(token_of(open_farm))
    with connect(f"redis://{token.user}:{token.password}@127.0.0.1:{port}/0", retry=None) as redis:
        for command in (["KEYS", "*"], ["GET", "zf:tokens"], ["ACL", "LIST"], ["EVAL", "return 1", "0"], ["PING"]):
            with pytest.raises(ResponseError, match="permission"):
                redis.execute_command(*command)
        with pytest.raises(ResponseError, match="permission"):
            redis.getdel(open_farm.queue.keys.invitation("00000000"))


def test_who_reads_the_connection_or_the_broker_gets_neither_token_nor_key(
    open_farm: Farm, second: Host, port: int
) -> None:
    token = token_of(open_farm)
    kept = cast("bytes", open_farm.redis.get(open_farm.queue.keys.invitation(JoinToken.of(token).id)))
    with Tap(port) as tap:
        joined = second.join(f"127.0.0.1:{tap.port}", token)
        assert joined.returncode == 0, joined.stderr
    read = bytes(tap.read) + kept
    assert JoinToken.of(token).user.encode() in read
    for secret in (JoinToken.of(token).secret.encode(), FARM_KEY, FARM_KEY.hex().encode()):
        assert secret not in read


class Tap:
    """Passes a connection on to a port of this machine, and reads along."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.read = bytearray()

    def __enter__(self) -> Tap:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with source, target:
            while piece := source.recv(65536):
                self.read += piece
                target.sendall(piece)
