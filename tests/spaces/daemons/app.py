"""A Space whose page starts a process that leaves the group and loses its parent, as daemons do."""

import os
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from spaces.config import Config


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())


if Config.zero_gpu and os.environ["ZEROFARM_ROLE"] == "web":
    subprocess.run(["setsid", "-f", "sleep", "6000"], check=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Handler).serve_forever()
