"""A Space without Gradio, on a server that no farm has heard of: `startup()` says that its script is complete."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from spaces import GPU, zero
from spaces.config import Config


@GPU(duration=20)
def shout(text):
    return f"{text.upper()} from {os.getpid()}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        said = shout(self.path.strip("/")) if self.path != "/" else f"web process {os.getpid()}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(said.encode())


if Config.zero_gpu:
    zero.startup()
ThreadingHTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Handler).serve_forever()
