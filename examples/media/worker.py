"""A worker process of the pipeline. python -m examples.media.worker album.db pictures/."""

from __future__ import annotations

import sys
from pathlib import Path

from aurora_db import Aurora
from examples.media import pipeline

if __name__ == "__main__":
    database, folder = sys.argv[1:]
    jobs = pipeline.handlers(Path(folder))

    @jobs.job("told")
    def told(payload: dict[str, object]) -> dict[str, object]:
        """What is done when the album is complete: here the numbers are kept as the result."""
        return payload

    with Aurora(database, workers_enabled=True, worker_threads=2, jobs=jobs) as db:
        db.workers.run()
