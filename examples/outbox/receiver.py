"""A receiver of webhooks that fails half the time, as real ones do: before the work, or after it.

What it has done is counted by idempotency key, as a receiver with a database would: a key that it knows is
answered with 200 and changes nothing.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Receiver:
    """A server on the loopback interface; `with` starts and stops it.

    Args:
        seed: which posts fail.
        refused: a post of this event is refused for good.
    """

    def __init__(self, seed: int = 1, refused: str = "") -> None:
        self._random = random.Random(seed)
        self._refused = refused
        self._lock = threading.Lock()
        #: How often each key was posted, and what was done for it.
        self.posts: Counter[str] = Counter()
        self.done: dict[str, list[dict[str, Any]]] = {}
        self.failures: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/hooks"

    def take(self, key: str, body: dict[str, Any]) -> str:
        """What happens to one post: "ok", "busy" before anything is done, or "lost" after it."""
        with self._lock:
            self.posts[key] += 1
            if body["event"] == self._refused:
                return "refused"
            fate = self._random.choices(("ok", "busy", "lost"), (2, 1, 1))[0]
            if fate != "busy" and key not in self.done:
                self.done.setdefault(key, []).append(body)
            if fate != "ok":
                self.failures[fate] += 1
            return fate

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fate = receiver.take(self.headers["Idempotency-Key"], body)
                if fate == "lost":
                    # Done, and nobody hears of it.
                    self.close_connection = True
                    return
                self.send_response({"ok": 200, "busy": 503, "refused": 410}[fate])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
