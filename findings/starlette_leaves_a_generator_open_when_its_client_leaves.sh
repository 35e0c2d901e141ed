#!/usr/bin/env bash
# A plain generator that starlette streams is not closed when its client leaves, but only by Python's garbage collector, later.
#
# Versions:  starlette 1.10.0, anyio 4.16.0, uvicorn 0.54.0, Python 3.11, Linux x86-64
# Guessed:   StreamingResponse closes the generator, or drops its last reference, so `finally` and `with` end within moments
# Seen:      starlette notices at once, runs the response's background task, and never closes the generator. The traceback of
#            the cancelled call holds the frames of `iterate_in_threadpool` and anyio in a cycle, and these hold the generator. An
#            async generator that waits is cancelled at once. A lock, a file or a job that the plain one holds is held until a
#            full collection, in a quiet server for minutes.
# Run:       findings/starlette_leaves_a_generator_open_when_its_client_leaves.sh   (PYTHON=... names the interpreter)
#
# The collector is off while it looks. Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q starlette==1.10.0 anyio==4.16.0 uvicorn==0.54.0 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/look.py" <<'PY'
import asyncio
import gc
import os
import socket
import threading
import time

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse
from starlette.routing import Route

noticed, closed = threading.Event(), threading.Event()


def plain():
    try:
        while True:
            yield b"words\n"
            time.sleep(0.02)
    finally:
        closed.set()


async def asynchronous():
    try:
        while True:
            yield b"words\n"
            await asyncio.sleep(0.02)
    finally:
        closed.set()


def route(generator):
    async def respond(request):
        return StreamingResponse(generator(), background=BackgroundTask(noticed.set))

    return Route(f"/{generator.__name__}", respond)


def leave(path):
    noticed.clear()
    closed.clear()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET /{path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        client.recv(100)
    return noticed.wait(60), closed.wait(3)


server = uvicorn.Server(uvicorn.Config(Starlette(routes=[route(plain), route(asynchronous)]), port=0, log_level="critical"))
threading.Thread(target=server.run, daemon=True).start()
while not server.started:
    time.sleep(0.02)
port = server.servers[0].sockets[0].getsockname()[1]
gc.disable()
print("asynchronous, noticed and closed:", *leave("asynchronous"))
print("plain, noticed and closed:", *leave("plain"))
gc.collect()
print("closed by a collection:", closed.wait(60), flush=True)
os._exit(0)
PY

expected="asynchronous, noticed and closed: True True
plain, noticed and closed: True False
closed by a collection: True"
seen=$("$folder/venv/bin/python" "$folder/look.py")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
