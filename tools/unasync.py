"""Generates `database.py` from `aio.py`: the blocking façade from the asynchronous one.

python tools/unasync.py            write it
python tools/unasync.py --check    fail when it is out of date, or a rule was not used
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/aurora_db/aio.py"
TARGET = ROOT / "src/aurora_db/database.py"

HEADER = '"""Aurora: the blocking façade.\n\nGenerated from aio.py by tools/unasync.py; do not edit.\n"""\n'

#: Whole words of the source and what they become, in this order.
RULES = (
    (r"async with ", "with "),
    (r"async def ", "def "),
    (r"await ", ""),
    (r"\bAsync(Aurora|Collection|Transaction|Gate|HeldGate)\b", r"\1"),
    (r"\b_AsyncVerbs\b", "_Verbs"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\btransaction_async\b", "transaction"),
    (r"`async with`", "`with`"),
)


def generated() -> str:
    """The text of the blocking façade."""
    text = SOURCE.read_text("utf-8")
    text = text[text.index('"""\n', 3) + 4 :]
    for pattern, replacement in RULES:
        text, count = re.subn(pattern, replacement, text)
        if not count and not pattern.startswith("`"):
            raise SystemExit(f"tools/unasync.py: the rule {pattern!r} was not used; delete it")
    return formatted(HEADER + text)


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
        str(TARGET),
        "-",
    ]
    text = subprocess.run(sort, input=text, capture_output=True, text=True, check=True).stdout
    tidy = [*ruff, "format", "--quiet", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(tidy, input=text, capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Write the file, or compare it."""
    text = generated()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text, "utf-8")
        return 0
    if not TARGET.exists() or TARGET.read_text("utf-8") != text:
        sys.stderr.write("database.py is out of date; run: python tools/unasync.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
