"""How far the commits of all processes have come: two counters in a small mapped file of our own.

Whoever commits holds SQLite's write lock. Just before the COMMIT it adds one to `begun`, and after it,
before anybody is answered, it sets `ended` to the same number. While both are equal and have not moved,
nothing was committed by any process of ours; to see that costs reading 16 bytes of memory.

The numbers are right whoever dies or comes late, without a lock of their own. `begun` is written under the
write lock only, so it never goes back. `ended` may be written late, after somebody else has committed; it
then differs from `begun`, which means "look into the database", as it does when a process died between
the two. The next commit makes them equal again.

The file belongs to the database while it is open: where somebody removes it, processes that open it later
have another one, and see commits of the others when `PRAGMA data_version` is looked at. Words of
eight bytes are written whole by every processor that we know of.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
from pathlib import Path
from typing import Final

from aurora_db.base.errors import AuroraError, DiskFull, ReadOnly
from aurora_db.store.sqlite import SqlitePort

#: Bytes of the file, a page; the first 16 are used.
SIZE: Final = 4096
#: What is read: `begun` and `ended`.
BOTH: Final = slice(0, 16)

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Generation:
    """The counters of one database; used by the writer of this process, and read by its caches.

    Args:
        folder: beside the database; None where no other process can open it.
        database: its file.
    """

    def __init__(self, folder: Path | None, database: str) -> None:
        self.path = None if folder is None else folder / "generation"
        self._database = database
        self._map: mmap.mmap | None = None
        self._words: memoryview | None = None
        self._inode = 0
        #: What has begun here and not ended: where that is noted, and its number.
        self._mine: tuple[memoryview, int] | None = None

    # --- committing -------------------------------------------------------------------------

    def commit(self, port: SqlitePort) -> None:
        """COMMIT the transaction of `port`, which has the write lock, and let all processes know.

        Raises:
            ReadOnly, DiskFull: the file cannot be made, so others would not see it; nothing was committed.
        """
        words = self._words
        if words is None:
            words = self._opened()
        mine = words[0] + 1
        self._mine = words, mine
        words[0] = mine
        port.run("COMMIT")
        self.end()

    def end(self) -> None:
        """After the COMMIT, or after the ROLLBACK when that failed."""
        if self._mine is not None:
            (words, mine), self._mine = self._mine, None
            # Somebody else may have come so far meanwhile.
            words[1] = max(words[1], mine)

    def _opened(self) -> memoryview:
        try:
            self._open(writing=True)
        except OSError as error:
            raise self._refused(error) from error
        assert self._words is not None, "it was opened for writing"
        return self._words

    def _refused(self, error: OSError) -> AuroraError:
        if error.errno in _FULL:
            return DiskFull(
                "the disk is full; nothing of the operation was written",
                hint="make room and try again",
            )
        return ReadOnly(
            f"'{self.path}' cannot be written: {error.strerror}; other processes would not see the commit at once",
            hint=f"let this user write the folder '{self.path and self.path.parent}'",
        )

    # --- reading ----------------------------------------------------------------------------

    def read(self, *, writing: bool) -> mmap.mmap | None:
        """The memory whose part `BOTH` says how far it is; None where there is none to be had.

        `writing` tells that it may be made.
        """
        if self._map is None:
            with contextlib.suppress(OSError):
                self._open(writing=writing)
        return self._map

    @property
    def was_removed(self) -> bool:
        """Whether somebody took the file away, so that what it says may be less than there is."""
        if self.path is None or self._map is None:
            return False
        try:
            return os.stat(self.path).st_ino != self._inode
        except OSError:
            return True

    def forget(self) -> None:
        """Open the file anew when it is needed next."""
        self._map = self._words = None

    def _open(self, *, writing: bool) -> None:
        if self.path is None:
            self._use(mmap.mmap(-1, SIZE), writing=True)
            return
        if writing:
            self.path.parent.mkdir(exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT if writing else os.O_RDONLY
        # Whoever may write the database may write this.
        mode = os.stat(self._database).st_mode & 0o666
        descriptor = os.open(self.path, flags | os.O_CLOEXEC, mode)
        try:
            if writing:
                _make(descriptor, mode)
            found = os.fstat(descriptor)
            if found.st_size < SIZE:
                # Somebody is about to make it.
                raise FileNotFoundError(errno.ENOENT, "it is not made yet")
            self._inode = found.st_ino
            access = mmap.ACCESS_WRITE if writing else mmap.ACCESS_READ
            self._use(mmap.mmap(descriptor, SIZE, access=access), writing=writing)
        finally:
            os.close(descriptor)

    def _use(self, made: mmap.mmap, *, writing: bool) -> None:
        self._words = memoryview(made).cast("q") if writing else None
        self._map = made

    def __repr__(self) -> str:
        return f"Generation({str(self.path)!r})"


def settled(both: bytes) -> bool:
    """Whether no commit has begun that has not ended."""
    return both[:8] == both[8:]


def _make(descriptor: int, mode: int) -> None:
    """Give a new file its bytes, written and not only reserved: a full disk shows here, and not at a store."""
    if os.fstat(descriptor).st_size >= SIZE:
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # Another process may have made it while we waited; then it may be in use.
    if os.fstat(descriptor).st_size < SIZE:
        os.fchmod(descriptor, mode)
        os.pwrite(descriptor, bytes(SIZE), 0)


__all__ = ["BOTH", "Generation", "settled"]
