"""`zerofarm add hf:OWNER/NAME`: the Hub's own client fetches a Space, here from a small hub of the test."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from spaces_workers.up.hosting.fetch import fetched
from spaces_workers.up.hosting.origin import OriginFault

COMMIT = "5f" * 20
FILES = {"app.py": b"print('ada')\n", "models/small.bin": bytes(range(256))}
TOKEN = "hf_of_the_operator"


class Hub(BaseHTTPRequestHandler):
    """Has one private Space, as the Hub serves it."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._send(401, b'{"error": "Invalid credentials"}', {"X-Error-Message": "Invalid credentials"})
        elif path in ("/api/spaces/ada/painter", f"/api/spaces/ada/painter/revision/{COMMIT}"):
            told = {"id": "ada/painter", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
            self._send(200, json.dumps(told).encode())
        elif path.startswith(f"/api/spaces/ada/painter/tree/{COMMIT}"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": sha1(data).hexdigest()}
                for name, data in FILES.items()
            ]
            self._send(200, json.dumps(tree).encode())
        elif (name := path.removeprefix(f"/spaces/ada/painter/resolve/{COMMIT}/")) in FILES:
            found = {"ETag": f'"{sha1(FILES[name]).hexdigest()}"', "X-Repo-Commit": COMMIT}
            self._send(200, FILES[name], found)
        else:
            self._send(404, b'{"error": "not here"}')

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        """Write nothing."""


@contextmanager
def serving() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with serving() as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield


def test_a_private_space_is_fetched_by_the_operators_token(tmp_path: Path) -> None:
    folder = tmp_path / "painter"
    assert asyncio.run(fetched("hf:ada/painter", folder)) == COMMIT[:12]
    found = {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    assert found == FILES


def test_a_space_that_the_hub_does_not_show_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(OriginFault, match=r"the Hub does not give Space ada/painter to this farm: .*Invalid"):
        asyncio.run(fetched("hf:ada/painter", tmp_path / "painter"))
