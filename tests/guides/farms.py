"""A farm with the demos, as the guides have it, but for the ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaces_app.demos import default_demos
from tests.end_to_end.test_up import Up, serving
from tests.guides.blocks import blocks


@contextmanager
def farm_of_demos(folder: Path) -> Iterator[Up]:
    """A farm with the demos and the Space of the part about MCP."""
    (folder / "loud").mkdir()
    (folder / "loud" / "app.py").write_text(blocks("calling.md", "MCP", "python")[0])
    served = [str(folder / "loud"), *map(str, default_demos())]
    farm = Up(folder, *served, "--no-isolate", "--gpus", "none", "--no-flower", "--gateway-port", "0")
    with serving(farm):
        yield farm


def of_farm(code: str, farm: Up) -> str:
    """The code with the addresses of this farm."""
    ready = farm.ready()
    return code.replace("http://127.0.0.1:7860", ready["home"].rstrip("/")).replace(
        "gateway://127.0.0.1:7870", ready["gateway"]
    )
