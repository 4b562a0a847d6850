"""The table of the 96 behaviours and the tests that it names say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
TEST = re.compile(r"^(?:async )?def (test_(\d\d)_\w+)\(", re.MULTILINE)


def rows() -> dict[int, tuple[str, str]]:
    """By number, the test as `file::name` and what is waited for; either may be empty."""
    found: dict[int, tuple[str, str]] = {}
    for line in (FOLDER / "aurora-db.md").read_text("utf-8").splitlines():
        if re.match(r"\| \d", line):
            number, _, test, waits = (cell.strip(" `") for cell in line.strip("|").split("|"))
            assert int(number) not in found, f"{number} stands twice"
            found[int(number)] = (test, waits)
    return found


def test_every_behaviour_has_its_test_or_what_it_waits_for(capsys: pytest.CaptureFixture[str]):
    """Each number from 1 to 96 has one row, and one test by its number unless it waits."""
    tests: dict[int, str] = {}
    for path in sorted(FOLDER.glob("test_aurora_db*.py")):
        for name, number in TEST.findall(path.read_text("utf-8")):
            assert int(number) not in tests, f"{number} has two tests"
            tests[int(number)] = f"{path.name}::{name}"
    table = rows()
    assert list(table) == [*range(1, 97)]
    assert {number: test for number, (test, _) in table.items() if test} == tests
    waiting = [number for number, (test, _) in table.items() if not test]
    assert all(table[number][1] for number in waiting)
    with capsys.disabled():
        print(f"\naurora-db: {len(tests)} of 96 behaviours have a test, {waiting} wait")
