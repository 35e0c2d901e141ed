"""What all tests share; and importing Gradio leaves event loops open, which is its own affair and no test's."""

from __future__ import annotations

import gc
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import gradio  # noqa: F401

    gc.collect()

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Farm, farm


@pytest.fixture
def own_farm(tmp_path: Path) -> Iterator[Farm]:
    """A farm for a test that breaks things: a broker, and no worker yet."""
    with farm(tmp_path) as made:
        yield made
