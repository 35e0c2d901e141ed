"""All that Gradio's client for Python does at a page."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from gradio_client import Client, handle_file

CLIENT = f"`gradio_client` {version('gradio_client')}"

CONTENT = b"zerofarm" * 400_000


def call_stream_upload_and_download(page: str, folder: Path) -> None:
    """At a page of `serving_each_gradio`; files go through the folder."""
    client = Client(page, verbose=False, download_files=str(folder))
    job = client.submit(5, api_name="/count")
    assert job.result(120) == "4"
    assert job.outputs() == list("01234")
    (folder / "upload.bin").write_bytes(CONTENT)
    digest = client.predict(handle_file(folder / "upload.bin"), api_name="/digest")
    assert digest == hashlib.sha256(CONTENT).hexdigest()
    assert Path(client.predict(3_000_064, api_name="/make")).stat().st_size == 3_000_064
