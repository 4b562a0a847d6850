"""Generates `database.py` from `aio.py`, `collection.py` from `aio_collection.py`: the blocking façade.

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
#: What is generated from what, and what it is.
FILES = {
    "database.py": ("aio.py", "Aurora: the blocking façade"),
    "collection.py": ("aio_collection.py", "Collection: its blocking verbs"),
}

HEADER = '"""{}.\n\nGenerated from {} by tools/unasync.py; do not edit.\n"""\n'

#: Whole words of the source and what they become, in this order.
RULES = (
    (r"async with ", "with "),
    (r"async def ", "def "),
    (r"await ", ""),
    (r"\baio_collection\b", "collection"),
    (r"\bAsync(Aurora|Collection|Transaction|Gate|HeldGate)\b", r"\1"),
    (r"\b_AsyncVerbs\b", "_Verbs"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\btransaction_async\b", "transaction"),
    (r"`async with`", "`with`"),
)


def generated() -> dict[str, str]:
    """The texts of the blocking façade, by file."""
    texts: dict[str, str] = {}
    used = set[str]()
    for target, (source, title) in FILES.items():
        text = (PACKAGE / source).read_text("utf-8")
        text = text[text.index('"""\n', 3) + 4 :]
        for pattern, replacement in RULES:
            text, count = re.subn(pattern, replacement, text)
            used |= {pattern} if count else set()
        texts[target] = formatted(HEADER.format(title, source) + text, PACKAGE / target)
    for pattern, _ in RULES:
        if pattern not in used and not pattern.startswith("`"):
            raise SystemExit(f"tools/unasync.py: the rule {pattern!r} was not used; delete it")
    return texts


def formatted(text: str, target: Path) -> str:
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
        str(target),
        "-",
    ]
    text = subprocess.run(sort, input=text, capture_output=True, text=True, check=True).stdout
    tidy = [*ruff, "format", "--quiet", "--stdin-filename", str(target), "-"]
    return subprocess.run(tidy, input=text, capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Write the file, or compare it."""
    texts = generated()
    for name, text in texts.items():
        target = PACKAGE / name
        if "--check" not in sys.argv[1:]:
            target.write_text(text, "utf-8")
        elif not target.exists() or target.read_text("utf-8") != text:
            sys.stderr.write(f"{name} is out of date; run: python tools/unasync.py\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
