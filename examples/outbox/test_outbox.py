"""The example as its users run it, in small."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from aurora_db import Aurora

ROOT = Path(__file__).parents[2]


def test_every_event_is_done_exactly_once_by_a_receiver_that_fails_half_the_time(
    tmp_path: Path,
) -> None:
    """40 orders, 20 of them paid, one lost, one rolled back; a worker killed in the middle."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.outbox.demo", "--orders", "40", "--out", tmp_path],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"lost or done twice +│ +0 ", done.stdout), done.stdout
    with Aurora(tmp_path / "shop.db", read_only=True) as db:
        assert db["orders"].count() == 40
        assert db["deliveries"].count({"event": "order.new"}) == 40
        assert db["deliveries"].count({"event": "order.paid"}) == 20
        assert db["deliveries"].count({"event": "order.lost"}) == 0
        failed = db.execute('{ _jobs(where: {status: "FAILED"}) { retries error } }')["_jobs"]
        assert [row["retries"] for row in failed] == [1]
        assert "410" in failed[0]["error"]
        assert db.check() == []
