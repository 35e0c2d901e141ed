"""Workers and gateways that have no file descriptor left go on when they have some, and say so shortly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psutil

from spaces.web.descriptors import MOST
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until


def test_a_worker_out_of_descriptors_recovers_and_fills_no_disk(own_farm: Farm) -> None:
    """It took the same task hundreds of times a second, and wrote 110 MB of log a minute."""
    worker = psutil.Process(own_farm.start_worker().pid)
    log = own_farm.folder / "cpu0.log"
    soft, hard = worker.rlimit(psutil.RLIMIT_NOFILE)
    with own_farm.client() as client:
        wait_until(lambda: "cpu0@test-host is ready" in log.read_text())
        worker.rlimit(psutil.RLIMIT_NOFILE, (worker.num_fds(), hard))
        call = client.submit("faults", "add", 1, 2)
        wait_until(lambda: "Too many open files" in log.read_text())
        started = log.stat().st_size
        before = sum(worker.cpu_times())
        wait_until(lambda: sum(worker.cpu_times()) > before + 0.1)  # it has tried again, and again
        worker.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
        assert call.result(timeout=PATIENCE) == 3
    assert log.stat().st_size - started < 100_000


def test_a_worker_may_have_more_descriptors_than_it_got_at_first(own_farm: Farm) -> None:
    """It holds one for each part that sleepers share, and many systems allow 1,024 at first."""
    started = own_farm.start_worker(within=["sh", "-c", 'ulimit -Sn 512; exec "$@"', "sh"])
    soft, hard = psutil.Process(started.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == min(MOST, hard)


def test_a_gateway_out_of_descriptors_recovers_and_fills_no_disk(own_farm: Farm) -> None:
    gateway = psutil.Process(own_farm.start_gateway("faults").pid)
    own_farm.start_worker()
    log = own_farm.folder / "gateway.log"
    soft, hard = gateway.rlimit(psutil.RLIMIT_NOFILE)
    with own_farm.client_of_gateway() as page, ThreadPoolExecutor() as threads:
        gateway.rlimit(psutil.RLIMIT_NOFILE, (3, hard))
        call = threads.submit(lambda: page.submit("faults", "add", 1, 2).result(timeout=PATIENCE))
        wait_until(lambda: log.read_text().count("was not accepted") >= 2)
        gateway.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
        assert call.result() == 3
    assert log.stat().st_size < 10_000
