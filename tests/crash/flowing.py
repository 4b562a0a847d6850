"""A worker process for flows and batches: `flowing.py FILE SECONDS`; each job takes so long."""

from __future__ import annotations

import sys
import time

from aurora_db import Aurora, Jobs


def main(path: str, seconds: float) -> None:
    """Work until SIGTERM."""
    jobs = Jobs()

    @jobs.job("work")
    def work(_payload: object) -> None:
        if seconds:
            time.sleep(seconds)

    @jobs.job("told")
    def told(_payload: object) -> None:
        """A callback."""

    with Aurora(path, workers_enabled=True, worker_threads=4, jobs=jobs) as db:
        db.workers.run()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
