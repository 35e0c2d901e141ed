"""A TCP relay between a farm and its broker: an address that a failover can move, and a link that can go bad."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

#: Bytes that are passed on at once.
CHUNK = 65536


class Relay:
    """Passes on what comes to its port, from a thread of its own. All attributes may be set at any time."""

    def __init__(self, target: int, listener: socket.socket | None = None) -> None:
        self.target = target  #: a port of this host
        self.delay = 0.0  #: seconds that each chunk takes, in each direction
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._generation = 0  #: connections of an older one are half open: nothing passes, and nothing is closed
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="relay", daemon=True)
        self._thread.start()
        started.wait()

    def half_open(self) -> None:
        """The other side of every present connection is gone without a word; new connections work."""
        self._generation += 1

    def forget(self) -> None:
        """End every present connection as a host does that has lost its power: the other side is told at best once."""
        asyncio.run_coroutine_threadsafe(self._forget(), self._loop).result()

    def move(self, target: int) -> None:
        """Another server has the address now; connections to the old one are closed."""
        self.target = target
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result()

    def close(self) -> None:
        """Stop passing on."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, sock=self._listener))
        started.set()
        self._loop.run_forever()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        generation = self._generation
        await asyncio.gather(
            self._pass_on(reader, far_writer, generation), self._pass_on(far_reader, writer, generation)
        )
        self._writers -= {writer, far_writer}

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, generation: int) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if generation == self._generation:
                    writer.write(chunk)
                    await writer.drain()
        if generation == self._generation:
            writer.close()

    async def _forget(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _drop(self) -> None:
        for writer in self._writers:
            writer.close()
