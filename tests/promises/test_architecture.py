"""`docs/architecture.md` is the map of the code: it names what is there, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "aurora_db"
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def floors() -> dict[str, list[str]]:
    """The rooms that the table of floors names, by floor."""
    rows = re.findall(r"^\| (.+?) \| .+? \| (.+?) \|$", PAGE, re.MULTILINE)
    found: dict[str, list[str]] = {}
    for floor, rooms in rows:
        if floor.startswith("`"):
            named = re.findall(r"`([\w/]+\.(?:py|sql))`", rooms)
            found.setdefault(floor.strip("`/"), []).extend(named)
    return found


def test_every_room_of_the_map_exists_and_none_is_missing():
    for floor, rooms in floors().items():
        if floor.endswith(".py"):
            assert all((SOURCE / name).exists() for name in rooms)
            continue
        there = {
            path.name
            for path in (SOURCE / floor).iterdir()
            if path.suffix in (".py", ".sql") and path.name != "__init__.py"
        }
        assert set(rooms) == there, f"the map of {floor}/"
    assert set(floors()) >= {"base", "aql", "sql", "store", "jobs"}


def test_every_step_of_the_two_ways_names_a_file_that_exists():
    for title in ("The way of a write", "The way of a job"):
        section = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
        steps = re.split(r"^\d\. ", section, flags=re.MULTILINE)[1:]
        assert len(steps) >= 4
        for step in steps:
            files = re.findall(r"`((?:\w+/)?\w+\.(?:py|sql))`", step)
            assert files, f"this step names no file: {step}"
            for file in files:
                assert (SOURCE / file).exists(), file
