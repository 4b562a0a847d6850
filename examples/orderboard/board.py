"""The process that shows the orders: a page, and a stream of events for it.

python -m examples.orderboard.board FILE [--port 8000]

The stream is `text/event-stream`, with the position of the subscription as `id:`. A browser that lost its
connection sends the last one it saw as `Last-Event-ID`, and the subscription goes on after it: also when
this process was killed and started again in between.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aurora_db import Aurora
from aurora_db.base.codec import encode
from examples.orderboard import shop

PAGE = Path(__file__).with_name("page.html")
#: Seconds after which a stream in which nothing happens says that it is there.
QUIET = 2.0
ORDERS = """
subscription ($since: String, $initial: Boolean) {
    orders(where: {status: {ne: "SERVED"}}, since: $since, initial: $initial) {
        mutation id node { number table dish status } position
    }
}
"""


class Board(BaseHTTPRequestHandler):
    """One request: the page, or the stream."""

    protocol_version = "HTTP/1.1"

    def __init__(self, db: Aurora, *connection: Any) -> None:
        self._db = db
        super().__init__(*connection)

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/":
            self._page()
        elif self.path == "/events":
            self._events()
        else:
            self.send_error(404, "there is / and /events")

    def _page(self) -> None:
        page = PAGE.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def _events(self) -> None:
        since = self.headers.get("Last-Event-ID")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        wanted = {"since": since, "initial": since is None}
        try:
            self._say(event="hello", data=encode({"resumed": since is not None}), retry="200")
            with self._db.stream(ORDERS, wanted) as stream:
                while True:
                    try:
                        item = stream.next(timeout=QUIET)["orders"]
                    except TimeoutError:
                        self._say(event="quiet", data="{}")
                        continue
                    # What has no position yet is part of the first snapshot.
                    self._say(event="order", data=encode(item), id=item["position"])
        except (BrokenPipeError, ConnectionResetError):
            return

    def _say(self, **fields: str | None) -> None:
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        self.wfile.write(("\n".join(lines) + "\n\n").encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve(db: Aurora, port: int) -> ThreadingHTTPServer:
    """A server on the loopback interface; port 0 takes a free one."""
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Board, db))
    server.daemon_threads = True
    return server


def main() -> None:
    """Serve until stopped; the address is the first line that is printed."""
    parser = argparse.ArgumentParser(description="shows orders live")
    parser.add_argument("file", help="the database")
    parser.add_argument("--port", type=int, default=8000, help="where to listen; 0 for a free one")
    given = parser.parse_args()
    with Aurora(given.file) as db:
        shop.make(db)
        server = serve(db, given.port)
        print(json.dumps({"url": f"http://127.0.0.1:{server.server_address[1]}/"}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
