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

CLONE_NEWUSER = 0x10000000
PTRACE_SEIZE = 0x4206

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
    libc.ptrace(17, targets["pid"], None, None)  # PTRACE_DETACH
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

ATTEMPTS = {
    each.__name__: each
    for each in list(globals().values())
    if getattr(each, "__module__", "") == __name__ and each is not checked and each.__name__ not in LIMITS
}


def tried(targets, attempts=ATTEMPTS):
    """Make the attempts: by the name of each, whether it was refused, and the booty or the error."""
    return {name: outcome(attempt, targets) for name, attempt in attempts.items()}


def outcome(attempt, targets):
    try:
        return False, str(attempt(targets))
    except KeyError:
        return True, "not tried: its target is not known yet"
    except (OSError, MemoryError) as error:
        return True, f"{type(error).__name__}: {error}"
