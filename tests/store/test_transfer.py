"""Files into collections and back: formats, what a cell means, what is refused and where."""

from __future__ import annotations

import importlib.util
import json

import pytest

from aurora_db import (
    AsyncAurora,
    ImportFailure,
    MissingDependency,
    NotFound,
    ReadOnly,
    UnknownEnum,
    UnknownField,
    ValidationError,
)

SCHEMA = """schema { define collection users {
    name: String!  age: Int  email: String @unique  score: Float  on: Boolean  tags: [String]  at: DateTime
} }"""


@pytest.fixture
def users(db):
    db.execute(SCHEMA)
    return db["users"]


def test_ndjson_reports_each_line(db, users, tmp_path):
    """What cannot be imported is named with its line and reason; the rest is there."""
    users.insert({"id": "a", "name": "Ada", "email": "a@x"})
    file = tmp_path / "users.ndjson"
    file.write_text(
        '{"id": "b", "name": "Bo", "age": 3}\n'
        "\n"
        '{"id": "a", "name": "Again"}\n'
        '{"id": "c", "name": "Cy", "age": "old"}\n'
        '{"id": "d", "name": \n'
        '{"id": "e", "name": "Ed", "nope": 1}\n'
        '{"id": "f"}\n'
        "[1]\n"
        '{"id": "g", "name": "Gil", "email": "a@x"}\n'
    )
    report = db.import_file("users", file)
    assert (report.imported, report.skipped, report.failed_count) == (1, 0, 7)
    assert [one.line for one in report.failed] == [3, 4, 5, 6, 7, 8, 9]
    assert report.failed[1] == ImportFailure(4, "field 'age' is Int, got String 'old'")
    assert report.failed[0].reason == "Unique constraint violation on field 'id' of 'users'"
    assert users.count() == 2

    again = db.import_file("users", file, on_conflict="skip")
    assert (again.imported, again.skipped, again.failed_count) == (0, 3, 5)

    file.write_text('{"id": "a", "name": "New"}\n{"id": "z", "name": "Zoe"}\n')
    assert db.import_file("users", file, on_conflict="replace").imported == 2
    assert users.get("a")["name"] == "New"
    assert users.get("a")["email"] is None


def test_export_and_import_again(db, users, tmp_path):
    """Imported, skipped for an id that exists, failed for a bad type."""
    users.insert_many([{"id": "a", "name": "Ada", "age": 1}, {"id": "b", "name": "Bo"}])
    file = tmp_path / "users.json"
    assert db.export_file("users", file) == 2
    users.delete("b")
    found = json.loads(file.read_text())
    file.write_text(json.dumps([*found, {"id": "c", "name": 5}]))
    report = db.import_file("users", file, on_conflict="skip")
    assert (report.imported, report.skipped, report.failed_count) == (1, 1, 1)
    assert users.get("b")["name"] == "Bo"


@pytest.mark.parametrize("format", ["json", "ndjson", "csv"])
def test_what_is_exported_comes_back(db, users, tmp_path, format):
    """Every type, texts with quotes, commas and line breaks, many pages."""
    rows = [
        {"id": "a", "name": 'x, "y"\nz', "age": -1, "score": 0.1 + 0.2, "on": True, "tags": ["p", None],
         "at": "2026-01-01T00:00:00.000001Z"},
        {"id": "b", "name": "é😀", "score": 1e300, "on": False, "tags": []},
        *({"id": str(n), "name": f"n{n}"} for n in range(4_500)),
    ]  # fmt: skip
    users.insert_many(rows)
    before = [users.get(id) for id in ("a", "b", "0", "4499")]
    file = tmp_path / f"users.{format}"
    told = []
    assert (
        db.export_file("users", file, progress=lambda done, total: told.append((done, total)))
        == 4_502
    )
    assert told[-1] == (4_502, 4_502)
    users.delete({}, all=True)
    told.clear()
    report = db.import_file("users", file, progress=lambda done, total: told.append((done, total)))
    assert (report.imported, report.failed) == (4_502, ())
    assert told[-1] == (file.stat().st_size,) * 2
    assert [users.get(id) for id in ("a", "b", "0", "4499")] == before


def test_only_what_matches_is_exported(db, users, tmp_path):
    """A where-object chooses."""
    users.insert_many([{"id": "a", "name": "Ada", "age": 1}, {"id": "b", "name": "Bo", "age": 2}])
    file = tmp_path / "some.ndjson"
    assert db.export_file("users", file, where={"age": {"gt": 1}}) == 1
    assert json.loads(file.read_text())["id"] == "b"
    assert db.export_file("users", tmp_path / "no.json", where={"age": 9}) == 0
    assert (tmp_path / "no.json").read_text() == "[]\n"


def test_what_the_cells_of_csv_mean(db, users, tmp_path):
    """Empty is null; NA, NaN and null too, where the field is no text."""
    file = tmp_path / "users.csv"
    file.write_text(
        "\ufeffname,age,score,on,tags,at,email\r\n"
        'NA,NA,NaN,null,,,""\r\n'
        'null,12.0,1,TRUE,"[""a""]",2026-01-01T00:00:00Z,e\r\n'
        "x,1.5,,,,,\r\n"
        "x,1_0,,,,,\r\n"
        "x,1,,yes,,,\r\n"
        "x,1,,,,2026-01-01,\r\n"
        "x,1\r\n"
        '"two\nlines",7,,,,,\r\n'
        ",1,,,,,\r\n",
        encoding="utf-8",
    )
    report = db.import_file("users", file)
    assert [(one.line, one.reason) for one in report.failed] == [
        (4, "field 'age' is Int, got Float 1.5"),
        (5, "field 'age' is Int, got String '1_0'"),
        (6, "field 'on' is Boolean, got String 'yes'"),
        (
            7,
            "field 'at' is DateTime with a time zone, got '2026-01-01T00:00:00' without one",
        ),
        (8, "2 cells, the header has 7"),
        (11, "field 'name' is required"),
    ]
    found = db.execute("{ users { name age score on tags email } }")["users"]
    assert found == [
        {"name": "NA", "age": None, "score": None, "on": None, "tags": None, "email": None},
        {"name": "null", "age": 12, "score": 1.0, "on": True, "tags": ["a"], "email": "e"},
        {"name": "two\nlines", "age": 7, "score": None, "on": None, "tags": None, "email": None},
    ]


def test_other_words_for_null(db, users, tmp_path):
    """`null_values` replaces the usual ones and counts in every column."""
    file = tmp_path / "users.csv"
    file.write_text("name,age,email\nx,-,NA\ny,1,-\nz,NA,\n")
    report = db.import_file("users", file, null_values=["-"])
    assert [one.line for one in report.failed] == [4]
    found = db.execute("{ users { name age email } }")["users"]
    assert found == [
        {"name": "x", "age": None, "email": "NA"},
        {"name": "y", "age": 1, "email": None},
    ]


def test_undeclared_columns_get_the_type_they_fit(db, tmp_path):
    """The whole column decides: one text in it, and all of it is text."""
    db.execute("schema { define collection t @flexible { n: Int } }")
    file = tmp_path / "t.csv"
    file.write_text(
        "n,whole,real,truth,text,code,nothing,late\n"
        "1,1,1,true,1,007,,1\n"
        "2,NA,2.5,FALSE,x,010,NA,2\n"
        "3,-3,1e3,,,,,a\n"
    )
    assert db.import_file("t", file).imported == 3
    found = [{k: v for k, v in one.items() if k != "id"} for one in db.execute("{ t { } }")["t"]]
    assert found == [
        {"n": 1, "whole": 1, "real": 1.0, "truth": True, "text": "1", "code": "007", "nothing": None, "late": "1"},
        {"n": 2, "whole": None, "real": 2.5, "truth": False, "text": "x", "code": "010", "nothing": None, "late": "2"},
        {"n": 3, "whole": -3, "real": 1000.0, "truth": None, "text": None, "code": None, "nothing": None, "late": "a"},
    ]  # fmt: skip


def test_a_json_file_of_any_shape(db, users, tmp_path):
    """White space, nested brackets in texts, one line or many."""
    file = tmp_path / "users.json"
    file.write_text(
        '\n [\n{"id":"a","name":"}]{\\"["},\n\n  {"id":"b",\n"name":"\\u0041","tags":["[","{"]}\n ] \n'
    )
    assert db.import_file("users", file).imported == 2
    assert users.get("a")["name"] == '}]{"['
    assert users.get("b")["name"] == "A"
    file.write_text("[]")
    assert db.import_file("users", file).imported == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "x"}', "line 1: a JSON file is an array of objects"),
        ('[{"name": "x"}\n{"name": "y"}]', "line 2: expected ',' or ']' between objects"),
        ('[{"name": "x"},\n5]', "line 2: expected an object, found '5'"),
        ('[{"name": "x"}', "line 1: expected ',' or ']' between objects"),
        ('[\n{"name": "x"', "line 2: this object does not end"),
        ("[] x", "line 1: something follows the array"),
        ("", "line 1: a JSON file is an array of objects"),
    ],
)
def test_a_broken_json_file(db, users, tmp_path, text, message):
    """The message has the line."""
    file = tmp_path / "users.json"
    file.write_text(text)
    with pytest.raises(ValidationError) as refused:
        db.import_file("users", file)
    assert refused.value.message == message


def test_what_is_refused_before_anything_is_read(db, users, tmp_path):
    """Names, formats and columns."""
    file = tmp_path / "users.csv"
    with pytest.raises(NotFound, match="cannot be read"):
        db.import_file("users", file)
    file.write_text("name,aeg\nx,1\n")
    with pytest.raises(UnknownField, match=r"'aeg'.*column 2") as refused:
        db.import_file("users", file)
    assert refused.value.hint == "did you mean 'age'?"
    file.write_text("name,name\nx,1\n")
    with pytest.raises(ValidationError, match="column 1"):
        db.import_file("users", file)
    with pytest.raises(ValidationError, match="does not tell its format"):
        db.import_file("users", tmp_path / "users.txt")
    with pytest.raises(ValidationError, match="no format named 'xml'"):
        db.import_file("users", file, "xml")
    with pytest.raises(UnknownEnum, match="onConflict"):
        db.import_file("users", file, on_conflict="ignore")
    with pytest.raises(ReadOnly):
        db.export_file("users", tmp_path / "none" / "x.json")
    file.write_bytes(b"name\n\xff\n")
    with pytest.raises(ValidationError, match="not UTF-8"):
        db.import_file("users", file)
    assert users.count() == 0


def test_an_export_that_fails_leaves_the_old_file(db, users, tmp_path):
    """A file appears under its name only when it is whole."""
    users.insert_many([{"name": "x"}])
    file = tmp_path / "users.json"
    file.write_text("old")

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        db.export_file("users", file, progress=stop)
    assert [(one.name, one.read_text()) for one in tmp_path.glob("users*")] == [
        ("users.json", "old")
    ]


def test_failures_are_counted_beyond_the_first_thousand(db, users, tmp_path):
    """The report keeps a thousand of them, and how many there were."""
    file = tmp_path / "users.ndjson"
    file.write_text('{"age": 1}\n' * 2_500 + '{"name": "x"}\n')
    report = db.import_file("users", file)
    assert (report.imported, report.failed_count, len(report.failed)) == (1, 2_500, 1_000)


def test_an_import_enqueues_the_jobs_of_handlers(db, users, tmp_path):
    """Imported documents are changes as any other."""
    db.execute(
        'define handler "h" { on: "insert:users" action: { enqueueJob(type: "t", payload: {n: "${name}"}) } }'
    )
    file = tmp_path / "users.ndjson"
    file.write_text('{"name": "x"}\n{"name": "y"}\n')
    db.import_file("users", file)
    jobs = db.execute("{ _jobs { payload } }")["_jobs"]
    assert [job["payload"]["n"] for job in jobs] == ["x", "y"]


def test_a_mutation_writes_a_file(db, users, tmp_path):
    """`path` is for the embedded database."""
    users.insert({"id": "a", "name": "Ada"})
    path = str(tmp_path / "out.ndjson")
    text = 'mutation ($p: String!) { export(collection: "users", path: $p) { count path } }'
    assert db.execute(text, {"p": path}) == {"export": {"count": 1, "path": path}}
    with open(path) as file:
        assert json.loads(file.read())["name"] == "Ada"


async def test_files_without_blocking(tmp_path):
    """The same verbs, awaited."""
    async with AsyncAurora(tmp_path / "a.db") as db:
        await db.execute(SCHEMA)
        file = tmp_path / "users.ndjson"
        file.write_text('{"name": "x"}\n')
        assert (await db.import_file("users", file)).imported == 1
        async with db.transaction() as tx:
            assert (await tx.import_file("users", file)).imported == 1
        assert await db.export_file("users", tmp_path / "out.csv") == 2


def test_parquet_needs_its_library(db, users, tmp_path):
    """With pyarrow what is exported comes back; without, the error names the command."""
    users.insert(
        {"id": "a", "name": "Ada", "tags": ["x"], "at": "2026-01-01T00:00:00Z", "on": True}
    )
    before = users.get("a")
    file = tmp_path / "users.parquet"
    if importlib.util.find_spec("pyarrow") is None:
        with pytest.raises(MissingDependency) as refused:
            db.export_file("users", file)
        assert refused.value.hint == "pip install pyarrow"
        return
    assert db.export_file("users", file) == 1
    users.delete("a")
    assert db.import_file("users", file).imported == 1
    assert users.get("a") == before
