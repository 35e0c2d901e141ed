"""Which threads a fork would lose, and whose they are."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spaces_workers.child import hang
from spaces_workers.forking.judgement import Loss
from spaces_workers.forking.libraries import Fate, Library
from spaces_workers.forking.native_threads import NativeThread, package_of_file, waits_for_another
from spaces_workers.forking.own_threads import waiting_threads
from tests.waiting import wait_until


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("/venv/lib/python3.11/site-packages/polars/polars.abi3.so", "polars"),
        ("/venv/lib/python3.11/site-packages/numpy.libs/libscipy_openblas64_.so", "numpy"),
        ("/venv/lib/python3.11/site-packages/_duckdb.cpython-311-x86_64-linux-gnu.so", "_duckdb"),
        ("/usr/lib/python3/dist-packages/apt_pkg.cpython-311-x86_64-linux-gnu.so", "apt_pkg"),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", ""),
    ],
)
def test_a_shared_object_belongs_to_the_package_that_brought_it(path: str, package: str) -> None:
    assert package_of_file(path) == package


def test_a_library_has_lost_the_threads_that_run_its_code() -> None:
    row = Library("threading", Fate.BROKEN, "", packages=("its_code",))
    own, other = NativeThread(1, "python", "its_code"), NativeThread(2, "python", "numpy")
    assert row.lost_threads([own, other]) == [own]
    assert row.lost_threads([other]) is None


def test_a_library_that_is_not_imported_has_lost_nothing() -> None:
    """Another library may run the same code: jax and tensorflow name their threads alike."""
    row = Library("no_such_library", Fate.BROKEN, "", threads=("tf_",))
    assert row.lost_threads([NativeThread(1, "tf_Compute", "tensorflow")]) is None


FORKED = """
import os
from spaces_workers.forking.native_threads import native_threads
if os.fork() == 0:
    print(native_threads(), flush=True)
    os._exit(0)
os.wait()
"""


def test_the_main_thread_of_a_fork_is_no_thread_of_a_library() -> None:
    """A zygote is a fork of the fork server; `threading` still knows its main thread by the id of the fork server's."""
    told = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_a_thread_that_waits_for_work_is_told_from_one_that_sleeps() -> None:
    work: queue.SimpleQueue[None] = queue.SimpleQueue()
    over = threading.Event()
    waiting = threading.Thread(target=work.get, name="waiting")
    sleeping = threading.Thread(target=over.wait, args=(60,), name="sleeping")
    for each in (waiting, sleeping):
        each.start()
    try:
        wait_until(lambda: waits_for_another(waiting.native_id or 0))
        assert not waits_for_another(sleeping.native_id or 0)
    finally:
        work.put(None)
        over.set()
        for each in (waiting, sleeping):
            each.join()


def test_only_threads_with_code_of_the_space_are_its_own(tmp_path: Path) -> None:
    over = threading.Event()
    waiting = threading.Thread(target=lambda: over.wait(), name="waiting")
    waiting.start()
    try:
        [found] = wait_until(lambda: waiting_threads(Path(__file__).parent))
        assert found.name == "waiting"
        assert found.line.startswith("test_forking.py, line ")
        assert waiting_threads(tmp_path) == []
    finally:
        over.set()
        waiting.join()


def test_the_words_of_a_hang_name_threads_that_may_be_missed_and_no_others() -> None:
    losses = (
        Loss("numpy", 1, "", Fate.FINE),
        Loss("cv2", 2, "", Fate.REVIVED),
        Loss("new_library", 3, "started at app.py, line 9", Fate.UNKNOWN),
    )
    words = hang.words("chat.generate", 12.0, threading.get_native_id(), losses)
    assert "chat.generate hung: for the last 12 s or more it computed nothing and waited" in words
    assert "started before the launch: new_library (3 threads, started at app.py, line 9). If" in words
    assert "lacks" not in hang.words("chat.generate", 12.0, threading.get_native_id(), losses[:2])
