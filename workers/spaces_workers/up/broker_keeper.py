"""Keeps the farm's own broker running, or finds the operator's broker."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from spaces_workers.broker.broker import Broker, BrokerError
from spaces_workers.broker.embedded import EmbeddedBroker
from spaces_workers.broker.find import find_broker
from spaces_workers.broker.full_disk import mend_after_full_disk
from spaces_workers.broker.server_settings import Listen
from spaces_workers.up.keeper import Pause
from spaces_workers.up.process import described, end_of
from spaces_workers.up.reports import Answering, Reporter, Restarting, Starting

NAME = "broker"


class BrokerKeeper:
    """The broker of one state directory, or the one at a URL."""

    def __init__(self, state_dir: Path, url: str | None, listen: Listen | None, report: Reporter) -> None:
        self._state_dir = state_dir
        self._url = url
        self._listen = listen
        self._report = report
        self._finding: asyncio.Task[Broker] | None = None
        self._pause = Pause()

    async def start(self) -> Broker:
        """Start or find the broker; returns it once it answers. Raises BrokerError."""
        started = time.monotonic()
        self._report(Starting(NAME))
        # A thread cannot be cancelled: `stop` waits for the broker that it finds, and stops that.
        self._finding = asyncio.create_task(
            asyncio.to_thread(find_broker, self._state_dir, self._url, listen=self._listen)
        )
        broker = await asyncio.shield(self._finding)
        self._report(Answering(NAME, "", time.monotonic() - started))
        return broker

    async def run(self, broker: Broker) -> None:
        """Restart the farm's own broker whenever it dies; returns at once for the operator's broker."""
        while isinstance(broker, EmbeddedBroker):
            born = time.monotonic()
            mending = asyncio.create_task(mend_after_full_disk(broker.url))
            try:
                await end_of(broker.server.pid)
            finally:
                mending.cancel()
            await asyncio.to_thread(broker.stop)
            status = broker.server.returncode
            reason = described(status) if status is not None else "has ended"
            broker = await self._again(reason, time.monotonic() - born)

    async def stop(self) -> None:
        """Stop the broker if it is the farm's own; its data are complete afterwards."""
        if self._finding is not None:
            with suppress(BrokerError):
                broker = await self._finding
                await asyncio.to_thread(broker.stop)

    async def _again(self, reason: str, lived: float) -> Broker:
        while True:
            pause = self._pause.next(lived)
            self._report(Restarting(NAME, reason, pause, str(self._state_dir / "broker.log")))
            await asyncio.sleep(pause)
            try:
                return await self.start()
            except BrokerError as error:
                reason, lived = f"did not start: {error}", 0.0
