"""Rules of the house that no linter knows: sizes of rooms, forbidden names, foreign addresses.

python tools/house.py     prints what breaks a rule; exit 1 if anything does
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Lines of a room, at most.
MOST = 500
NAMELESS = re.compile(r"(?:^|_)(utils?|helpers?|common|misc)(?:_|$)")
TITLES = re.compile(r"^\s*class \w*(Manager|Service|Processor|Helper)\b", re.MULTILINE)
#: Addresses of package registries, and folders of one machine.
FOREIGN = re.compile(
    r"files\.pythonhosted|pypi\.org/simple|--index-url|--find-links|/(?:root|home|work)/"
)
PROMISES = re.compile(r"\b(?:TODO|FIXME|XXX)\b|NotImplementedError")


def tracked() -> list[Path]:
    """The files of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def broken(files: list[Path]) -> list[str]:
    """What breaks a rule, one line each."""
    found: list[str] = []
    for path in files:
        name = path.relative_to(ROOT)
        if path.suffix in {".png", ".jpg"} or path == Path(__file__):
            continue
        text = path.read_text("utf-8", errors="replace")
        found += [
            f"{name}: {match.group()!r} does not belong here" for match in FOREIGN.finditer(text)
        ]
        if name.parts[:2] != ("src", "aurora_db"):
            continue
        if path.suffix == ".py":
            lines = text.count("\n")
            found += [f"{name}: {lines} lines, at most {MOST}"] if lines > MOST else []
            found += (
                [f"{name}: a room without a duty in its name"] if NAMELESS.search(path.stem) else []
            )
            found += [
                f"{name}: a title instead of a duty: {match.group().strip()}"
                for match in TITLES.finditer(text)
            ]
        found += [
            f"{name}: an unkept promise: {match.group()}" for match in PROMISES.finditer(text)
        ]
    return found


def main() -> int:
    """Print what is broken."""
    found = broken(tracked())
    for line in found:
        sys.stdout.write(line + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
