"""What an import does not load: the language and the formats of files come with their first use."""

from __future__ import annotations

import subprocess
import sys

LATER = (
    "asyncio",
    "csv",
    "hashlib",
    "aurora_db.aql.conditions",
    "aurora_db.aql.evaluate",
    "aurora_db.aql.functions",
    "aurora_db.aql.interests",
    "aurora_db.aql.parser",
    "aurora_db.aql.resolve",
    "aurora_db.jobs.expecting",
    "aurora_db.jobs.pump",
    "aurora_db.jobs.solo",
    "aurora_db.live.listening",
    "aurora_db.live.planning",
    "aurora_db.live.subscription",
    "aurora_db.sql.lower",
    "aurora_db.store.consumers",
    "aurora_db.store.runners",
    "aurora_db.store.transfer",
    "aurora_db.testing",
)


def test_an_import_loads_nothing_of_the_language() -> None:
    """A program that only enqueues jobs starts quickly: what reads and runs AQL is not there yet."""
    code = f"import sys; from aurora_db import Aurora; print([m for m in {LATER!r} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
