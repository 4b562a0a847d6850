"""The order board in small: both processes die once, and the viewer has missed nothing."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path

from rich.console import Console

from aurora_db import Aurora
from examples.orderboard import board, demo


def test_a_viewer_misses_nothing_while_board_and_shop_are_killed(tmp_path: Path) -> None:
    """Every change is seen once, in order, though both processes die."""
    console = Console(record=True, width=100)
    assert demo.run(tmp_path / "shop.db", 40, console) == 0
    text = console.export_text()
    assert "times the board was killed" in text


def test_the_board_serves_its_page_and_nothing_else(tmp_path: Path) -> None:
    """`/` is the page; another path is answered by 404."""
    with Aurora(tmp_path / "shop.db") as db:
        server = board.serve(db, 0)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            host, port = server.server_address[:2]
            for path, status in (("/", 200), ("/other", 404)):
                connection = http.client.HTTPConnection(f"{host!s}:{port}", timeout=30)
                connection.request("GET", path)
                answer = connection.getresponse()
                assert answer.status == status
                connection.close()
        finally:
            server.shutdown()
            server.server_close()
            thread.join(30)
