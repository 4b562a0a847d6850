"""What needs POSIX: locks of worker processes, their boards, and the check for forks.

A worker process holds a `flock` on a file of its own beside the database. The kernel frees it
when the process ends, however it ends, so death is seen at once; a process id proves nothing
(containers). On the file lies a board in shared memory: the numbers of the jobs that run now,
which outlives a SIGKILL and tells which jobs had begun.

Never opens the database, its `-wal` or its `-shm`: closing such a descriptor would drop SQLite's
locks.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import weakref
from pathlib import Path
from typing import Protocol

import msgspec

from aurora_db.base.errors import DatabaseClosed, ReadOnly

#: Seconds that a fork waits for a thread to come out of the engine.
HUSH = 1.0

_WORD = struct.Struct("<q")


class Dead(msgspec.Struct, frozen=True):
    """A worker process that is gone; `begun` are the numbers of the jobs that it was running."""

    begun: frozenset[int]


class WorkerLock:
    """The lock of this process's worker and the board of the jobs that run in it.

    Args:
        folder: beside the database; made when absent.
        slots: how many jobs may run at once.

    Raises:
        ReadOnly: the folder cannot be written.
    """

    def __init__(self, folder: Path, worker_id: str, slots: int) -> None:
        self.path = _file(folder, worker_id)
        self.slots = slots
        size = max(1, slots) * _WORD.size
        try:
            folder.mkdir(exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            raise ReadOnly(
                f"the worker's lock '{self.path}' cannot be made: {error.strerror}",
                hint="workers need to write the folder of the database",
            ) from error
        self._board = mmap.mmap(self._descriptor, size)
        self._open = True
        release_in_child(self)

    def begin(self, slot: int, n: int) -> None:
        """Job number `n` begins in `slot`."""
        _WORD.pack_into(self._board, slot * _WORD.size, n)

    def end(self, slot: int) -> None:
        """The slot is free."""
        _WORD.pack_into(self._board, slot * _WORD.size, 0)

    def close(self) -> None:
        """Give the lock back and remove the file. Twice is no error."""
        if self._open:
            self._open = False
            self.path.unlink(missing_ok=True)
            # The board stays mapped: a handler that outlived the stop may still write on it. It
            # holds a descriptor of its own, so the lock is given back by name.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)

    def drop(self) -> None:
        """Let go of the descriptors and leave the file, as the kernel does when a process is killed.

        In a forked child the lock is the parent's; the map has a descriptor of its own, and while it
        is open the lock would outlive the parent. Twice is no error, nor after `close`.
        """
        if self._open:
            self._open = False
            self._board.close()
            os.close(self._descriptor)

    def __repr__(self) -> str:
        return f"WorkerLock({self.path.name!r}, slots={self.slots})"


def inspect(folder: Path, worker_id: str) -> Dead | None:
    """What a worker left if its process is gone; None while it lives.

    None too when its file is absent: then only the lease can tell.
    """
    try:
        descriptor = os.open(_file(folder, worker_id), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        board = os.read(descriptor, os.fstat(descriptor).st_size)
    except BlockingIOError:
        return None
    finally:
        os.close(descriptor)
    return Dead(_numbers(board))


def board(folder: Path, worker_id: str) -> frozenset[int] | None:
    """The numbers of the jobs that a worker runs, or ran last, alive or not; None without its file."""
    try:
        return _numbers(_file(folder, worker_id).read_bytes())
    except OSError:
        return None


def _numbers(board: bytes) -> frozenset[int]:
    whole = len(board) - len(board) % _WORD.size
    return frozenset(n for (n,) in _WORD.iter_unpack(board[:whole]) if n)


def forget(folder: Path, worker_id: str) -> None:
    """Remove what a dead worker left."""
    _file(folder, worker_id).unlink(missing_ok=True)


def _file(folder: Path, worker_id: str) -> Path:
    return folder / f"worker-{worker_id}"


class Forkable(Protocol):
    """What must know that it was inherited by a forked child."""

    foreign: bool


class Quiet(Protocol):
    """What has a thread that must not be inside of the engine when this process forks."""

    #: Held by the thread while it is.
    inside: threading.Lock


class Inherited(Protocol):
    """What holds a descriptor that a forked child must not keep."""

    def drop(self) -> None:
        """In the child: close the descriptor, touch nothing else."""
        ...


def release_in_child(one: Inherited) -> None:
    """Call `one.drop()` in every child that this process forks."""
    _inherited.add(one)


def quiet_at_fork(one: Quiet) -> None:
    """Let this process fork only while the thread of `one` is outside of the engine.

    The engine's locks are copied as they are: one that is held then is held in the child for ever, and
    its first open would never return.
    """
    _quiet.add(one)


def watch(owner: Forkable) -> None:
    """Set `owner.foreign` in every child that this process forks."""
    _owners.add(owner)


def guard(owner: Forkable) -> None:
    """Refuse an owner that belongs to the parent process.

    Raises:
        DatabaseClosed: `owner` was made before the fork.
    """
    if owner.foreign:
        raise DatabaseClosed(
            "the database was opened before the fork and belongs to the parent process",
            hint="open it again in the child: Aurora(path)",
        )


def _before() -> None:
    for one in list(_quiet):
        # A thread that waits for whoever forks would never come out.
        if one.inside.acquire(timeout=HUSH):
            _hushed.append(one.inside)


def _after() -> None:
    while _hushed:
        _hushed.pop().release()


def _in_child() -> None:
    _after()
    for owner in list(_owners):
        owner.foreign = True
        _kept.append(owner)
    for one in list(_inherited):
        one.drop()
    _owners.clear()
    _inherited.clear()


_owners: weakref.WeakSet[Forkable] = weakref.WeakSet()
_inherited: weakref.WeakSet[Inherited] = weakref.WeakSet()
_quiet: weakref.WeakSet[Quiet] = weakref.WeakSet()
#: Locks that are held for the fork that is going on.
_hushed: list[threading.Lock] = []
#: Inherited connections must not be closed by the child's garbage collection.
_kept: list[object] = []

os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_in_child)
