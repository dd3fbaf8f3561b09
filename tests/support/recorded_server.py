"""A local HTTP server that answers every request with a given status code and JSON body."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from local_http import running


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, asked))
        found = self.server.respond(self.path, asked)
        code, body = found if isinstance(found, tuple) else (200, found)
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def answering(respond):
    """A running server: (base URL, the requests that it saw as path and body).

    Args:
        respond: from path and request body to a response body, or to a status code and a body.
    """
    with running(_Handler, respond=respond, seen=[]) as server:
        yield f"http://127.0.0.1:{server.server_port}/v1", server.seen
