"""The table of the 96 behaviours and the tests that it names say the same."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| (?:`(\w+\.py)::(test_\d\d_\w+)`)? ?\| ?([^|]*?) ?\|$")
TEST = re.compile(r"^(?:async )?def (test_(\d\d)_\w+)\(", re.MULTILINE)


def test_every_behaviour_has_its_test_or_what_it_waits_for(capsys):
    """Each number from 1 to 96 has one row, and one test by its number unless it waits."""
    tests = {
        int(found[2]): (path.name, found[1])
        for path in sorted(FOLDER.glob("test_aurora_db*.py"))
        for found in TEST.finditer(path.read_text())
    }
    count = sum(len(TEST.findall(path.read_text())) for path in FOLDER.glob("test_aurora_db*.py"))
    assert count == len(tests), "a number has two tests"
    lines = (FOLDER / "aurora-db.md").read_text().splitlines()
    rows = [ROW.match(line) for line in lines if re.match(r"\| \d", line)]
    assert all(rows), [
        line
        for line, row in zip((x for x in lines if re.match(r"\| \d", x)), rows, strict=True)
        if not row
    ]
    found = {int(row[1]): row for row in rows if row}
    assert list(found) == [*range(1, 97)]
    named = {n: (row[3], row[4]) for n, row in found.items() if row[4]}
    assert named == tests
    waiting = [n for n, row in found.items() if not row[4]]
    assert all(found[n][5] for n in waiting)
    with capsys.disabled():
        print(
            f"\naurora-db: {len(named)} of 96 behaviours have their test, {len(waiting)} wait: {waiting}"
        )
