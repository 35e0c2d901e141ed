"""A farm with the demos, as the guides have it, but for the ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaces_app.demos import default_demos
from tests.end_to_end.test_up import Up, serving
from tests.guides.blocks import block, blocks


@contextmanager
def farm_of_demos(folder: Path) -> Iterator[Up]:
    """A farm with the demos, and the Spaces of the guides."""
    served = list(default_demos())
    for name, code in (
        ("loud", blocks("calling.md", "MCP", "python")[0]),
        ("my-space", block("authors.md", "A Space", "python")),
    ):
        served.append(folder / name)
        served[-1].mkdir()
        (served[-1] / "app.py").write_text(code)
    farm = Up(folder, *map(str, served), "--no-isolate", "--gpus", "none", "--no-flower", "--gateway-port", "0")
    with serving(farm):
        yield farm


def of_farm(code: str, farm: Up) -> str:
    """The code with the addresses of this farm."""
    ready = farm.ready()
    return code.replace("http://127.0.0.1:7860", ready["home"].rstrip("/")).replace(
        "gateway://127.0.0.1:7870", ready["gateway"]
    )
