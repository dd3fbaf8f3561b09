"""A local SPARQL endpoint: pyoxigraph behind the standard library's HTTP server."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

import pyoxigraph
from local_http import running


@contextmanager
def sparql_server(store, *, body=None, status=200, most_rows=None, offset=True):
    """Serve a pyoxigraph store; yields its URL and the queries it was asked.

    `body` and `status` replace the answer, for tests of what a client does with a bad one.
    `most_rows` caps every answer without a word; a server without `offset` ignores it.
    """
    queries = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8"))
            queries.append(form["query"][0])
            answer = body
            if answer is None:
                query = form["query"][0] if offset else form["query"][0].split(" OFFSET")[0]
                found = store.query(query)
                answer = found.serialize(format=pyoxigraph.QueryResultsFormat.JSON)
                if most_rows is not None:
                    said = json.loads(answer)
                    del said["results"]["bindings"][most_rows:]
                    answer = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/sparql-results+json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    with running(Handler) as server:
        yield f"http://127.0.0.1:{server.server_port}/query", queries
