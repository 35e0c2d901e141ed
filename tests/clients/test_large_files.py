"""A file of 1 GB, through the front door to a page of each major version of Gradio, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.clients.conftest import GRADIOS, tell
from tests.end_to_end.test_up import Up

SIZE = 10**9

#: Bytes from one mark in the file to the next; the rest is empty, and takes no room on the disk.
BETWEEN_MARKS = 10**8

#: Seconds without a byte after which a transfer counts as hung.
PATIENCE = 300.0


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.bin"
    with path.open("wb") as file:
        for place in range(0, SIZE, BETWEEN_MARKS):
            file.seek(place)
            file.write(f"from {place}".encode())
        file.seek(SIZE - 1)
        file.write(b"!")
    return path


@pytest.mark.parametrize("space", GRADIOS)
def test_a_file_of_a_gigabyte_is_uploaded_and_downloaded(farm: Up, large: Path, space: str) -> None:
    page = farm.ready()["spaces"][space]
    with httpx.Client(timeout=PATIENCE) as http:
        prefix = http.get(f"{page}/config").raise_for_status().json().get("api_prefix", "")  # Gradio 4 has none
        with uploaded(http, f"{page}{prefix}/upload", large, farm.state_dir / "spaces" / space) as path:
            came = downloaded(http, f"{page}{prefix}/file={path}")
    with large.open("rb") as file:
        assert came == (SIZE, hashlib.file_digest(file, "sha256").hexdigest())
    tell(space, "`httpx`: an upload and a download of 1 GB", passes=True)


@contextmanager
def uploaded(http: httpx.Client, address: str, file: Path, data: Path) -> Iterator[str]:
    """The path that the page gives the file, which is there only in the block; `data` is the folder of the Space."""
    with file.open("rb") as content:
        (path,) = http.post(address, files={"files": content}).raise_for_status().json()
    try:
        yield path
    finally:
        kept = [each for each in (Path(path), *data.rglob(file.name)) if each.exists()]  # a Space may have its own /tmp
        for each in kept:
            each.unlink()
        assert kept, f"{path} is neither here nor below {data}"


def downloaded(http: httpx.Client, address: str) -> tuple[int, str]:
    """The size and the digest of a file, of which nothing is kept."""
    size, digest = 0, hashlib.sha256()
    with http.stream("GET", address) as answer:
        for block in answer.raise_for_status().iter_bytes():
            size += len(block)
            digest.update(block)
    return size, digest.hexdigest()
