"""A worker that has no file descriptor left holds its task until it has some, and says so shortly."""

from __future__ import annotations

import psutil

from tests.harness import Farm, wait_until


def test_a_worker_out_of_descriptors_recovers_and_fills_no_disk(own_farm: Farm) -> None:
    """It took the same task hundreds of times a second, and wrote 110 MB of log a minute."""
    worker = psutil.Process(own_farm.start_worker().pid)
    log = own_farm.folder / "cpu0.log"
    soft, hard = worker.rlimit(psutil.RLIMIT_NOFILE)
    with own_farm.client() as client:
        wait_until(lambda: "is ready" in log.read_text())
        worker.rlimit(psutil.RLIMIT_NOFILE, (worker.num_fds(), hard))
        call = client.submit("faults", "add", 1, 2)
        wait_until(lambda: "Too many open files" in log.read_text())
        started = log.stat().st_size
        before = worker.num_ctx_switches().voluntary
        wait_until(lambda: worker.num_ctx_switches().voluntary > before + 10)
        worker.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
        assert call.result(timeout=60) == 3
    assert log.stat().st_size - started < 100_000
