"""How long do 16 MB take there and back, beside Celery's JSON? `python -m benchmarks.payload`"""

from __future__ import annotations

import base64

import numpy
from numpy.typing import NDArray

from benchmarks.calls.farms import celery_prefork, interleaved, our_farm, report

ROUNDS = 7
SIZE_BYTES = 16 * 1024 * 1024


def main() -> None:
    """An array of 16 MB, echoed: by shared memory, by the broker as between hosts, and as base64 in Celery's JSON."""
    array = numpy.random.default_rng(0).integers(0, 256, SIZE_BYTES, dtype=numpy.uint8)
    with our_farm() as farm, celery_prefork() as celery:
        echo = celery.tasks["benchmarks.calls.peer.echo"]
        one_host, two_hosts = farm.client("no-op", near=True), farm.client("no-op")
        seconds = interleaved(
            {
                "one host": lambda: one_host.submit("no-op", "echo", array).result(),
                "two hosts": lambda: two_hosts.submit("no-op", "echo", array).result(),
                "celery": lambda: _decoded(echo.delay(base64.b64encode(array.tobytes()).decode()).get()),
            },
            ROUNDS,
            warm_up=1,
        )
    report("16 MB there and back, one host", seconds["one host"], "Celery JSON", seconds["celery"], 0.25)
    report("16 MB there and back, two hosts", seconds["two hosts"], "Celery JSON", seconds["celery"], 0.5)


def _decoded(text: str) -> NDArray[numpy.uint8]:
    return numpy.frombuffer(base64.b64decode(text), dtype=numpy.uint8)


if __name__ == "__main__":
    main()
