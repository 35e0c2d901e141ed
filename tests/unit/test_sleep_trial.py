"""The trial of sleep that `zerofarm doctor --gpu` makes finds a card that loses or changes bytes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from spaces.farm.queue.rules import MemoryRules
from spaces_workers.child.sleep.trial import problem_with
from spaces_workers.doctor import sleep_trials
from spaces_workers.gpu import devices
from spaces_workers.gpu.devices import GIB, Device, standin
from spaces_workers.gpu.sleep_record import has_passed, note_passed
from spaces_workers.worker.gpu_memory.sleep_choice import budget_of
from tests.unit.sleeping import Bed, OwnCard, card_in

GPU = Device("GPU-1", 0, "NVIDIA H200", 140 * GIB, "gpu", ("large",))


def problem_on(card: OwnCard) -> str:
    bed = Bed.of(card)
    made: list[Any] = []

    def put(tensor: Any) -> Any:
        made.append(tensor)
        bed.put(*made)
        return tensor

    return problem_with(bed.sleeper, put, lambda: card.memory.used_bytes, large=1 << 20)


def test_a_card_that_works_has_no_problem(tmp_path: Path) -> None:
    assert problem_on(card_in(tmp_path)) == ""


def test_a_changed_byte_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = card_in(tmp_path)
    restore = card.restore

    def wrong(storage: Any, source: Any, *, pinned: bool) -> None:
        source[-1] ^= 1
        restore(storage, source, pinned=pinned)

    monkeypatch.setattr(card, "restore", wrong)
    assert problem_on(card) == "a tensor has other bytes than before"


def test_memory_that_is_not_given_back_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = card_in(tmp_path)
    monkeypatch.setattr(card, "release", lambda storage: storage.resize_(0))
    assert problem_on(card).endswith("bytes left the GPU, and its used memory fell by 0")


def no_others() -> float:
    return math.inf


def test_a_gpu_on_which_nothing_was_tried_lets_no_space_sleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = "580.1"
    monkeypatch.setattr(devices, "driver_version", lambda: driver)
    assert budget_of(MemoryRules(), GPU, tmp_path, no_others) is None
    note_passed(GPU, tmp_path)
    assert budget_of(MemoryRules(), GPU, tmp_path, no_others) is not None
    assert budget_of(MemoryRules(sleep="off"), GPU, tmp_path, no_others) is None
    driver = "590.2"
    assert not has_passed(GPU, tmp_path)
    assert budget_of(MemoryRules(sleep="on"), GPU, tmp_path, no_others) is not None


def test_a_stand_in_lets_spaces_sleep_only_when_told(tmp_path: Path) -> None:
    assert budget_of(MemoryRules(), standin(0), tmp_path, no_others) is None
    assert budget_of(MemoryRules(sleep="on", host_gb=3, pinned_gb=1), standin(0), tmp_path, no_others) is not None


def test_a_trial_without_a_gpu_records_nothing_and_says_why(tmp_path: Path) -> None:
    finding = sleep_trials.try_on(GPU, tmp_path)
    assert finding.status == "warning"
    assert "CUDA" in finding.message or "NVIDIA" in finding.message
    assert not has_passed(GPU, tmp_path)
