"""The worker that is killed while its child processes are busy: `children.py FILE FOLDER`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from aurora_db import Aurora, JobContext, Jobs

jobs = Jobs()


def say(payload: dict[str, str], pid: int) -> None:
    """Leave a process id where the test looks for it, whole."""
    file = Path(payload["folder"], f"{payload['how']}-{pid}")
    file.with_suffix(".part").write_text(str(pid))
    file.with_suffix(".part").rename(file)


@jobs.job("busy", process=True, retries=5)
def busy(payload: dict[str, str], job: JobContext) -> None:
    """The first attempt never ends, in one way or another; the next one does the work."""
    if job.attempt == 1:
        say(payload, os.getpid())
        match payload["how"]:
            case "python":
                end = time.monotonic() + 120
                while time.monotonic() < end:
                    pass
            case "lock":
                # Holds the interpreter's lock for hours: no thread of ours can look.
                re.match(r"(a+)+$", "a" * 60 + "b")
            case "program":
                # A program of its own, which knows nothing of us.
                with subprocess.Popen(["sleep", "120"]) as other:
                    say(payload, other.pid)
    with job.completing() as tx:
        tx["effects"].insert({"how": payload["how"], "attempt": job.attempt})


@jobs.job("fork", process=True)
def fork(payload: dict[str, str]) -> None:
    """Leave a forked process behind that holds everything open, and die."""
    if os.fork() == 0:
        say(payload, os.getpid())
        time.sleep(120)
        os._exit(0)
    while not list(Path(payload["folder"]).glob("fork-*")):
        time.sleep(0.002)
    os._exit(7)


if __name__ == "__main__":
    with Aurora(sys.argv[1], workers_enabled=True, worker_threads=3, jobs=jobs) as db:
        db.workers.run()
