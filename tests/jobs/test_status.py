"""The table of transitions is the one source: the tables, the statements and the page of docs go by it."""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import aurora_db
from aurora_db import Aurora
from aurora_db.base.codec import encode
from aurora_db.base.records import Status
from aurora_db.jobs.status import BORN, HAPPENS, MEANING, TRANSITIONS, Event
from aurora_db.sql.statement import Batch

ROOT = Path(__file__).parents[2]
SYSTEM = (Path(aurora_db.__file__).parent / "store" / "system.sql").read_text("utf-8")
ENDED = {Status.COMPLETED, Status.FAILED, Status.CANCELLED}
#: A text that gives jobs a status.
MOVES = re.compile(r"UPDATE _jobs\b.*?\bSET\b(?:(?!\bWHERE\b).)*?\bstatus = ", re.DOTALL)

BEFORE, NOW, AFTER = (f"2026-01-0{day}T00:00:00.000000Z" for day in (1, 2, 3))
#: What any of the statements asks for. There is one job: number 1, "a", held by "w" in attempt 1.
GIVEN = {
    "now": NOW, "lease": AFTER, "id": "a", "ids": encode(["a"]), "known": encode(["w"]), "numbers": encode([1]), "begun": encode([1]), "worker": "w",
    "most": 3, "poison": "died", "type": "t", "error": "no",
}  # fmt: skip
SETTLED = (1, 1, "w", NOW, None, "no", AFTER)
#: What some are given instead; the rows of those that take many, where they are no settlements.
OTHERS = {"upkeep.GIVE_BACK_EXPIRED": {"begun": encode([])}}
ROWS = {"conflicts.RESCHEDULE": [("a", AFTER), ("a", None)]}

#: Every statement that changes the status of jobs, and what it makes of which.
STATEMENTS = {
    "claims.CLAIM": {"PENDING → RUNNING"},
    "conflicts.RESCHEDULE": {"SCHEDULED → PENDING", "PENDING → SCHEDULED"},
    "conflicts.UNPARK": {"BLOCKED → PENDING"},
    "event_handlers.CANCEL": {
        "SCHEDULED → CANCELLED",
        "BLOCKED → CANCELLED",
        "PENDING → CANCELLED",
    },
    "flow.CANCEL": {"BLOCKED → CANCELLED"},
    "flow.FREE": {"BLOCKED → PENDING", "BLOCKED → SCHEDULED"},
    "meters.BLOCK": {"PENDING → BLOCKED"},
    "meters.FREE": {"BLOCKED → PENDING"},
    "queue.CANCEL": {"RUNNING → CANCELLED"},
    "queue.COMPLETE": {"RUNNING → COMPLETED"},
    "queue.CRASHED": {"RUNNING → PENDING"},
    "queue.FAIL": {"RUNNING → FAILED"},
    "queue.POISONED": {"RUNNING → FAILED"},
    "queue.RELEASE": {"RUNNING → PENDING"},
    "queue.RETRY": {"RUNNING → SCHEDULED"},
    "queue.SNOOZE": {"RUNNING → SCHEDULED"},
    "solo.HOLD": {"PENDING → RUNNING"},
    "upkeep.CRASHED": {"RUNNING → PENDING", "RUNNING → FAILED"},
    "upkeep.EXPIRED": {"RUNNING → PENDING", "RUNNING → FAILED"},
    "upkeep.GIVE_BACK": {"RUNNING → PENDING"},
    "upkeep.GIVE_BACK_EXPIRED": {"RUNNING → PENDING"},
    "upkeep.STAGE": {"SCHEDULED → PENDING"},
    "verbs.CANCEL": {
        "SCHEDULED → CANCELLED",
        "BLOCKED → CANCELLED",
        "PENDING → CANCELLED",
        "RUNNING → CANCELLED",
    },
    "verbs.REVIVE": {
        "COMPLETED → PENDING",
        "FAILED → PENDING",
        "CANCELLED → PENDING",
        "COMPLETED → BLOCKED",
        "FAILED → BLOCKED",
        "CANCELLED → BLOCKED",
    },
}


def modules():
    """Those that may write to jobs."""
    for folder in ("jobs", "store"):
        package = importlib.import_module(f"aurora_db.{folder}")
        for found in pkgutil.iter_modules(package.__path__):
            yield importlib.import_module(f"{package.__name__}.{found.name}")


def moving():
    """The statements of all modules that change the status of jobs, by room and name."""
    found = {}
    for module in modules():
        for name, value in vars(module).items():
            text = value.text() if isinstance(value, Batch) else value
            if name.isupper() and isinstance(text, str) and MOVES.search(text):
                found[f"{module.__name__.rpartition('.')[2]}.{name}"] = value
    return found


FOUND = moving()


def checks(pattern):
    """The statuses that a CHECK of the table of jobs lists."""
    table = SYSTEM.partition("CREATE TABLE _jobs (")[2].partition(") STRICT;")[0]
    (listed,) = re.findall(pattern, table)
    return set(re.findall(r"'(\w+)'", listed))


def test_the_table_of_jobs_knows_the_same_statuses():
    """And no others; those that a job has when it has ended are those without a way on but by hand."""
    assert checks(r"CHECK \(status IN\s+\(([^)]*)\)\)") == set(Status)
    assert checks(r"\(status IN \(([^)]*)\)\) = \(finished_at IS NOT NULL\)") == ENDED
    assert {one for one, ways in TRANSITIONS.items() if Event.REVIVE in ways} == ENDED


def test_every_status_and_event_has_its_words():
    """The table, the meanings and the words for events name the same."""
    assert list(TRANSITIONS) == list(MEANING) == list(Status)
    assert list(HAPPENS) == list(Event)
    assert {event for ways in TRANSITIONS.values() for event in ways} == set(Event)
    assert set(BORN) == {Status.PENDING, Status.SCHEDULED, Status.BLOCKED, Status.FAILED}


def test_the_page_of_the_life_of_a_job_is_drawn_from_the_table():
    """As tools/docs.py would write it now."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "docs.py"), "--check"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_every_statement_that_changes_a_status_is_known_here():
    """A new one comes with what it may do; none is hidden in a function."""
    assert set(FOUND) == set(STATEMENTS)
    for module in modules():
        tree = ast.parse(Path(module.__file__).read_text("utf-8"))
        inside = [
            node.value
            for function in ast.walk(tree)
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
            for node in ast.walk(function)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        assert [text for text in inside if MOVES.search(text)] == [], module.__name__


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_goes_by_the_table(db, name):
    """Whatever status a job is in, and whatever it waits for: only ways that the table has."""
    made = set()
    for before in Status:
        for case in itertools.product((0, 2), (BEFORE, AFTER), (None, "COMPLETED", "FAILED")):
            for row in ROWS.get(name, [SETTLED]):
                after = db._engine.write(partial(moved, name=name, case=(before, *case), row=row))
                if after != before:
                    assert after in TRANSITIONS[before].values()
                    made.add(f"{before} → {after}")
    assert made == STATEMENTS[name]


async def moved(port, name, case, row):
    """The status after the statement of the only job, which was made by the case."""
    statement = FOUND[name]
    status, crashes, run_at, outcome = case
    running, ended = status == "RUNNING", status in ENDED
    await port.change("DELETE FROM _jobs")
    await port.change("DELETE FROM _job_dependencies")
    await port.change(
        """
        INSERT INTO _jobs (_n, id, type, status, attempt, worker, crashes, run_at, created_at, lease_until,
                           finished_at, depends_on, on_dependency_failure)
        VALUES (1, 'a', 't', ?, 1, 'w', ?, ?, ?, ?, ?, ?, 'cancel')
        """,
        (
            status, crashes, run_at, BEFORE, BEFORE if running else None, BEFORE if ended else None,
            None if outcome is None else 1,
        ),
    )  # fmt: skip
    if outcome is not None:
        await port.change("INSERT INTO _job_dependencies VALUES ('b', 'a', ?)", (outcome,))
    if isinstance(statement, Batch):
        await port.batch(statement, [row])
    else:
        await port.rows(statement, {**GIVEN, **OTHERS.get(name, {})})
    return (await port.row("SELECT status FROM _jobs"))[0]


def test_all_statements_together_make_every_way_of_the_table():
    """Nothing stands there that no statement does."""
    ways = {f"{one} → {to}" for one, events in TRANSITIONS.items() for to in events.values()}
    assert set().union(*STATEMENTS.values()) == ways


def test_a_job_begins_only_as_the_table_says(path):
    """At once, later, after others; or FAILED, where a chain of causes would never end."""
    begun = set()
    with Aurora(path) as db:
        first = db.enqueue_job("t", {})
        begun.add(first.status)
        begun.add(db.enqueue_job("t", {}, delay=10).status)
        begun.add(db.enqueue_job("t", {}, after=[first.id]).status)
    assert begun | {Status.FAILED} == set(BORN)
