"""A disk without room, in the middle of everything: `DiskFull`, nothing acknowledged is lost.

The disk is a VFS of SQLite that refuses writes on demand; everything else is the real one.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import apsw
import pytest

from aurora_db import AsyncAurora, Aurora, AuroraError, DiskFull

GUARD = 30.0


class Disk(apsw.VFS):
    """The platform's VFS, which refuses writes to some files while it is full."""

    def __init__(self, base: str) -> None:
        super().__init__("bounded", base)
        self.base = base
        #: Ends of the names of the files that get no room.
        self.full: tuple[str, ...] = ()
        #: Bytes that still fit into them.
        self.room = 0
        self.refused = 0

    def xOpen(self, name, flags):
        return File(self, name, flags)

    def fill(self, *ends: str, room: int = 0) -> None:
        """From here on files with these ends take `room` bytes more."""
        self.full, self.room, self.refused = ends, room, 0

    def make_room(self) -> None:
        self.full = ()


class File(apsw.VFSFile):
    """A file on that disk."""

    def __init__(self, disk: Disk, name, flags) -> None:
        self.disk = disk
        self.name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__(disk.base, name, flags)

    def xWrite(self, data, offset):
        disk = self.disk
        if disk.full and self.name.endswith(disk.full):
            disk.room -= len(data)
            if disk.room < 0:
                disk.refused += 1
                raise apsw.FullError("database or disk is full")
        super().xWrite(data, offset)


@pytest.fixture
def disk():
    before = apsw.vfs_names()[0]
    disk = Disk(before)
    apsw.set_default_vfs("bounded")
    yield disk
    apsw.set_default_vfs(before)
    disk.unregister()


SCHEMA = "schema { define collection things { name: String! @unique  text: String } }"


def names(db):
    return [row["name"] for row in db.execute("{ things { name } }")["things"]]


def check(db):
    """Nothing is damaged."""
    rows = db._engine._writer.port.connection.execute("PRAGMA integrity_check").fetchall()
    assert rows == [("ok",)]


@pytest.mark.parametrize("room", [0, 100, 5_000, 20_000])
def test_in_a_commit(disk, path, room):
    """Whatever fits of it: all of it or nothing, and work goes on when there is room again."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        db.insert_into("things", {"name": "before"})
        disk.fill("-wal", room=room)
        acknowledged = []
        with pytest.raises(DiskFull) as error:
            for n in range(1_000):
                db.insert_into("things", {"name": f"{n}", "text": "x" * 500})
                acknowledged.append(f"{n}")
        assert error.value.hint is not None
        with pytest.raises(DiskFull):
            db["things"].insert_many({"name": f"many {n}"} for n in range(2_000))
        with pytest.raises(DiskFull), db.transaction() as tx:
            tx.insert_into("things", {"name": "in a transaction"})
            tx.enqueue_job("job")
        with pytest.raises(DiskFull):
            db.execute("schema { define collection others { name: String } }")
        assert disk.refused > 0
        assert names(db) == ["before", *acknowledged]
        disk.make_room()
        db.insert_into("things", {"name": "after"})
        check(db)
    with Aurora(path) as db:
        assert names(db) == ["before", *acknowledged, "after"]
        assert db.execute("{ _jobs { id } }") == {"_jobs": []}
        check(db)


def test_every_caller_of_a_group_is_told(disk, path):
    """One commit, many tasks: each of them gets the error, none is left waiting."""

    async def main():
        async with AsyncAurora(path) as db:
            await db.execute(SCHEMA)
            disk.fill("-wal")
            found = await asyncio.gather(
                *(db.insert_into("things", {"name": f"{n}"}) for n in range(50)),
                return_exceptions=True,
            )
            assert {type(one) for one in found} == {DiskFull}
            disk.make_room()
            assert await db.insert_into("things", {"name": "after"})
            assert await db["things"].count() == 1

    asyncio.run(main())


def test_in_a_claim_and_in_a_settlement(disk, path):
    """Jobs wait until there is room; a handler that has run does not run again."""
    ran, filled = [], threading.Event()
    with Aurora(path, workers_enabled=True, worker_threads=1) as db:

        @db.job("fills")
        def fills(payload):
            ran.append(payload)
            disk.fill("-wal")
            filled.set()

        db.job("later")(ran.append)
        first = db.enqueue_job("fills", 1)
        second = db.enqueue_job("later", 2, delay=0.2)
        assert filled.wait(GUARD)
        # The settlement of the first and the claim of the second are refused, again and again.
        end = time.monotonic() + GUARD
        while disk.refused < 5:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert db.get_job(first.id).status == "RUNNING"
        with pytest.raises(DiskFull):
            db.enqueue_job("later", 3)
        disk.make_room()
        for job in (first, second):
            while db.get_job(job.id).status != "COMPLETED":
                assert time.monotonic() < end
                time.sleep(0.01)
        assert ran == [1, 2]
        assert db.get_job(first.id).attempt == 1
        check(db)


def test_completing_takes_its_effects_back(disk, path):
    """The block raises `DiskFull`, nothing of it is kept, and the next attempt does all of it."""
    seen = []
    with Aurora(path, workers_enabled=True, worker_threads=1) as db:
        db.execute(SCHEMA)

        @db.job("effect", backoff=0.05, retries=100)
        def effect(payload, job):
            if job.attempt == 1:
                disk.fill("-wal")
            try:
                with job.completing() as tx:
                    tx.insert_into("things", {"name": payload})
            except AuroraError as error:
                seen.append(error)
                disk.make_room()
                raise

        job = db.enqueue_job("effect", "once")
        end = time.monotonic() + GUARD
        while db.get_job(job.id).status != "COMPLETED":
            assert time.monotonic() < end
            time.sleep(0.01)
        assert [type(error) for error in seen] == [DiskFull]
        assert names(db) == ["once"]
        check(db)


BOUNDED = """
import resource, sys
from aurora_db import Aurora, DiskFull

with Aurora(sys.argv[1]) as db:
    db.execute("schema { define collection things if not exists { name: String! @unique  text: String } }")
    # No file may grow beyond this: first the file finds no room in checkpoints, then its log.
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, 6_000_000))
    n = 0
    try:
        while n < 100_000:
            ids = db["things"].insert_many({"name": f"{n + m}", "text": "x" * 4_000} for m in range(20))
            n += len(ids)
            print(n, flush=True)
    except DiskFull as error:
        print(error.code, flush=True)
    print(db["things"].count(), flush=True)
"""


def test_in_a_checkpoint_and_at_the_end(path):
    """Checkpoints fail long before the log is full: commits stand meanwhile, and for ever."""
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)], capture_output=True, text=True, timeout=GUARD,
        check=True,
    )  # fmt: skip
    *acknowledged, code, count = done.stdout.split()
    # Each stands twice, as document and as change: more than the file can hold is in its log.
    assert int(acknowledged[-1]) * 8_000 > 6_000_000 >= path.stat().st_size
    assert path.with_name(path.name + "-wal").exists()
    assert (code, count) == ("disk_full", acknowledged[-1])
    with Aurora(path) as db:
        assert db["things"].count() == int(count)
        db["things"].insert_many({"name": f"after {n}", "text": "x" * 4_000} for n in range(1_000))
        check(db)
    assert not path.with_name(path.name + "-wal").exists()
