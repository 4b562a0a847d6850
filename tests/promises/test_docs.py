"""What is documented is executed: every block of the README and of the guides."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import aurora_db
from aurora_db import Aurora, AuroraError

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


AQL = ROOT / "docs" / "aql"


def cells(page: Path) -> list[str]:
    """The code in the last column of the tables whose head is `there | here`."""
    found: list[str] = []
    inside = False
    for line in page.read_text().splitlines():
        columns = [one.strip() for one in line.replace(r"\|", "\0").strip("|").split("|")]
        if columns == ["there", "here"]:
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not columns[-1].startswith("---"):
            found.append(columns[-1].strip("`").replace("\0", "|"))
    return found


def test_what_newcomers_are_told_to_type_runs():
    """Every right side of the tables runs on the collections of the page."""
    page = AQL / "coming-from.md"
    told = cells(page)
    assert len(told) > 70
    set_up = [block.text for block in pages.blocks(page) if block.language == "aql"]
    for text in told:
        with Aurora(":memory:") as db:
            for block in set_up:
                db.execute(block)
            if text.startswith("subscription"):
                db.stream(text).close()
                continue
            # Whoever runs it is an administrator; one line is about that.
            db.execute(text, auth={"role": "ADMIN"})


def test_every_code_of_an_error_has_its_line():
    """Whoever sees a code finds it and its class in the page of errors."""
    text = (AQL / "errors.md").read_text()
    for name in aurora_db.__all__:
        kind = getattr(aurora_db, name)
        if isinstance(kind, type) and issubclass(kind, AuroraError) and kind.code not in ROOTS:
            assert f"`{name}`" in text, name
            assert f"`{kind.code}`" in text, kind.code


#: Codes of classes that are never raised themselves.
ROOTS = {"error", "aql", "job"}


def test_every_page_is_in_the_list_of_contents():
    """The entry to the language names each of its pages and each guide."""
    entry = (AQL / "README.md").read_text()
    for page in sorted(AQL.glob("*.md")):
        assert page.name == "README.md" or f"]({page.name})" in entry, page.name
    for page in sorted((ROOT / "docs" / "guides").glob("*.md")):
        assert f"](../guides/{page.name})" in entry, page.name


def test_every_page_about_jobs_is_in_their_list_of_contents():
    """The entry to the jobs names each of their pages, and the other entries lead to it."""
    jobs = ROOT / "docs" / "jobs"
    entry = (jobs / "README.md").read_text()
    for page in sorted(jobs.glob("*.md")):
        assert page.name == "README.md" or f"]({page.name}) | " in entry, page.name
    assert "](docs/jobs/README.md)" in (ROOT / "README.md").read_text()
    assert "](../jobs/README.md)" in (AQL / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    """To a file that exists, and to a heading that is in it."""
    for target in re.findall(
        r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    ):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if heading:
            assert heading in anchors(file), target


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("#")]
    words = [re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()) for line in lines]
    return {word.replace(" ", "-") for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_short_enough_to_be_read(page):
    """Beyond 250 lines it is two pages."""
    assert len(page.read_text().splitlines()) <= 250


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
