"""`aurora watch`: what is committed, on standard output as it is committed."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from aurora_db import Aurora

#: Seconds after which a test has hung.
GUARD = 60
#: The command; Ctrl-C counts, also where whoever runs the tests has it ignored.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from aurora_db.__main__ import main
main()
"""


@pytest.fixture
def shop(tmp_path):
    """A database in this folder, with one order."""
    with Aurora(tmp_path / "shop.db") as db:
        db.execute("schema { define collection orders { total: Int note: String } }")
        db["orders"].insert({"id": "a", "total": 1})
        yield db


@pytest.fixture
def watch(tmp_path):
    """Begins `aurora watch shop.db …` in this folder; it is ended with the test."""
    running = []

    def start(*words, **options):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "watch", "shop.db", *words],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(GUARD)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def ended(process):
    """Its exit code and what it printed."""
    out, error = process.communicate(timeout=GUARD)
    return process.returncode, out, error


def test_a_collection_is_followed(shop, watch):
    """Each change is a line of JSON for machines; after so many it ends."""
    with shop.listen("orders") as listener:
        since = listener.position
    shop["orders"].insert({"id": "b", "total": 2})
    shop["orders"].update("a", {"total": 10})
    code, out, error = ended(watch("orders", "--since", since, "--count", "2", "--json"))
    assert (code, error) == (0, "")
    first, second = map(json.loads, out.splitlines())
    assert (first["op"], first["id"], first["old"]) == ("insert", "b", None)
    assert first["new"]["total"] == 2
    assert (second["op"], second["id"], second["changed"]) == ("update", "a", ["total"])
    shop["orders"].delete("b")
    code, out, _ = ended(watch("orders", "--since", second["position"], "-n", "1", "--json"))
    assert (code, json.loads(out)["op"]) == (0, "delete")


def test_changes_are_lines_for_people(shop, watch):
    """When, what, where, which document; the position to go on after stands on standard error."""
    with shop.listen("orders") as listener:
        since = listener.position
    shop["orders"].insert({"id": "b", "total": 2, "note": "\x1b[31mred"})
    with shop.listen("orders") as listener:
        position = listener.position
    code, out, error = ended(watch("orders", "--since", since, "--count", "1"))
    assert code == 0
    time, op, collection, id, document = out.strip().split("  ")
    assert time.endswith("Z")
    assert (op, collection, id) == ("insert", "orders", "b")
    assert document == r'{"total":2,"note":"\u001b[31mred"}'
    assert error == f"watching; Ctrl-C stops\ngo on after it: --since {position}\n"


def test_a_subscription_is_followed_as_it_happens(shop, watch):
    """What another process commits is on standard output at once; Ctrl-C is a good end."""
    text = "subscription ($n: Int) { orders(where: {total: {gt: $n}}, initial: true) { mutation node { id total } } }"
    process = watch(text, "--var", "n=0", "--json")
    assert json.loads(process.stdout.readline())["orders"]["mutation"] == "INITIAL"
    assert json.loads(process.stdout.readline())["orders"]["mutation"] == "READY"
    shop["orders"].insert({"id": "b", "total": 2})
    assert json.loads(process.stdout.readline()) == {
        "orders": {"mutation": "INSERT", "node": {"id": "b", "total": 2}}
    }
    process.send_signal(signal.SIGINT)
    assert ended(process) == (0, "", "")


def test_events_are_lines_for_people(shop, watch):
    """When, what, of which root, which document."""
    process = watch(
        "subscription { orders(initial: true) { mutation node { id total } } }", "--count", "1"
    )
    code, out, _ = ended(process)
    assert code == 0
    assert out.strip().split("  ")[1:] == ["INITIAL", "orders", "a", '{"total":1}']


def test_a_query_is_shown_whenever_it_differs(shop, watch, tmp_path):
    """As a table; also one that is in a file."""
    (tmp_path / "top.aql").write_text("{ orders(orderBy: {total: DESC}, limit: 2) { id total } }")
    process = watch("top.aql", "--count", "2")
    read = [process.stdout.readline() for _ in range(3)]
    assert [line.split() for line in read[1:]] == [["id", "total"], ["a", "1"]]
    shop["orders"].insert({"id": "b", "total": 2})
    code, out, _ = ended(process)
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["id", "total"],
        ["b", "2"],
        ["a", "1"],
    ]


def test_on_a_terminal_the_table_is_drawn_anew(shop, watch):
    """In its place, not below."""
    ours, theirs = pty.openpty()
    process = watch("{ orders { id total } }", "--count", "2", stdout=theirs)
    os.close(theirs)
    seen = b""
    while b"total" not in seen or not seen.rstrip().endswith(b"1"):
        seen += os.read(ours, 4096)
    shop["orders"].update("a", {"total": 22})
    while b"22" not in seen:
        seen += os.read(ours, 4096)
    assert process.wait(GUARD) == 0
    os.close(ours)
    # A line of the terminal is cleared before it is written once more.
    assert b"\x1b[2K" in seen[: seen.index(b"22")]


def test_it_ends_when_nothing_comes(shop, watch):
    """0, unless more was asked for than came."""
    assert ended(watch("orders", "--timeout", "0", "--json")) == (0, "", "")
    assert ended(watch("orders", "--timeout", "0", "--count", "1", "--json")) == (1, "", "")


def test_what_cannot_be_followed_is_refused(shop, watch):
    """With what to do: an unknown collection, a mutation, a position of another database, a file that is none."""
    code, _, error = ended(watch("order"))
    assert (code, error) == (
        1,
        "error: no collection named 'order'\n  hint: did you mean 'orders'?\n",
    )
    code, _, error = ended(watch("orders", "--since", "f00-1"))
    assert code == 1
    assert error.startswith("error: the position 'f00-1' belongs to another database\n  hint: ")
    code, _, error = ended(
        watch('mutation { deleteFrom(collection: "orders", all: true) { affected } }')
    )
    assert code == 1
    code, _, error = ended(watch("orders", "--count", "0"))
    assert code == 2


def test_help_has_examples(watch):
    """For a collection, a subscription and a query."""
    code, out, _ = ended(watch("--help"))
    assert code == 0
    assert out.count("Example: aurora watch shop.db") == 3
