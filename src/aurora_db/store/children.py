"""Child processes: spawned, talked to by frames, ended with all they started, never left behind.

A child is a fresh interpreter: no lock, no connection and no thread of its parent is in it. It ends
when its parent does, however that ends: the parent holds one end of a pipe on which nobody ever
writes, and the kernel sends a signal when that end is closed. A thread watches a socket for the same,
where the platform sends none.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from aurora_db.store import process

#: Bytes of the length before each frame.
HEAD = 4
#: How much sooner than its parent a child is ended when memory runs out; of 1,000.
OOM = "500"


class Wire:
    """Frames of bytes over a socket."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._rest = bytearray()
        self._lock = threading.Lock()

    def send(self, frame: bytes) -> bool:
        """Send one frame, from any thread; False when nobody is there."""
        try:
            with self._lock:
                self.socket.sendall(len(frame).to_bytes(HEAD, "big") + frame)
        except OSError:
            return False
        return True

    def receive(self) -> bytes | None:
        """The next frame, once it has come; None when nobody is there."""
        rest = self._rest
        wanted = HEAD
        while True:
            if len(rest) >= HEAD:
                wanted = HEAD + int.from_bytes(rest[:HEAD], "big")
                if len(rest) >= wanted:
                    frame = bytes(rest[HEAD:wanted])
                    del rest[:wanted]
                    return frame
            try:
                part = self.socket.recv(max(65_536, wanted - len(rest)))
            except OSError:
                return None
            if not part:
                return None
            rest += part


class Child:
    """A child process, leader of a group of its own so that what it starts can be ended with it.

    `work` carries what it does, `control` what it must know while it is busy. Its input is empty;
    output and errors are the parent's.

    Args:
        code: what it runs; it finds the descriptors of `work`, `control` and of its lifeline as
            the first three of `arguments`.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, code: str, arguments: Sequence[str]) -> None:
        import subprocess  # noqa: PLC0415 - most programs start no process

        if not sys.executable:
            raise OSError("this program does not know its Python interpreter")
        ours, work = socket.socketpair()
        control, ear = socket.socketpair()
        life, self._lifeline = os.pipe()
        passed = (work.fileno(), ear.fileno(), life)
        self.work = Wire(ours)
        self.control = Wire(control)
        self._lock = threading.Lock()
        flags = subprocess._args_from_interpreter_flags()  # pyright: ignore[reportAttributeAccessIssue] - multiprocessing uses it, too
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, *flags, "-c", code, *map(str, passed), *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=passed,
                process_group=0,
            )
        except BaseException:
            self._close()
            raise
        finally:
            work.close()
            ear.close()
            os.close(life)
        process.release_in_child(self)

    @property
    def pid(self) -> int:
        """Its process id, also that of its group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        with self._lock:
            return self._process.poll() is None

    def kill(self) -> None:
        """End it at once, and what it has started."""
        with self._lock:
            # Not yet waited for, its number is nobody else's.
            if self._process.returncode is None:
                # One that has ended, and is alone in its group, cannot be told on every platform.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def leave(self) -> None:
        """Tell it that no more work comes, so that it ends by itself."""
        with contextlib.suppress(OSError):
            self.work.socket.shutdown(socket.SHUT_WR)

    def bury(self, patience: float = 0.0) -> int:
        """Its exit code, negative for a signal; one that still runs after `patience` seconds is killed.

        What it has started is ended in any case.
        """
        if patience > 0:
            self.work.socket.settimeout(patience)
            while self.work.receive() is not None:
                pass
        # One that is ending keeps its own exit code.
        self.kill()
        code = self._process.wait()
        self._close()
        return code

    def _close(self) -> None:
        self.work.socket.close()
        self.control.socket.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def drop(self) -> None:
        """In a forked child of the parent: only the descriptors go, or it would keep this one alive."""
        self._close()
        # It is not that one's to wait for.
        self._process.returncode = 0

    def __repr__(self) -> str:
        return f"Child(pid={self._process.pid})"


# --- in the child ----------------------------------------------------------------------------


class Parent:
    """What a child has of its parent. Made first of all there.

    Args:
        work, control, life: the descriptors that it was started with.
    """

    def __init__(self, work: int, control: int, life: int) -> None:
        self.work = Wire(socket.socket(fileno=work))
        self._control = Wire(socket.socket(fileno=control))
        self._life = life
        _die_with(life)
        # Where the kernel knows such a thing, and lets us.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(OOM, "ascii")
        process.release_in_child(self)

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Call `heard` for each frame of control, in a thread; when the parent is gone, so are we."""

        def run() -> None:
            while (frame := self._control.receive()) is not None:
                heard(frame)
            end_group()

        threading.Thread(target=run, name="aurora-parent", daemon=True).start()

    def drop(self) -> None:
        """In a process forked here: the parent must not take it for this one."""
        self.work.socket.close()
        self._control.socket.close()
        os.close(self._life)


def _die_with(life: int) -> None:
    """Let the kernel end this group when the other end of the pipe is closed.

    It does so also where no Python can run: a handler inside a C function may hold the
    interpreter's lock for hours.
    """
    asynchronous: int | None = getattr(os, "O_ASYNC", None)
    if asynchronous is None:
        return
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO, signal.SIGTERM})
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | asynchronous)


def end_group() -> None:
    """End this process and what it has started, at once."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
