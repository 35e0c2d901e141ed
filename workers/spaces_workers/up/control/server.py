"""Serves the control socket: lines of JSON, as `spaces/farm/links/operator_line.py` describes them."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from redis import RedisError

from spaces.errors import SpacesError
from spaces.farm.links.operator_line import SOCKET, in_folder, told
from spaces.farm.queue.control.audit import Action
from spaces_workers.link.listener import BACKLOG, peer_uid
from spaces_workers.up.control.actions import Actions, Json, detail_of, target_of

#: Bytes of one request.
LONGEST = 64 * 1024

#: Actions that change nothing, and are not recorded.
HARMLESS = {"list", "status"}


class ControlServer:
    """At the control socket of one state directory."""

    def __init__(self, state_dir: Path, actions: Actions, record: Callable[[Action], None]) -> None:
        self._path = state_dir / SOCKET
        self._actions = actions
        self._record = record
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            with in_folder(self._path.parent) as path:
                listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        self._server = await asyncio.start_unix_server(self._converse, sock=listener, limit=LONGEST)

    def stop(self) -> None:
        """Answer nobody any more."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer.get_extra_info("socket"))
        try:
            if uid not in (os.getuid(), 0):
                writer.write(told({"fault": f"user {uid} may not operate this farm"}))
            else:
                await self._answer(await _line_of(reader), uid, writer)
            await writer.drain()
        except OSError:
            pass  # who asked has left; an action that was begun is done
        finally:
            writer.close()

    async def _answer(self, line: bytes, uid: int, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(line)
            action, arguments, by = request["action"], dict(request.get("with", {})), f"{request.get('by', '')}"
        except (ValueError, KeyError, TypeError):
            writer.write(told({"fault": 'a request is one line of JSON with "action", "by" and "with"'}))
            return
        by = by or f"{_name_of(uid)} at the control socket"
        try:
            done = await self._actions.do(action, by, arguments, lambda text: writer.write(told({"note": text})))
        except (SpacesError, OSError, RedisError) as error:
            await self._note(by, action, arguments, f"failed: {error}")
            writer.write(told({"fault": str(error)}))
        else:
            await self._note(by, action, arguments, "")
            writer.write(told({"done": done}))

    async def _note(self, by: str, action: str, arguments: Json, outcome: str) -> None:
        if action not in HARMLESS:
            detail = " ".join(filter(None, (detail_of(arguments), outcome)))
            with suppress(RedisError):  # the broker is away; what was done is done
                await asyncio.to_thread(self._record, Action(by, action, target_of(arguments), detail))


async def _line_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # it is too long
        return b""


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
