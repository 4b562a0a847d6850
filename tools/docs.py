"""Pages of the documentation that are made from the code.

python tools/docs.py            writes them
python tools/docs.py --check    tells whether they are what it would write; exit 1 if not
"""

from __future__ import annotations

import sys
from pathlib import Path

from aurora_db.aql.functions import TABLE
from aurora_db.jobs.status import BORN, HAPPENS, MEANING, TRANSITIONS

ROOT = Path(__file__).parents[1]
FUNCTIONS = ROOT / "docs" / "aql" / "functions.md"
LIFE = ROOT / "docs" / "jobs" / "life.md"

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


LIFE_HEAD = """# The life of a job

Every job is in one of seven statuses, and goes from one to another only by the events below: each is one
guarded statement, in one transaction with everything else that it changes. This page is drawn from the
table in `jobs/status.py` by `tools/docs.py`; the CHECKs of the table `_jobs` know the same statuses, and
a state machine in the tests holds every change against it.
"""


def life() -> str:
    """The page of the life of a job: diagram, statuses, events."""
    ways = [
        (source, event, target)
        for source, events in TRANSITIONS.items()
        for event, target in events.items()
    ]
    arrows = "\n".join(f"    {source} --> {target}: {event}" for source, event, target in ways)
    born = "\n".join(f"    [*] --> {status}: {_first(words)}" for status, words in BORN.items())
    statuses = "\n".join(f"| `{one}` | {MEANING[one]} |" for one in TRANSITIONS)
    begins = "\n".join(
        f"| {_first(words)} | {words} | {status} |" for status, words in BORN.items()
    )
    events = "\n".join(
        f"| {event} | {HAPPENS[event]} | {_ways(ways, event)} |" for event in HAPPENS
    )
    return "\n".join((
        LIFE_HEAD,
        f"```mermaid\nstateDiagram-v2\n{born}\n{arrows}\n```\n",
        f"## Statuses\n\n| status | means |\n|---|---|\n{statuses}\n",
        f"## Events\n\n| event | when | from → to |\n|---|---|---|\n{begins}\n{events}\n",
    ))  # fmt: skip


def _first(words: str) -> str:
    """The first word."""
    return words.replace(":", "").split()[0]


def _ways(ways: list[tuple[str, str, str]], event: str) -> str:
    targets = {target: None for _, one, target in ways if one == event}
    return "; ".join(
        f"{', '.join(source for source, one, to in ways if one == event and to == target)} → {target}"
        for target in targets
    )


def main() -> int:
    """Write the pages, or check them."""
    stale = False
    for path, made in ((FUNCTIONS, functions()), (LIFE, life())):
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made, "utf-8")
        elif not path.is_file() or path.read_text("utf-8") != made:
            sys.stdout.write(f"{path.relative_to(ROOT)} differs: run python tools/docs.py\n")
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
