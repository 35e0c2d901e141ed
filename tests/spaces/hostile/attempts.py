"""What a Space could do to others and to the farm. Each attempt returns its booty, or raises because it was refused.

`targets` has paths and process ids of the farm and of another Space. An attempt is left out while it has no target.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from spaces.farm import wire
from spaces.farm.events import Succeeded
from spaces.farm.links import messages as says
from spaces.farm.links.frames import Frames, frame
from spaces.farm.links.gateway_address import connected
from spaces.farm.payloads.payload import Payload
from spaces.farm.task import FunctionName, Task
from spaces.farm.version import VERSION

CLONE_NEWUSER = 0x10000000
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000

_UNSHARE = f"import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare({CLONE_NEWUSER}) != 0)"

libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def read_the_state_directory(targets):
    return Path(targets["state_dir"], "version").read_text()


def read_the_farm_s_key(targets):
    return Path(targets["state_dir"], "farm.key").read_text()


def read_the_farm_s_settings(targets):
    return Path(targets["state_dir"], "farm.toml").read_text()


def read_the_logs_of_another_space(targets):
    return Path(targets["state_dir"], "logs", "web-victim.log").read_bytes()


def read_the_source_of_another_space(targets):
    return Path(targets["victim"], "app.py").read_text()


def read_the_home_of_the_operator(targets):
    return Path(targets["home"], "secret").read_text()


def read_a_temporary_file_of_the_operator(targets):
    return Path(targets["temporary"]).read_text()


def read_a_temporary_file_of_another_space(targets):
    return Path("/tmp/secret-of-the-victim").read_text()


def read_shared_memory_of_others(targets):
    return Path(targets["shared"]).read_text()


def list_the_payloads_of_others(targets):
    return os.listdir(Path(targets["run_dir"], "blobs"))


def read_a_payload_of_others(targets):
    return Path(targets["payload"]).read_bytes()


def see_processes_of_others(targets):
    found = []
    for entry in os.scandir("/proc"):
        with suppress(OSError):
            if entry.name.isdigit() and b"ZEROFARM_KEY" in Path(entry.path, "environ").read_bytes():
                found.append(entry.name)
    if not found:
        raise PermissionError("no process of the farm is seen")
    return found


def signal_another_process(targets):
    os.kill(targets["pid"], 0)
    return targets["pid"]


def trace_another_process(targets):
    checked(libc.ptrace(PTRACE_SEIZE, targets["pid"], None, None))
    libc.ptrace(PTRACE_INTERRUPT, targets["pid"], None, None)
    os.waitpid(targets["pid"], WALL)
    checked(libc.ptrace(PTRACE_DETACH, targets["pid"], None, None))  # only a process that has stopped is let go
    return targets["pid"]


def write_to_the_farm_s_packages(targets):
    import spaces

    with open(spaces.__file__, "a"):
        return spaces.__file__


def add_a_package_to_the_farm(targets):
    path = Path(targets["packages"], "zerofarm_hostile.pth")
    path.write_text("")
    path.unlink()
    return path


def mount_a_file_system(targets):
    Path("mounted").mkdir(exist_ok=True)
    checked(libc.mount(b"tmpfs", b"mounted", b"tmpfs", ctypes.c_ulong(0), None))
    libc.umount2(b"mounted", 2)
    return "mounted"


def make_a_user_namespace(targets):
    ended = subprocess.run([sys.executable, "-S", "-c", _UNSHARE], stderr=subprocess.DEVNULL).returncode
    if ended:
        raise PermissionError(f"the process ended with {ended}")
    return "root in a namespace"


def make_a_program_that_runs_as_its_owner(targets):
    program = Path("program")
    program.touch()
    program.chmod(0o4755)
    program.unlink()
    return "setuid"


def use_a_capability(targets):
    os.chroot("/")
    return "chroot"


def open_a_disk(targets):
    device = next(Path("/sys/block").iterdir()).name
    os.close(os.open(f"/dev/{device}", os.O_RDONLY))
    return device


def read_the_kernel_s_log(targets):
    with open("/dev/kmsg"):
        return "/dev/kmsg"


def connect_to_the_nursery(targets):
    for path in targets["sockets"]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
    return targets["sockets"]


def read_the_broker_s_password(targets):
    return Path(targets["state_dir"], "broker.password").read_text()


def connect_to_the_gateway_of_another_space(targets):
    with connected(targets["gate_of_victim"]):
        return targets["gate_of_victim"]


def read_the_broker_without_a_password(targets):
    return asked_of_broker(targets, "HGETALL", "{zerofarm}:tokens")


def tell_the_broker_an_end(targets):
    return asked_of_broker(targets, "PUBLISH", f"{{zerofarm}}:inbox:{targets['task_of_victim']}", "an end")


def guess_the_password_of_the_broker(targets):
    for login in (("",), ("password",), ("default", ""), ("worker", ""), ("worker", "worker"), ("gateway", "zerofarm")):
        with suppress(PermissionError):
            return asked_of_broker(targets, "AUTH", *login)
    raise PermissionError("no guess was right")


def read_a_task_of_another_space(targets):
    return asked_of_gateway(targets, says.AskState(targets["task_of_victim"]))


def follow_a_task_of_another_space(targets):
    return asked_of_gateway(targets, says.Join(targets["task_of_victim"]))


def stop_a_task_of_another_space(targets):
    return asked_of_gateway(targets, says.Cancel(targets["task_of_victim"], "stopped by a stranger"))


def forge_the_end_of_a_task(targets):
    return asked_of_gateway(targets, Succeeded(Payload(b"forged")))


def submit_a_task_of_another_space(targets):
    task = Task("victim", FunctionName("__main__", "process_id"), Payload(b""), id=targets["task_of_victim"])
    return asked_of_gateway(targets, says.Submit(task))


def learn_of_another_space(targets):
    return asked_of_gateway(targets, says.Find("victim"))


def asked_of_broker(targets, *words):
    """The answer of the farm's broker to one command."""
    command = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(targets["broker"])
        sock.sendall(b"*%d\r\n%s" % (len(words), command))
        answer = sock.recv(4096)
    if answer.startswith(b"-"):
        raise PermissionError(answer.decode())
    return answer


def asked_of_gateway(targets, message):
    """The answer of the Space's own gateway."""
    with connected(targets["gate"]) as sock:
        frames = Frames(sock)
        for number, each in enumerate((says.Hello("0123456789ab", VERSION), message), 2):
            sock.sendall(frame(number, wire.pack(each)))
            answer = wire.unpack(frames.next(20)[1])
            if isinstance(answer, says.Refusal):
                raise PermissionError(answer.text)
    return answer


def start_more_processes_than_allowed(targets):
    bomb = "import os, time\nfor _ in range(600):\n if os.fork() == 0: time.sleep(60)\ntime.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", bomb], start_new_session=True, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    try:
        process.wait(8)
    except subprocess.TimeoutExpired:
        return "600 processes"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with suppress(ChildProcessError):  # they came to this process, which adopts orphans
            while os.waitpid(-process.pid, 0):
                pass
    raise PermissionError(f"the processes ended with {process.returncode}")


def take_more_memory_than_allowed(targets):
    hog = "x = bytearray(3 << 30)\nx[::4096] = b'1' * len(x[::4096])"
    ended = subprocess.run([sys.executable, "-S", "-c", hog], stderr=subprocess.DEVNULL).returncode
    if ended:
        raise MemoryError(f"the process ended with {ended}")
    return "3 GiB"


#: These leave too little to the Space itself for a while.
LIMITS = {each.__name__: each for each in (start_more_processes_than_allowed, take_more_memory_than_allowed)}

#: These are refused also where nothing separates Spaces.
HOPELESS = {
    each.__name__: each
    for each in (
        *(read_the_broker_without_a_password, tell_the_broker_an_end, guess_the_password_of_the_broker),
        *(read_a_task_of_another_space, follow_a_task_of_another_space, stop_a_task_of_another_space),
        *(forge_the_end_of_a_task, submit_a_task_of_another_space, learn_of_another_space),
    )
}

_HELPERS = (checked, asked_of_broker, asked_of_gateway)

ATTEMPTS = {
    each.__name__: each
    for each in list(globals().values())
    if getattr(each, "__module__", "") == __name__
    and each not in _HELPERS
    and each.__name__ not in {*LIMITS, *HOPELESS}
}


def tried(targets, attempts=ATTEMPTS | HOPELESS):
    """Make the attempts: by the name of each, whether it was refused, and the booty or the error."""
    return {name: outcome(attempt, targets) for name, attempt in attempts.items()}


def outcome(attempt, targets):
    try:
        return False, str(attempt(targets))
    except KeyError:
        return True, "not tried: its target is not known yet"
    except (OSError, MemoryError) as error:
        return True, f"{type(error).__name__}: {error}"
