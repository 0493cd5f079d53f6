"""The operator's own port: /healthz fails when it has to be started anew, /readyz until it watches, and /metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], str]


def serve(port: int, alive: Check, ready: Check) -> ThreadingHTTPServer:
    """A check returns what is wrong, or nothing. Close with `shutdown`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            checks = {"/healthz": alive, "/readyz": ready}
            if self.path == "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif self.path in checks:
                trouble = checks[self.path]()
                self._answer(503 if trouble else 200, (trouble or "ok").encode() + b"\n", "text/plain")
            else:
                self._answer(404, b"there is nothing at this address\n", "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes are no news."""

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
