"""`docs/tutorial.md`, followed by the letter."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from gradio_client.exceptions import AppError
from PIL import Image

from tests.guides.blocks import block, parts
from tests.guides.reader import Reader


def drawn(reader: Reader) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """What a visitor of the Space gets."""
    path = reader.client("julia").predict(-0.79, 0.15, 20, api_name="/draw")
    return np.asarray(Image.open(path).convert("RGB"))


def is_coloured(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bool:
    return int(np.ptp(picture.astype(int), axis=-1).max()) > 60


def test_who_follows_the_tutorial_has_a_shared_space(tmp_path: Path) -> None:
    with Reader(tmp_path, "tutorial.md") as reader:
        reader.follow("A demo", "Two lines for the farm", "Start the farm")
        reader.waits_for("The farm is ready")
        grey = drawn(reader)
        assert (grey.shape, is_coloured(grey)) == ((500, 500, 3), False)

        told = reader.follow("Many visitors, one GPU")
        assert "julia.draw" in told
        assert "operator:" in told

        assert "louder" in reader.follow("A second Space")
        assert reader.client("louder").predict("abc", api_name="/louder") == "ABC"

        reader.follow("Change the demo")
        reader.waits_for("is served at revision")
        if not is_coloured(drawn(reader)):  # it was saved after the first look
            reader.waits_for("is served at revision", 2)
        assert is_coloured(drawn(reader))
        reader.interrupt()

        reader.follow("An error")
        with pytest.raises(AppError):
            drawn(reader)
        log = reader.follow("Find it, and go back")
        shown = block("tutorial.md", "Find it, and go back", "text").splitlines()
        assert [line for line in shown if (line.partition("…")[2] or line) not in log] == []

        reader.interrupt()
        reader.follow("A quota")
        reader.waits_for("The farm is ready")
        (refusal,) = re.findall(r"told why: \*(.*)\*", parts("tutorial.md")["A quota"])
        with pytest.raises(AppError, match=re.escape(refusal)):
            drawn(reader)

        reader.follow("Ask for less")
        assert is_coloured(drawn(reader))
        assert "address:127.0.0.1" in reader.follow("Who uses how much")
