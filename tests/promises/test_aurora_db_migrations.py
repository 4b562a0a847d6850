"""Promises of aurora-db, by their numbers: migrations."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from aurora_db import (
    AqlError,
    AsyncAurora,
    Aurora,
    MigrationError,
    MigrationResult,
    NotFound,
    UnknownField,
    ValidationError,
)

GUARD = 60.0


def define(db, fields, name="users"):
    db.execute(f"schema {{ define collection {name} {{ {fields} }} }}")


def test_78_add_a_field_and_set_it(db):
    """A new field gets its value in all documents, and the result tells the version."""
    define(db, "name: String")
    db["users"].insert_many([{"name": "Ada"}, {"name": "Bob"}])
    done = db.execute("""migrate { "v1.1.0": {
      alter collection users { add role: String }
      migrate data in users { set role = "member" }
    } }""")
    assert (done["steps_applied"], done["version"], done["status"]) == (1, "v1.1.0", "applied")
    assert done["stepsApplied"] == 1
    assert db.execute("{ users { name role } }")["users"] == [
        {"name": "Ada", "role": "member"},
        {"name": "Bob", "role": "member"},
    ]


def test_79_again_is_skipped_and_what_is_new_is_applied(db):
    """The same text does nothing; with another version after it, that one is applied."""
    first = '"v1": { alter collection users { add a: Int } }'
    define(db, "name: String")
    db.execute(f"migrate {{ {first} }}")
    again = db.execute(f"migrate {{ {first} }}")
    assert (again["steps_applied"], again["status"]) == (0, "skipped")
    more = db.execute(f'migrate {{ {first} "v2": {{ alter collection users {{ drop a }} }} }}')
    assert (more["steps_applied"], more["version"], more["status"]) == (1, "v2", "applied")
    assert [one["status"] for one in more["versions"]] == ["skipped", "applied"]


def test_80_only_what_matches_is_set(db):
    """`where` of a `set` limits it."""
    define(db, "status: String label: String")
    db["users"].insert_many([{"status": "completed"}, {"status": "open"}])
    db.execute('migrate { "v1": { migrate data in users { set label="done" where {status:{eq:"completed"}} } } }')  # fmt: skip
    labels = [one["label"] for one in db.execute("{ users { label } }")["users"]]
    assert labels == ["done", None]


def test_81_drop_rename_add_and_numeric_versions(db):
    """Fields go, get other names and defaults; the history lists what was applied."""
    define(db, "name: String old: Int")
    db.insert_into("users", {"id": "a", "name": "Ada", "old": 1})
    done = db.execute("""migrate {
      1: { alter collection users { drop old  rename name to title } }
      2: { alter collection users { add plan: String = "free" } }
    }""")
    assert done["steps_applied"] == 2
    assert db["users"].get("a") == {"id": "a", "title": "Ada", "plan": "free"}
    with pytest.raises(UnknownField):
        db.insert_into("users", {"old": 2})
    history = db.execute("{ _migrations { version status applied_at } }")["_migrations"]
    assert [(one["version"], one["status"]) for one in history] == [
        ("1", "applied"),
        ("2", "applied"),
    ]
    assert all(one["applied_at"] is not None for one in history)


# --- what is promised besides ---------------------------------------------------------------


def test_a_version_with_relations_makes_tables_anew(db):
    """A collection that others relate to may be altered in a version; the relations stay."""
    define(db, "name: String age: String", "teams")
    define(db, 'team: ID @relation(to: "teams")')
    db.insert_into("teams", {"id": "t", "name": "A", "age": "7"})
    db.insert_into("users", {"id": "u", "team": "t"})
    db.execute("""migrate { "1": {
      define collection more { n: Int }
      alter collection teams { drop age  modify name: String! }
      migrate data in teams { set name = "B" }
    } }""")
    assert db.execute("{ users { team { name } } }") == {"users": [{"team": {"name": "B"}}]}


def test_a_failing_version_leaves_nothing_and_earlier_ones_stand(db):
    """Each version is a transaction of its own; the error says where it was."""
    define(db, "n: Int @validate(max: 5)")
    db.insert_into("users", {"n": 1})
    with pytest.raises(ValidationError) as refused:
        db.execute("""migrate {
          "v1": { define collection a { x: Int } }
          "v2": { define collection b { x: Int } migrate data in users { set n = 6 } }
        }""")
    assert refused.value.__notes__ == [
        "in version 'v2' of the migration; nothing of this version was applied"
    ]
    assert db.execute("{ _migrations { version } }") == {"_migrations": [{"version": "v1"}]}
    db["a"].insert({"x": 1})
    with pytest.raises(AqlError):
        db.collection("b")


def test_a_refused_step_points_into_the_text(db):
    """The line is that of the whole text."""
    with pytest.raises(UnknownField) as refused:
        db.execute("""migrate {
  "v1": { define collection a { x: Int } }
  "v2": {
    migrate data in a { set y = 6 }
  }
}""")
    assert (refused.value.line, refused.value.column) == (4, 29)
    assert "(in version 'v2')" in str(refused.value)


def test_text_and_folder(db, tmp_path):
    """`db.migrate` takes a text, or a folder of files in natural order."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "10_last.aql").write_text("# the last one\nmigrate data in users { set n = 3 }\n")
    (folder / "2_more.aql").write_text('migrate { "2": { alter collection users { add n: Int } } "3": { } }')  # fmt: skip
    (folder / "1_users.aql").write_text("define collection users { name: String }")
    (folder / "readme.txt").write_text("no migration")
    done = db.migrate(str(folder))
    assert done == [
        MigrationResult(version="1_users", status="applied", steps=1),
        MigrationResult(version="2", status="applied", steps=1),
        MigrationResult(version="3", status="applied", steps=0),
        MigrationResult(version="10_last", status="applied", steps=1),
    ]
    assert [one.status for one in db.migrate(folder)] == ["skipped"] * 4
    (one,) = db.migrate('migrate { "11": { define collection b { x: Int } } }')
    assert one.version == "11"


def test_a_dry_run_of_a_folder_leaves_nothing(db, tmp_path):
    """All versions run, and all of it is undone."""
    (tmp_path / "1.aql").write_text("define collection users { name: String }")
    (tmp_path / "2.aql").write_text("alter collection users { add n: Int }")
    assert [one.status for one in db.migrate(tmp_path, dry_run=True)] == ["applied", "applied"]
    with pytest.raises(AqlError):
        db.collection("users")
    assert [one.status for one in db.migrate(tmp_path)] == ["applied", "applied"]
    assert db["users"].count() == 0


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({}, MigrationError, "has no *.aql files"),
        ({"1.aql": "define collection a { x Int }"}, AqlError, "in '1.aql'"),
        ({"1.aql": "define collection a { x: Int }", "2.aql": 'migrate { "1": { } }'}, MigrationError, "stands twice (in 1.aql and 2.aql)"),
        ({"1.aql": "migrate data in a { set x = 1 }"}, AqlError, "in '1.aql', version '1'"),
    ],
)  # fmt: skip
def test_a_wrong_folder_is_refused(db, tmp_path, files, error, words):
    """The error names the file."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(error) as refused:
        db.migrate(folder)
    assert words in str(refused.value)


def test_what_is_no_migration(db, tmp_path):
    """A folder that is not there, and a text that is something else."""
    with pytest.raises(NotFound):
        db.migrate(tmp_path / "nowhere")
    with pytest.raises(AqlError):
        db.migrate("{ users { name } }")


async def test_the_asynchronous_verb(path):
    """`await db.migrate(…)` and `await db.execute(…)` do the same."""
    async with AsyncAurora(path) as db:
        (one,) = await db.migrate('migrate { "1": { define collection a { x: Int } } }')
        assert one == MigrationResult(version="1", status="applied", steps=1)
        done = await db.execute('migrate { "1": { define collection a { x: Int } } }')
        assert done["status"] == "skipped"


#: Many versions, each of which touches every document: `_rev` counts how often.
MANY = "migrate { " + " ".join(f'"{n}": {{ migrate data in t {{ set a = {n} }} }}' for n in range(1, 41)) + " }"  # fmt: skip
PROGRAM = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db:
    print("ready", flush=True)
    sys.stdin.readline()
    print(db.execute(sys.argv[2])["stepsApplied"], flush=True)
"""


def start(path):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), MANY],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def touched(db):
    """How often each document was written since its insert."""
    return {one["_rev"] - 1 for one in db.execute("{ t { _rev } }")["t"]}


@pytest.fixture
def filled(path):
    with Aurora(path) as db:
        define(db, "a: Int", "t")
        db["t"].insert_many({"a": n} for n in range(1500))
        yield db


@pytest.mark.crash
def test_two_processes_apply_each_version_once(filled, path):
    """Both ask for the same migration at once; together they apply each version exactly once."""
    programs = [start(path), start(path)]
    for one in programs:
        one.stdin.write("\n")
        one.stdin.flush()
    counts = [int(one.communicate(timeout=GUARD)[0]) for one in programs]
    assert sum(counts) == 40
    assert touched(filled) == {40}


@pytest.mark.crash
def test_a_killed_migration_goes_on_where_it_was(filled, path):
    """SIGKILL in the middle leaves whole versions; the next run applies the others."""
    program = start(path)
    program.stdin.write("\n")
    program.stdin.flush()
    end = time.monotonic() + GUARD
    while len(filled.execute("{ _migrations { version } }")["_migrations"]) < 5:
        assert time.monotonic() < end
        time.sleep(0.001)
    program.kill()
    program.communicate()
    applied = len(filled.execute("{ _migrations { version } }")["_migrations"])
    assert 5 <= applied < 40
    assert touched(filled) == {applied}
    assert filled.execute(MANY)["stepsApplied"] == 40 - applied
    assert touched(filled) == {40}


def test_a_migration_in_a_transaction_goes_with_it(db):
    """Rolled back with everything else, its versions are not applied."""
    text = 'migrate { "1": { define collection a { x: Int } } "2": { alter collection a { add y: Int } } }'
    with db.transaction() as tx:
        assert tx.execute(text)["stepsApplied"] == 2
        tx["a"].insert({"x": 1, "y": 2})
        tx.rollback()
    assert db.execute("{ _migrations { version } }") == {"_migrations": []}
    assert db.execute(text)["stepsApplied"] == 2


def test_a_dry_run_with_relations(db):
    """Tables that others relate to are made anew, and all of it is undone."""
    define(db, "name: String", "teams")
    define(db, 'team: ID @relation(to: "teams")')
    db.insert_into("teams", {"id": "t", "name": "A"})
    db.insert_into("users", {"id": "u", "team": "t"})
    done = db.execute(
        'migrate { dryRun: true "1": { alter collection teams { modify name: String! } } }'
    )
    assert done["stepsApplied"] == 1
    db.insert_into("teams", {"id": "s"})
    assert db.execute("{ users { team { name } } _migrations { version } }") == {
        "users": [{"team": {"name": "A"}}],
        "_migrations": [],
    }
