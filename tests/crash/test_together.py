"""Several programs at once on one file, and a holder of a transaction that misbehaves."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aurora_db import Aurora, Busy, Timeout, TransactionError
from aurora_db.store import sqlite

sys.path.insert(0, str(Path(__file__).parent))

import together

GUARD = 60.0
#: `make crash` lets them run for thirty.
SECONDS = 2.0


@pytest.mark.crash
def test_five_programs_on_one_file(tmp_path: Path) -> None:
    """Four of ours and one of sqlite3 write, enqueue and work: nothing lost, nobody starved."""
    report = together.run(tmp_path / "together.db", SECONDS)
    assert report.faults() == []


SCHEMA = "schema { define collection things { name: String! } }"


def names(db: Aurora) -> list[str]:
    return [row["name"] for row in db.execute("{ things { name } }")["things"]]


def test_a_transaction_that_outlives_its_deadline(path: Path) -> None:
    """It fails with `Timeout` and leaves nothing; who waited goes on."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        waits = threading.Thread(target=db.insert_into, args=("things", {"name": "waited"}))
        with (
            pytest.raises(Timeout, match="outlived its deadline") as error,
            db._engine.transaction(0.2) as held,
        ):
            held.port.run("INSERT INTO things (name) VALUES ('late')")
            waits.start()
            waits.join(GUARD)
            assert not waits.is_alive()
        assert "keep the block short" in str(error.value.hint)
        assert names(db) == ["waited"]


def test_a_write_beside_ones_own_transaction(path: Path) -> None:
    """It would wait for itself: an error that names the way, and the transaction goes on."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        with db.transaction() as tx:
            tx.insert_into("things", {"name": "inside"})
            with pytest.raises(TransactionError) as error:
                db.insert_into("things", {"name": "beside"})
            assert "use tx" in str(error.value.hint)
            with pytest.raises(TransactionError), db.transaction():
                pass
        other = threading.Thread(target=db.insert_into, args=("things", {"name": "after"}))
        other.start()
        other.join(GUARD)
        assert names(db) == ["inside", "after"]


HOLDER = """
import sys, time
from aurora_db import Aurora, Timeout
with Aurora(sys.argv[1]) as db:
    try:
        with db._engine.transaction(0.5) as held:
            held.port.run("INSERT INTO things (name) VALUES ('stopped')")
            print("holds", flush=True)
            sys.stdin.readline()
            time.sleep(0.6)
    except Timeout as error:
        print(error.code, flush=True)
    db.insert_into("things", {"name": "goes on"})
"""


def test_a_holder_that_is_stopped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP inside a transaction: others get `Busy` and lose nothing; SIGCONT, and all go on."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 300)
    with Aurora(path) as db:
        db.execute(SCHEMA)
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "holds\n"
            holder.send_signal(signal.SIGSTOP)
            for _ in range(2):
                with pytest.raises(Busy) as error:
                    db.insert_into("things", {"name": "refused"})
                assert error.value.retryable
            with pytest.raises(Busy):
                db.enqueue_job("refused")
            # Readers are not held up.
            assert names(db) == []
            holder.send_signal(signal.SIGCONT)
            output, _ = holder.communicate("\n", timeout=GUARD)
            assert output.split() == ["timeout"]
        finally:
            holder.kill()
            holder.wait(GUARD)
        db.insert_into("things", {"name": "again"})
        assert names(db) == ["goes on", "again"]
        assert db.execute("{ _jobs { id } }") == {"_jobs": []}
