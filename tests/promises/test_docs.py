"""What is documented is executed: every block of the README and of the guides."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import pages

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_the_page_runs(page, tmp_path, monkeypatch):
    """Whoever types a page from top to bottom gets what it says."""
    monkeypatch.chdir(tmp_path)
    expected = [
        b for b in pages.blocks(page) if b.language in ("python", "aql", "json", "python no-run")
    ]
    assert pages.run(page) == len(expected)


def test_the_commands_of_the_readme_exist():
    """`make demo` and `make test` are the two commands, and both are verbs of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    commands = [
        line.split()
        for block in pages.blocks(ROOT / "README.md")
        if block.language == "sh"
        for line in block.text.splitlines()
        if line.strip()
    ]
    verbs = [words[1] for words in commands if words[0] == "make"]
    assert {"demo", "test"} <= set(verbs)
    for verb in verbs:
        assert f"\n{verb}:" in makefile
