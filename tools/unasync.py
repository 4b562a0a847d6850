"""Generates the blocking façade from the asynchronous one: `database.py` from `aio.py`, and so on.

python tools/unasync.py            write it
python tools/unasync.py --check    fail when it is out of date, or a rule was not used
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/aurora_db"
#: What is written by hand, what is made of it, and what that is.
ROOMS = (
    ("aio.py", "database.py", "Aurora: the blocking façade."),
    ("aio_collection.py", "collection.py", "Collection: its blocking verbs."),
    ("aio_files.py", "files.py", "The verbs on files of the blocking façade."),
    ("aio_jobs.py", "database_jobs.py", "The verbs on jobs of the blocking façade."),
    ("aio_cache.py", "database_cache.py", "What the blocking façade answers from memory."),
    ("aio_care.py", "database_care.py", "The verbs that look after jobs, of the blocking façade."),
    ("aio_kv.py", "database_kv.py", "`db.kv` of the blocking façade."),
    ("aio_live.py", "database_live.py", "Subscriptions of the blocking façade."),
    ("aio_query.py", "database_query.py", "The fluent builder of the blocking façade."),
    ("aio_topics.py", "database_topics.py", "Topics of the blocking façade."),
    ("aio_testing.py", "database_testing.py", "`db.jobs_testing` of the blocking façade."),
)

#: Whole words of the source and what they become, in this order.
RULES = (
    (r"async with ", "with "),
    (r"async def ", "def "),
    (r"await ", ""),
    (
        r"\bAsync(Answers|Aurora|Caches|Collection|Transaction|Query|Executes|Files|JobCalls|JobCare|JobsTesting|Keyed|KeyValues|Live|Publish|Subscription|Topics|TopicSubscription|Sleeper|Gate|HeldGate)\b",
        r"\1",
    ),
    (r"\b_AsyncVerbs\b", "_Verbs"),
    (r"\baurora_db\.aio import\b", "aurora_db.database import"),
    (r"\baio_(collection|files)\b", r"\1"),
    (r"\baio_(query|jobs|cache|care|kv|live|testing|topics)\b", r"database_\1"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\b__aiter__\b", "__iter__"),
    (r"\b__anext__\b", "__next__"),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\btransaction_async\b", "transaction"),
    (r"\battempt_async\b", "attempt"),
    (r"\bwait_async\b", "wait"),
    (r"`async with`", "`with`"),
)


def generated(unused: set[str], source: Path, head: str) -> str:
    """The text of a blocking room; rules that had something to do are taken out of `unused`."""
    text = source.read_text("utf-8")
    text = text[text.index('"""\n', 3) + 4 :]
    for pattern, replacement in RULES:
        text, count = re.subn(pattern, replacement, text)
        if count:
            unused.discard(pattern)
    made = f"Generated from {source.name} by tools/unasync.py; do not edit."
    return formatted(f'"""{head}\n\n{made}\n"""\n' + text)


def formatted(text: str) -> str:
    """`text` as ruff writes it."""
    ruff = [sys.executable, "-m", "ruff"]
    sort = [
        *ruff,
        "check",
        "--quiet",
        "--select",
        "I",
        "--fix",
        "--stdin-filename",
        str(PACKAGE / "database.py"),
        "-",
    ]
    text = subprocess.run(sort, input=text, capture_output=True, text=True, check=True).stdout
    tidy = [*ruff, "format", "--quiet", "--stdin-filename", str(PACKAGE / "database.py"), "-"]
    return subprocess.run(tidy, input=text, capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Write the rooms, or compare them."""
    unused = {pattern for pattern, _ in RULES if not pattern.startswith("`")}
    stale: list[str] = []
    for source, target, head in ROOMS:
        text = generated(unused, PACKAGE / source, head)
        path = PACKAGE / target
        if "--check" not in sys.argv[1:]:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            stale.append(target)
    for pattern in sorted(unused):
        sys.stderr.write(f"tools/unasync.py: the rule {pattern!r} was not used; delete it\n")
    for target in stale:
        sys.stderr.write(f"{target} is out of date; run: python tools/unasync.py\n")
    return 1 if stale or unused else 0


if __name__ == "__main__":
    sys.exit(main())
