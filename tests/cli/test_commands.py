"""The command line: results to standard output, errors with their hint, exit codes 0, 1 and 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import aurora_db


@pytest.fixture
def aurora(tmp_path):
    """Runs one command in an empty folder; gives its exit code and what it printed."""

    def run(*words, stdin="", **environment):
        done = subprocess.run(
            [sys.executable, "-m", "aurora_db", *words],
            cwd=tmp_path,
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        )
        return done.returncode, done.stdout, done.stderr

    return run


SCHEMA = "schema { define collection p { name: String! price: Float } }"


def test_run_makes_a_file_and_prints_results(aurora):
    """Text, standard input and a file are one; variables are JSON or texts."""
    code, out, error = aurora("run", "shop.db", SCHEMA, "--json")
    assert (code, out.count("\n"), error) == (0, 1, "")
    assert json.loads(out)["steps"] == [{"kind": "collection", "name": "p", "status": "created"}]
    insert = 'mutation ($n: String!, $p: Float) { insertInto(collection: "p", data: {name: $n, price: $p}) { name price } }'
    code, out, _ = aurora("run", "shop.db", insert, "--var", "n=Tea", "--var", "p=2.5")
    assert code == 0
    assert out == '{\n  "insertInto": {\n    "name": "Tea",\n    "price": 2.5\n  }\n}\n'
    assert (
        aurora("run", "shop.db", "--json", stdin="{ p { name } }")[1] == '{"p":[{"name":"Tea"}]}\n'
    )
    assert (
        aurora("run", "shop.db", "-", "--json", stdin="{ p { price } }")[1]
        == '{"p":[{"price":2.5}]}\n'
    )


def test_run_reads_a_file_of_aql(aurora, tmp_path):
    """A name that ends in .aql is a file."""
    (tmp_path / "schema.aql").write_text(SCHEMA)
    assert aurora("run", "shop.db", "schema.aql", "--json")[0] == 0
    code, _, error = aurora("run", "shop.db", "none.aql")
    assert (code, error) == (
        1,
        "error: the file 'none.aql' cannot be read: No such file or directory\n",
    )


def test_errors_say_what_to_do(aurora):
    """The message, the hint and the place; for machines as JSON."""
    aurora("run", "shop.db", SCHEMA)
    code, out, error = aurora("run", "shop.db", "{ p { nam } }")
    assert (code, out) == (1, "")
    assert error == (
        "error: no field named 'nam' in collection 'p'\n  hint: did you mean 'name'?\n"
        "  1 | { p { nam } }\n    |       ^^^\n"
    )
    code, _, error = aurora("run", "shop.db", "{ p { nam } }", "--json")
    assert code == 1
    assert json.loads(error)["error"] == {
        "code": "unknown_field",
        "message": "no field named 'nam' in collection 'p'",
        "hint": "did you mean 'name'?",
        "line": 1,
        "column": 7,
    }


def test_a_variable_that_is_missing_is_told_as_an_option(aurora):
    """What to type is an option here, not an argument of Python."""
    aurora("run", "shop.db", SCHEMA)
    code, _, error = aurora("run", "shop.db", "query ($n: Int!) { p(limit: $n) { name } }")
    assert code == 1
    assert error.startswith(
        "error: the variable '$n: Int!' was not given\n  hint: give it: --var NAME=VALUE\n"
    )


def test_the_version(aurora):
    """One line, as of every command."""
    assert aurora("--version") == (0, f"aurora_db {aurora_db.__version__}\n", "")


def test_import_and_export(aurora, tmp_path):
    """What is refused is named by file and line, and makes the exit code 1."""
    aurora("run", "shop.db", SCHEMA)
    (tmp_path / "p.csv").write_text("id,name,price\na,Tea,2.5\nb,Milk,cheap\n")
    code, out, error = aurora("import", "shop.db", "p", "p.csv")
    assert (code, out) == (1, "p: 1 imported, 0 skipped, 1 failed\n")
    assert error == "p.csv:3: field 'price' is Float, got String 'cheap'\n"
    (tmp_path / "p.csv").write_text("id,name,price\na,Tea,2.5\nb,Milk,-\n")
    code, out, _ = aurora(
        "import", "shop.db", "p", "p.csv", "--on-conflict", "skip", "--null", "-", "--json"
    )
    assert (code, json.loads(out)) == (
        0,
        {"imported": 1, "skipped": 1, "failed": [], "failed_count": 0},
    )

    code, out, _ = aurora("export", "shop.db", "p", "cheap.json", "--where", '{"price": {"lt": 5}}')
    assert (code, out) == (0, "p: 1 written to cheap.json\n")
    assert json.loads((tmp_path / "cheap.json").read_text()) == [
        {"id": "a", "name": "Tea", "price": 2.5}
    ]
    assert (
        aurora("export", "shop.db", "p", "all.txt", "-f", "ndjson", "--json")[1]
        == '{"count":2,"path":"all.txt"}\n'
    )


def test_check_finds_nothing_or_what_is_wrong(aurora, tmp_path):
    """A document that breaks a constraint is named."""
    aurora("run", "shop.db", SCHEMA)
    assert aurora("check", "shop.db") == (0, "ok\n", "")
    assert aurora("check", "shop.db", "--json") == (0, "[]\n", "")
    damage = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('PRAGMA ignore_check_constraints = ON');"
        "db.execute(\"INSERT INTO p (name, price) VALUES ('x', 9e999)\"); db.commit(); db.close()"
    )
    subprocess.run(
        [sys.executable, "-c", damage, str(tmp_path / "shop.db")], check=True, timeout=60
    )
    code, out, _ = aurora("check", "shop.db")
    assert (code, out) == (1, "file: CHECK constraint failed in p\n")


def test_migrate_applies_each_version_once(aurora, tmp_path):
    """A folder of files, in their natural order; a dry run keeps nothing."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "1.aql").write_text(
        'migrate { "v1": { define collection p { name: String } } }'
    )
    (tmp_path / "steps" / "2.aql").write_text(
        'migrate { "v2": { alter collection p { add n: Int = 7 } } }'
    )
    assert aurora("migrate", "shop.db", "steps", "--dry-run")[:2] == (
        0,
        "v1: applied\nv2: applied\nnothing was kept\n",
    )
    assert aurora("migrate", "shop.db", "steps")[:2] == (0, "v1: applied\nv2: applied\n")
    code, out, _ = aurora("migrate", "shop.db", "steps/2.aql", "--json")
    assert (code, json.loads(out)) == (0, [{"version": "v2", "status": "skipped", "steps": 0}])
    assert aurora("migrate", "shop.db", "none.aql")[0] == 1


@pytest.mark.parametrize(
    "words",
    [
        ("chek", "x.db"),
        ("import", "x.db"),
        ("run", "x.db", "{ p }", "--vra", "a=1"),
        ("run", "x.db", "{ p }", "--var", "a"),
        ("export", "x.db", "p", "x.json", "--where", "5"),
        ("export", "x.db", "p", "x.json", "--where", "{"),
    ],
)
def test_wrong_usage(aurora, words):
    """Exit code 2, and nothing is made."""
    code, out, error = aurora(*words, COLUMNS="200")
    assert (code, out) == (2, "")
    assert "Usage: aurora" in error
    if words[-1] == "a":
        assert "such as --var least=5" in error
    if words[-2] == "--where":
        assert """write --where '{"price": {"lt": 5}}'""" in error


def test_a_file_that_does_not_exist_is_not_made(aurora, tmp_path):
    """A typing error in the name makes no empty database."""
    for words in (
        ("check", "x.db"),
        ("export", "x.db", "p", "o.json"),
        ("import", "x.db", "p", "i.json"),
    ):
        code, _, error = aurora(*words)
        assert (code, error.splitlines()[0]) == (1, "error: there is no database 'x.db'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "import", "export", "migrate", "check"])
def test_every_help_has_an_example(aurora, command):
    """`--help` shows how it is typed."""
    code, out, _ = aurora(command, "--help", COLUMNS="200")
    assert code == 0
    assert f"Example: aurora {command} shop.db" in out


def test_a_missing_extra_is_named(aurora, tmp_path):
    """Without typer the error is the command that installs it."""
    (tmp_path / "typer.py").write_text("raise ImportError('no', name='typer')")
    code, _, error = aurora("check", "x.db", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert code == 1
    assert error == (
        "error: the command line needs typer, which is not installed\n  hint: pip install 'aurora-db[cli]'\n"
    )


def test_a_bar_on_a_terminal_only(aurora, tmp_path):
    """Progress goes to the terminal, never into a pipe."""
    import pty

    aurora("run", "shop.db", SCHEMA)
    (tmp_path / "p.ndjson").write_text('{"name": "x"}\n' * 5_000)
    assert aurora("import", "shop.db", "p", "p.ndjson")[2] == ""
    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "aurora_db", "import", "shop.db", "p", "p.ndjson"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=slave, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    shown = os.read(master, 1 << 20).decode()
    os.close(master)
    assert done.stdout == b"p: 5,000 imported, 0 skipped, 0 failed\n"
    assert "100%" in shown
