"""One worker process: posts events until SIGTERM. python -m examples.outbox.worker FILE URL."""

from __future__ import annotations

import sys

from aurora_db import Aurora
from examples.outbox import shop

if __name__ == "__main__":
    path, url = sys.argv[1:]
    with Aurora(path, workers_enabled=True, jobs=shop.handlers(url)) as db:
        db.workers.run()
