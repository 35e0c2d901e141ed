"""Models that a library has quantised compute the same after their child has slept."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces.farm.page_addresses import Pages
from spaces.farm.queue.status import StatusReader
from tests.harness import SPACES, Farm, farm
from tests.libraries.conftest import serve
from tests.waiting import PATIENCE, wait_until

SETTINGS = """
[isolation]
level = "none"

[memory]
sleep = "on"
stand_in_gb = 0.1
stand_in_gb_per_second = 10
"""


def levels(farm: Farm) -> dict[str, str]:
    [worker] = StatusReader(farm.queue).read(Pages()).workers
    return {each.space: each.level for each in worker.residents}


@pytest.mark.parametrize("name", ["bitsandbytes", "gguf", "hqq", "optimum_quanto", "torchao"])
def test_a_quantised_model_computes_the_same_after_its_child_has_slept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "farm.toml").write_text(SETTINGS)
    monkeypatch.setenv("ZEROFARM_CONFIG", str(tmp_path / "farm.toml"))
    with farm(tmp_path) as made, made.client(name) as client:
        made.start_worker()
        serve(made, name)
        made.register("sleepy", SPACES / "sleepy" / "app.py")
        first, again, _ = client.submit(name, "check", duration=40).result(timeout=300)
        client.submit("sleepy", "facts").result(timeout=PATIENCE)
        log = tmp_path / "cpu0.log"
        wait_until(lambda: levels(made).get(name) == "asleep, pinned", otherwise=log.read_text)
        _, woken, _ = client.submit(name, "check", duration=40).result(timeout=300)
        assert woken == again == first
        assert "did not wake" not in log.read_text()
