"""For the tests of programs that use aurora_db: the names behind `db.jobs_testing`.

The fixtures `aurora`, `aurora_file` and `aurora_async` come from the pytest plug-in
`aurora_db_pytest`, which pytest loads by itself where this package is installed.
"""

from __future__ import annotations

from aurora_db.aio_testing import AsyncJobsTesting
from aurora_db.database_testing import JobsTesting
from aurora_db.jobs.crash import POINTS, VARIABLE, Crashed
from aurora_db.jobs.drained import DrainResult, Failure

__all__ = [
    "POINTS",
    "VARIABLE",
    "AsyncJobsTesting",
    "Crashed",
    "DrainResult",
    "Failure",
    "JobsTesting",
]
