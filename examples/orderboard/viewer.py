"""What a browser does with the board, without one: reads events, connects again, goes on where it was."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any, Self
from urllib.parse import urlsplit

#: Seconds before it connects again.
AGAIN = 0.05


class Viewer:
    """Follows the board in a thread of its own; `with` starts and stops it."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._stop = False
        self._last: str | None = None
        #: The orders on the board, by id.
        self.orders: dict[str, Any] = {}
        #: Where it began, and the numbers of the changes that it saw since, in that order.
        self.began = -1
        self.positions: list[int] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop:
            try:
                self._follow()
            except (OSError, http.client.HTTPException):
                time.sleep(AGAIN)

    def _follow(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        headers = {} if self._last is None else {"Last-Event-ID": self._last}
        try:
            connection.request("GET", "/events", headers=headers)
            response = connection.getresponse()
            self.connections += 1
            fields: dict[str, str] = {}
            while not self._stop and (line := response.readline()):
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                self._take(fields)
                fields = {}
        finally:
            connection.close()

    def _take(self, fields: dict[str, str]) -> None:
        told = json.loads(fields["data"])
        if fields["event"] == "hello" and not told["resumed"]:
            self.orders.clear()
        if fields["event"] == "order":
            self._order(told)
        # Only a whole event moves the position.
        self._last = fields.get("id", self._last)

    def _order(self, told: dict[str, Any]) -> None:
        match told["mutation"]:
            case "READY":
                self.began = int(told["position"].rpartition("-")[2])
                return
            case "RESET":
                self.orders.clear()
                return
            case "LEAVE" | "DELETE":
                self.orders.pop(told["id"], None)
            case "PROGRESS":
                return
            case _:
                self.orders[told["id"]] = told["node"]
        if told["position"] is not None:
            self.positions.append(int(told["position"].rpartition("-")[2]))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop = True
        self._thread.join(30)
