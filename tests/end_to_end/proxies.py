"""Reverse proxies that show a page below a path: nginx, and one of our own that tells what Caddy tells."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.harness import free_port
from tests.waiting import PATIENCE, wait_until

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location {prefix}/ {{
      proxy_pass http://127.0.0.1:{page}{path};
      proxy_http_version 1.1; proxy_buffering off; proxy_set_header Host $http_host;
    }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, page: int, prefix: str, *, strips: bool) -> Iterator[int]:
    """An nginx before a page; its port."""
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed")
    port = free_port()
    text = NGINX.format(folder=folder, port=port, prefix=prefix, page=page, path="/" if strips else "")
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        wait_until(lambda: _connects(port))
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def plain(folder: Path, page: int, prefix: str, *, strips: bool) -> Iterator[int]:
    """A proxy of our own before a page; its port."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            upstream = http.client.HTTPConnection("127.0.0.1", page, timeout=60)
            path = self.path.removeprefix(prefix) if strips else self.path
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            forwarded = {"X-Forwarded-Host": self.headers["Host"], "X-Forwarded-Proto": "http"}
            upstream.request(self.command, path, body, dict(self.headers.items()) | forwarded)
            answer = upstream.getresponse()
            self.send_response(answer.status)
            for name in ("Content-Type", "Location"):
                if value := answer.headers.get(name):
                    self.send_header(name, value)
            self.end_headers()
            while data := answer.read1():
                self.wfile.write(data)
            upstream.close()

        do_POST = do_GET  # noqa: N815 - the name that the server looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def _connects(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
