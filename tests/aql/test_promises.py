"""Each promise of the language names the cases that show it: `promises/*.md`, one row a promise."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from tests.aql import cases

TESTS = Path(__file__).parents[1]
TABLES = sorted((Path(__file__).parent / "promises").glob("*.md"))

#: `file number` of a case, or a test of Python: `tests/aql/test_tokens.py::test_name`.
CASE = re.compile(r"(\w+) (\d{3})")
TEST = re.compile(r"tests/([\w/]+\.py)(?:::(\w+))?")


def rows(table: Path) -> list[tuple[str, str, list[str]]]:
    """The section, the promise and the names of what shows it, a row each."""
    found: list[tuple[str, str, list[str]]] = []
    for line in table.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and len(cells) >= 3 and cells[0] not in ("§", "---"):
            names = [name.strip(" `") for name in cells[-1].split(",")]
            found.append((cells[0], " | ".join(cells[1:-1]), names))
    return found


@cache
def numbers(file: str) -> frozenset[str]:
    """The numbers of the cases of a file."""
    path = cases.FOLDER / f"{file}.md"
    return frozenset(one.title[:3] for one in cases.read(path)) if path.exists() else frozenset()


def exists(name: str) -> bool:
    """Whether there is such a case or test."""
    if case := CASE.fullmatch(name):
        return case[2] in numbers(case[1])
    if test := TEST.fullmatch(name):
        path = TESTS / test[1]
        return path.exists() and (not test[2] or f"def {test[2]}(" in path.read_text("utf-8"))
    return False


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_every_promise_is_shown_by_cases_that_exist(table: Path):
    """A row without a case, or with one that is not there, is a promise that nobody keeps."""
    missing = [
        f"{section}: {promise}: {name or 'nothing'}"
        for section, promise, names in rows(table)
        for name in names
        if not exists(name)
    ]
    assert rows(table), f"{table.name} has no rows"
    assert missing == []


def test_the_promises_are_counted():
    """How many promises there are, by how many cases they are shown, and how many cases there are."""
    promises = [one for table in TABLES for one in rows(table)]
    shown = {name for _, _, names in promises for name in names}
    known = {
        f"{path.stem} {one.title[:3]}"
        for path in cases.FOLDER.glob("*.md")
        for one in cases.read(path)
    }
    print(
        f"{len(promises)} promises, shown by {len(shown & known)} of {len(known)} cases "
        f"and {len(shown - known)} other tests"
    )
    assert promises
