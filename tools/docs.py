"""Pages of the documentation that are made from the code.

python tools/docs.py            writes them
python tools/docs.py --check    tells whether they are what it would write; exit 1 if not
"""

from __future__ import annotations

import sys
from pathlib import Path

from aurora_db.aql.functions import TABLE

ROOT = Path(__file__).parents[1]
FUNCTIONS = ROOT / "docs" / "aql" / "functions.md"

HEAD = """# Functions

Every function that an expression can call; [computed.md](computed.md) says where expressions stand
and what their operators are. This page is made from the function table by `tools/docs.py`.

An argument that is null gives null, except where the function is about null (`coalesce`, `isNull`,
`if`, `case`, `and`, `or`, `not`, `concat`, `format`, `min`, `max`, `filter`, `toJSON`). What goes wrong at
run time, a value of another type, division by zero, a number out of range, a bad date, gives null, too.
Arguments with a question mark may be left out, `…` is any number of them.
"""
GROUPS = {
    "text": "Texts", "number": "Numbers", "logic": "Logic", "list": "Lists", "time": "Time",
    "convert": "Conversions", "other": "Other",
}  # fmt: skip
UNITS = """
Units are `millisecond second minute hour day week month quarter year`, singular or plural. A date is a
DateTime, a Date, or a text of RFC 3339; everything is UTC, weeks begin on Monday.
"""


def functions() -> str:
    """The page of the function table."""
    parts = [HEAD]
    for group, title in GROUPS.items():
        rows = [
            f"| `{one.signature}` | {_synonyms(one.synonyms)}{one.text.replace('|', chr(92) + '|')} |"
            for one in TABLE.values()
            if one.group == group and not one.internal
        ]
        parts.append(f"## {title}\n\n| call | gives |\n|---|---|\n" + "\n".join(rows) + "\n")
        if group == "time":
            parts.append(UNITS.strip() + "\n")
    return "\n".join(parts)


def _synonyms(names: tuple[str, ...]) -> str:
    return "".join(f"≡ `{name}`: " for name in names)


def main() -> int:
    """Write the pages, or check them."""
    made = functions()
    if "--check" not in sys.argv[1:]:
        FUNCTIONS.write_text(made, "utf-8")
        return 0
    if FUNCTIONS.is_file() and FUNCTIONS.read_text("utf-8") == made:
        return 0
    sys.stdout.write("docs/aql/functions.md differs: run python tools/docs.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
