"""The visitor's identity: a login, a token that the farm knows, an unforgeable address; equal in every thread."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from gradio.context import LocalContext

from spaces.farm.queue.settings_file.tiers import QuotaRules, Tier
from spaces.web import identity
from spaces.web.identity import acting_for, current_identity, hashed, visitor_of

TOKEN = "hf_abcdefgh"
RULES = QuotaRules(
    enabled=True,
    trusted_proxies=("10.0.0.0/8", "::1"),
    tiers={"member": Tier("member")},
    visitors={hashed(TOKEN): "member"},
)


def request(
    peer: str = "192.0.2.7", login: str | None = None, session: dict[str, Any] | None = None, **headers: str
) -> SimpleNamespace:
    """The parts of Gradio's request that identify a visitor."""
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"client": (peer, 1234), "headers": lines, "session": session or {}}
    return SimpleNamespace(username=login, request=SimpleNamespace(scope=scope))


@pytest.fixture
def following_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a web process, until the end of the test."""
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.start)
    monkeypatch.setattr(ThreadPoolExecutor, "submit", ThreadPoolExecutor.submit)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    identity.prepare(RULES)


@pytest.fixture
def event() -> Iterator[Callable[..., None]]:
    """Makes this thread serve the event of a visitor."""
    token = LocalContext.request.set(None)
    yield lambda **options: LocalContext.request.set(request(**options))
    LocalContext.request.reset(token)


def whoever() -> str:
    return current_identity(RULES, "digits")


def test_a_login_names_its_visitor() -> None:
    assert visitor_of(request(login="ada", authorization=f"Bearer {TOKEN}"), RULES) == "user:ada"


def test_an_oauth_profile_names_its_visitor() -> None:
    profile = {"oauth_info": {"userinfo": {"preferred_username": "ada", "name": "Ada"}}}
    assert visitor_of(request(session=profile), RULES) == "user:ada"


@pytest.mark.parametrize("header", ["authorization", "x_hf_authorization"])
def test_a_known_token_names_its_visitor_by_its_hash(header: str) -> None:
    headers: dict[str, Any] = {header: f"Bearer {TOKEN}"}
    found = visitor_of(request(**headers), RULES)
    assert found == hashed(TOKEN)
    assert TOKEN not in found


@pytest.mark.parametrize("value", ["Bearer hf_invented", "Bearer ", f"Basic {TOKEN}", TOKEN])
def test_a_token_that_nobody_listed_is_no_new_visitor(value: str) -> None:
    """Otherwise a caller with a new token for each call would have no quota."""
    assert visitor_of(request(authorization=value), RULES) == "address:192.0.2.7"


def test_the_token_that_pages_of_hugging_face_send_names_nobody() -> None:
    """It was signed outside of this farm, and a visitor could send any."""
    assert visitor_of(request(x_ip_token=TOKEN), RULES) == "address:192.0.2.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),  # no trusted proxy says so
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),  # what the visitor wrote himself is before it
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),  # two proxies
        ("10.0.0.1", "198.51.100.1:5000", "198.51.100.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::1", "[2001:db8:1:2::3]:443", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::7", "", "2001:db8:1:2::/64"),  # the visitor chooses the rest of it
        ("::ffff:192.0.2.7", "", "192.0.2.7"),
    ],
)
def test_an_address_is_the_nearest_one_that_is_no_trusted_proxy(peer: str, forwarded: str, address: str) -> None:
    assert visitor_of(request(peer, x_forwarded_for=forwarded), RULES) == f"address:{address}"


def test_without_an_event_the_space_itself_asks() -> None:
    assert current_identity(RULES, "digits") == "space:digits"
    assert current_identity(RULES) == ""


def test_with_quotas_off_nobody_is_told_apart(event: Callable[..., None]) -> None:
    event(login="ada")
    assert current_identity(QuotaRules(), "digits") == ""


def test_a_batch_counts_for_the_first_of_its_visitors() -> None:
    context = contextvars.copy_context()
    context.run(LocalContext.request.set, [request(login="ada"), request(login="grace")])
    assert context.run(whoever) == "user:ada"


def test_a_thread_acts_for_the_visitor_of_its_starter(event: Callable[..., None], following_threads: None) -> None:
    found: list[str] = []

    def begin_another() -> None:
        inner = threading.Thread(target=lambda: found.append(whoever()))
        inner.start()
        inner.join()

    event(login="ada")
    outer = threading.Thread(target=begin_another)
    outer.start()
    LocalContext.request.set(None)
    outer.join()
    assert found == ["user:ada"]


def test_a_job_of_a_pool_acts_for_whoever_submits_it(event: Callable[..., None], following_threads: None) -> None:
    with ThreadPoolExecutor(1) as pool:
        event(login="ada")
        assert pool.submit(whoever).result() == "user:ada"
        event(login="grace")
        assert list(pool.map(lambda _: whoever(), range(2))) == ["user:grace"] * 2
        LocalContext.request.set(None)
        assert pool.submit(whoever).result() == "space:digits"


def test_a_coroutine_keeps_its_visitor_in_threads(event: Callable[..., None], following_threads: None) -> None:
    async def ask() -> str:
        return await asyncio.to_thread(whoever)

    event(login="ada")
    assert asyncio.run(ask()) == "user:ada"


def test_an_event_goes_before_the_visitor_of_the_thread(event: Callable[..., None]) -> None:
    with acting_for("user:grace"):
        assert whoever() == "user:grace"
        event(login="ada")
        assert whoever() == "user:ada"


def test_uvicorn_is_told_to_believe_the_trusted_proxies_alone(following_threads: None) -> None:
    assert os.environ["FORWARDED_ALLOW_IPS"] == "10.0.0.0/8,::1"


def test_with_quotas_off_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    start = threading.Thread.start
    identity.prepare(QuotaRules())
    assert os.environ["FORWARDED_ALLOW_IPS"] == "*"
    assert threading.Thread.start is start
