"""Each promise of the language names the cases that show it: `promises/*.md`, one line a promise.

A line is a row of a table, `| § | promise | cases |`, or an item, `- § · promise · cases`.
"""

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
#: What the promise waits for instead: a part of the project that does not exist yet.
LATER = "later: "


def rows(table: Path) -> list[tuple[str, str, list[str]]]:
    """The section, the promise and the names of what shows it, a row each."""
    found: list[tuple[str, str, list[str]]] = []
    for line in table.read_text("utf-8").splitlines():
        if line.startswith("| "):
            between, cells = " | ", line.strip("| ").split(" | ")
        elif line.startswith("- "):
            between, cells = " · ", line[2:].split(" · ")
        else:
            continue
        if cells[0].strip() != "§":
            names = (
                [name.strip(" `").replace(".md ", " ") for name in cells[-1].split(",")]
                if len(cells) > 2
                else [""]
            )
            found.append((cells[0], between.join(cells[1:-1]), names))
    return found


@cache
def numbers(file: str) -> frozenset[str]:
    """The numbers of the cases of a file."""
    path = cases.FOLDER / f"{file}.md"
    return frozenset(one.title[:3] for one in cases.read(path)) if path.exists() else frozenset()


def exists(name: str) -> bool:
    """Whether there is such a case or test."""
    if name.startswith(LATER):
        return True
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
    waiting = [one for one in promises if one[2][0].startswith(LATER)]
    shown = {name for _, _, names in promises for name in names if not name.startswith(LATER)}
    known = {
        f"{path.stem} {one.title[:3]}"
        for path in cases.FOLDER.glob("*.md")
        for one in cases.read(path)
    }
    print(
        f"{len(promises)} promises, {len(waiting)} of them of parts that come later; shown by "
        f"{len(shown & known)} of {len(known)} cases and {len(shown - known)} other tests"
    )
    assert promises
