"""A Space of $SLEEPY_MB and $SLEEPY_PIECES MiB of weights, which it changes; its functions break its sleep to order."""

import hashlib
import os
import signal
import threading
import time

import torch

import spaces

MEGABYTES = int(os.environ.get("SLEEPY_MB", "40"))

base = torch.arange(MEGABYTES << 17, dtype=torch.int64).to("cuda")
head = base[:1000]
pieces = [torch.full((1 << 18,), float(n)).to("cuda") for n in range(int(os.environ.get("SLEEPY_PIECES", "0")))]
tied = torch.nn.Parameter(base, requires_grad=False)


@spaces.GPU
def facts():
    same = base.data_ptr() == head.data_ptr() == tied.data_ptr()
    return (
        os.getpid(),
        same,
        hashlib.sha256(
            memoryview(torch.cat([base, *(each.view(torch.int64) for each in pieces)]).cpu().numpy()).cast("B")
        ).hexdigest(),
    )


@spaces.GPU
def change(place, value):
    head.data[place] = value  # which its version counter does not see


@spaces.GPU(duration=600)
def nap(seconds):
    time.sleep(seconds)


@spaces.GPU
def fault(method, error, count):
    """Let the next call of a method of its card fail; "kill" kills the process there."""
    from spaces_workers.child.sleep.standin_card import StandInCard
    from spaces_workers.gpu.standin_memory import OutOfMemoryError

    original = getattr(StandInCard, method)
    left = [count]

    def failing(self, *args, **options):
        left[0] -= 1
        if left[0] >= 0:
            if error == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise {"full": OutOfMemoryError("CUDA out of memory"), "broken": RuntimeError("the bus broke")}[error]
        return original(self, *args, **options)

    setattr(StandInCard, method, failing)


@spaces.GPU
def keep_all():
    """From now on its card frees nothing."""
    from spaces_workers.child.sleep.standin_card import StandInCard

    StandInCard.release = lambda self, storage: None


@spaces.GPU
def change_later(file, value):
    """Change a weight when the file is gone, which no task waits for, and make the file again."""

    def change():
        while os.path.exists(file):
            threading.Event().wait(0.01)
        head.data[0] = value
        open(file, "w").close()
        threading.Event().wait()

    threading.Thread(target=change, daemon=True).start()


@spaces.GPU
def first():
    return os.getpid(), int(head[0])
