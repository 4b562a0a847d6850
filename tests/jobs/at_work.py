"""Job handlers that run in child processes, which import this module."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora_db import Cancel, Fail, JobContext, Jobs, Retry, Snooze

GUARD = 60.0

jobs = Jobs()


@jobs.job("where", process=True)
def where():
    return {"pid": os.getpid(), "parent": os.getppid(), "script": Path(sys.argv[0]).name}


@dataclass
class Size:
    width: int
    height: int = 10


@jobs.job("resize", process=True, retries=1)
def resize(size: Size, job: JobContext) -> dict[str, Any]:
    assert job.payload == {"width": size.width}
    return {"area": size.width * size.height, "attempt": job.attempt, "tags": list(job.tags)}


@jobs.job("follow", retries=7)
def follow():
    return "ran in a thread"


@jobs.job("note", process=True, retries=2)
def note(payload: dict[str, Any], job: JobContext) -> str:
    """Writes in its completion, and may fail before or after it."""
    with job.completing() as tx:
        tx["notes"].insert({"text": payload["text"]})
        tx.enqueue_job("follow")
        tx.result("written")
        if payload.get("inside"):
            raise ValueError("inside")
    if payload.get("after"):
        raise ValueError("after")
    return "not the result"


@jobs.job("enqueue", process=True)
def enqueue():
    """Enqueues by the registered job alone."""
    return follow.enqueue().id


@jobs.job("say", process=True, retries=4, backoff=0.01)
def say(payload: dict[str, Any], job: JobContext) -> str:
    if job.attempt > 1:
        return "again"
    instruction = {
        "retry": lambda: Retry(0.01),
        "snooze": lambda: Snooze(0.01),
        "cancel": lambda: Cancel("no need"),
        "fail": lambda: Fail("never"),
    }[payload["do"]]()
    raise instruction


class Odd(Exception):
    """Cannot be made again from its arguments, and cannot be shown."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()

    def __str__(self) -> str:
        raise KeyError


def endless(n: int) -> int:
    return endless(n + 1)


BREAKS = {
    "raises": lambda: 1 / 0,
    "exits": lambda: sys.exit(3),
    "interrupts": lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
    "recurses": lambda: endless(0),
    "odd": lambda: (_ for _ in ()).throw(Odd(1, 2)),
    "result": object,
}


@jobs.job("break", process=True, retries=1)
def break_(payload: dict[str, Any]) -> object:
    return BREAKS[payload["how"]]()


DEATHS = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(3),
}


@jobs.job("die", process=True, retries=1)
def die(payload: dict[str, Any], job: JobContext) -> str:
    """Dies in its first attempts, as many as `times`."""
    if job.attempt <= payload.get("times", 99):
        DEATHS[payload["how"]]()
    return "alive"


@jobs.job("flood", process=True)
def flood():
    for n in range(20_000):
        logging.getLogger("shop").warning("line %d of a handler that says too much", n)
    print("and prints", flush=True)
    return "said"


@jobs.job("flood_error", process=True, retries=1)
def flood_error():
    raise RuntimeError("x" * 10_000_000)


@jobs.job("big", process=True)
def big(payload: dict[str, Any]) -> str:
    return payload["text"] * 2


@jobs.job("hang", process=True, retries=1, timeout=60)
def hang(payload: dict[str, Any], job: JobContext) -> str:
    """Says that it began, and does not end; `deaf` to the signal too."""
    began = Path(payload["file"])
    if payload.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    began.write_text(str(os.getpid()))
    end = time.monotonic() + GUARD
    try:
        while time.monotonic() < end:
            time.sleep(GUARD)
    finally:
        began.with_suffix(".cleaned").write_text(str(job.cancelled))
    return "never"


@jobs.job("look", process=True, retries=1)
def look(payload: dict[str, Any], job: JobContext) -> str:
    """Waits for the cancel instead of the signal, and then goes on for a moment."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(payload["file"]).write_text("began")
    told = job.wait_cancelled(GUARD)
    Path(payload["file"]).with_suffix(".cleaned").write_text(str(told))
    return "too late"


@jobs.job("swallow", process=True)
def swallow(payload: dict[str, Any]) -> str:
    """A signal of somebody else does not end it."""
    os.kill(os.getpid(), signal.SIGTERM)
    with contextlib.suppress(InterruptedError):
        time.sleep(0.01)
    return "went on"


@jobs.job("stages", process=True, retries=1)
def stages(payload: dict[str, Any], job: JobContext) -> str:
    """Says how far it is, and goes on when the test lets it."""
    job.progress(0.25, "cutting")
    job.progress(0.5)
    wait_for(Path(payload["file"]))
    job.progress(0.75, "pasting")
    if payload.get("completing"):
        with job.completing() as tx:
            tx.result("completed")
    return "returned"


def wait_for(file: Path) -> None:
    """Wait until the test has made a file."""
    end = time.monotonic() + GUARD
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.002)


@jobs.job("steps", process=True, retries=2)
def steps(_payload: dict[str, Any], job: JobContext) -> str:
    """Dies after its first step, and then sleeps."""

    def insert(text: str, tx: Any) -> int:
        tx["notes"].insert({"text": text})
        return os.getpid()

    first = job.step("first", insert, "one")
    if job.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    assert first != os.getpid()
    job.sleep("pause", GUARD * 60)
    return "slept"
