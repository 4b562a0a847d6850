"""What goes wrong says what to do: a stable code, a hint, and nothing changed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from aurora_db import (
    Aurora,
    AuroraConfig,
    AuroraError,
    DatabaseClosed,
    DatabaseCorrupt,
    TransactionError,
    UniqueViolation,
    ValidationError,
    VersionTooNew,
    WorkersDisabled,
)


def test_a_file_that_is_not_a_database(tmp_path):
    """It is refused and stays as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database\n" * 100)
    with pytest.raises(DatabaseCorrupt) as error:
        Aurora(path)
    assert error.value.code == "corrupt"
    assert error.value.hint
    assert path.read_text().startswith("these are notes")


def test_a_newer_format(tmp_path):
    """A file of a newer version is refused by its number."""
    path = tmp_path / "new.db"
    Aurora(path).close()
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version = 999')",
            path,
        ],
        check=True,
    )
    with pytest.raises(VersionTooNew) as error:
        Aurora(path)
    assert (error.value.code, "999" in str(error.value)) == ("version_too_new", True)
    assert error.value.hint


def test_another_programs_database(tmp_path):
    """A SQLite file with foreign tables is not taken over."""
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    with pytest.raises(AuroraError) as error:
        Aurora(path)
    assert error.value.hint


def test_a_folder_that_does_not_exist(tmp_path):
    """The message names the folder."""
    with pytest.raises(AuroraError, match="nowhere") as error:
        Aurora(tmp_path / "nowhere" / "a.db")
    assert error.value.hint


def test_closing_twice_is_no_error(tmp_path):
    """The second close does nothing; a verb after it is refused."""
    db = Aurora(tmp_path / "a.db")
    db.close()
    db.close()
    with pytest.raises(DatabaseClosed) as error:
        db.execute("{ _jobs { id } }")
    assert error.value.hint


def test_a_forked_child_must_open_again(tmp_path):
    """Using the parent's object in a forked child raises, and the parent goes on."""
    db = Aurora(tmp_path / "a.db")
    child = os.fork()
    if child == 0:
        try:
            db.enqueue_job("x", {})
        except DatabaseClosed as error:
            os._exit(0 if error.hint and "fork" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    db.enqueue_job("x", {})
    db.close()


def test_two_processes_open_at_once_for_the_first_time(tmp_path):
    """Both get the same new database."""
    code = "import sys; from aurora_db import Aurora; db = Aurora(sys.argv[1]); db.enqueue_job('x', {}); db.close()"
    both = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "a.db"]) for _ in range(4)]
    assert [process.wait(60) for process in both] == [0, 0, 0, 0]
    with Aurora(tmp_path / "a.db") as db:
        assert db.execute("{ _jobs { aggregate { count } } }") == {
            "_jobs": {"aggregate": {"count": 4}}
        }


def test_workers_of_a_process_without(tmp_path):
    """A process that only enqueues is told how to work."""
    with Aurora(tmp_path / "a.db") as db, pytest.raises(WorkersDisabled) as error:
        db.workers.start()
    assert "workers_enabled=True" in (error.value.hint or "")


def test_an_unknown_option_names_the_nearest():
    """A misspelt option is a TypeError."""
    with pytest.raises(TypeError, match="worker_threads"):
        Aurora("never.db", worker_thread=4)
    assert not os.path.exists("never.db")


@pytest.mark.parametrize(
    "options",
    [
        {"worker_threads": 0},
        {"durability": "maybe"},
        {"poll_interval": 0},
        {"shutdown_timeout": -1},
    ],
)
def test_an_option_out_of_range(options):
    """A wrong value is a ValueError that names the option."""
    with pytest.raises(ValueError, match=next(iter(options))):
        AuroraConfig(path="x.db", **options)


def test_the_holder_of_a_transaction_uses_tx(tmp_path):
    """A write through `db` inside its own transaction is refused instead of waiting for itself."""
    with Aurora(tmp_path / "a.db") as db:
        with db.transaction() as tx:
            with pytest.raises(TransactionError) as error:
                db.enqueue_job("x", {})
            with pytest.raises(TransactionError), db.transaction():
                pass
            tx.enqueue_job("y", {})
        assert "tx" in (error.value.hint or "")
        assert [row["type"] for row in db.execute("{ _jobs { type } }")["_jobs"]] == ["y"]


def test_the_error_shows_the_place(db):
    """A misspelt field has a caret and the nearest name."""
    db.execute("schema { define collection users { username: String } }")
    with pytest.raises(AuroraError) as error:
        db.execute("query {\n  users { usernam }\n}")
    assert str(error.value) == (
        "no field named 'usernam' in collection 'users'\n"
        "  hint: did you mean 'username'?\n"
        "  2 |   users { usernam }\n"
        "    |           ^^^^^^^"
    )


READ_ONLY = """
import os, sys
from aurora_db import Aurora, ReadOnly
if os.geteuid() == 0:  # who may do everything becomes somebody who may not
    os.setuid(65534)
try:
    Aurora(sys.argv[1])
except ReadOnly as error:
    print(error.code, bool(error.hint))
"""


def test_a_read_only_folder():
    """Who may not write the folder is told so."""
    # Not in `tmp_path`: pytest closes its folders to other users whenever a run begins.
    with tempfile.TemporaryDirectory() as outside:
        Path(outside).chmod(0o755)
        locked = Path(outside, "locked")
        locked.mkdir(mode=0o555)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, locked / "a.db"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout.split() == ["read_only", "True"], done.stderr


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        (["a", "b"], ["a", "b"]),
        (("a",), ["a"]),
        ([], []),
        ([1], "field 'tags[0]' is String, got Int 1"),
        (["a", None], "field 'tags[1]' is required"),
        (["a", "\ud800"], "field 'tags[1]' holds half of a surrogate pair"),
        ("a", "field 'tags' is [String!], got String 'a'"),
    ],
)
def test_a_list_of_texts_is_stored_or_refused_at_its_element(db, tags, kept):
    """What is no text is named by its place."""
    db.execute("schema { define collection u { tags: [String!] } }")
    if isinstance(kept, list):
        assert db["u"].get(db["u"].insert({"tags": tags}))["tags"] == kept
        return
    with pytest.raises(AuroraError) as refused:
        db["u"].insert({"tags": tags})
    assert refused.value.message == kept


@pytest.mark.parametrize(
    ("document", "field", "rule", "message"),
    [
        ({"box": {}}, "box.w", "required", "field 'box.w' is required"),
        ({"box": {"w": 0}}, "box.w", "min", "field 'box.w' must be at least 1, got 0"),
        (
            {"box": {"w": 1, "s": [None]}},
            "box.s[0]",
            "required",
            "field 'box.s[0]' is required",
        ),
        ({"mails": ["x"]}, "mails[0]", "email", "field 'mails[0]' is not an e-mail address: 'x'"),
    ],
)
def test_field_is_the_path_of_what_is_wrong(document, field, rule, message):
    """Inside objects and lists, too, a program finds the place without reading the message."""
    with Aurora(":memory:") as db:
        db.execute(
            "schema { define collection t { box: { w: Int! @validate(min: 1) s: [String!] } mails: [Email!] } }"
        )
        with pytest.raises(ValidationError) as caught:
            db["t"].insert(document)
        error = caught.value
        assert (error.field, error.rule, error.message) == (field, rule, message)


def test_a_unique_violation_tells_fields_and_value(db):
    """Whatever verb was refused, the error says which value exists already."""
    db.execute(
        "schema { define collection u { mail: String @unique a: Int b: Int @@unique(fields: [a, b]) } }"
    )
    db["u"].insert_many([{"id": "1", "mail": "x@y", "a": 1, "b": 2}, {"id": "2", "mail": "z@y"}])
    insert = (
        'mutation { insertMany(collection: "u", data: [{mail: "n@y"}, {mail: "x@y"}]) { count } }'
    )
    for verb, fields, value in (
        (lambda: db["u"].insert({"mail": "x@y"}), ("mail",), "x@y"),
        (lambda: db["u"].insert_many([{"mail": "n@y"}, {"mail": "n@y"}]), ("mail",), "n@y"),
        (lambda: db["u"].insert({"a": 1, "b": 2}), ("a", "b"), (1, 2)),
        (lambda: db["u"].update("2", {"mail": "x@y"}), ("mail",), "x@y"),
        (lambda: db.execute(insert), ("mail",), "x@y"),
    ):
        with pytest.raises(UniqueViolation) as refused:
            verb()
        assert (refused.value.fields, refused.value.value) == (fields, value)
    assert db["u"].count() == 2
