"""A file with the system tables: our engine on one side, another program on the other."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from aurora_db.aql.catalog import Collection, Field, Type, Validation
from aurora_db.sql import ddl, triggers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from aurora_db.aql.plan import HandlerTrigger

#: Runs [sql, params] pairs from its input; says for each the rows, or the error.
OTHER_PROGRAM = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
said = []
for sql, params in json.load(sys.stdin):
    try:
        said.append([[list(row) for row in db.execute(sql, params)], None])
    except sqlite3.Error as error:
        said.append([None, str(error)])
db.close()
print(json.dumps(said))
"""

SYSTEM = files("aurora_db.store").joinpath("system.sql").read_text("utf-8")


class World:
    """One database file, written by us and by the other program."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = apsw.Connection(str(path))
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA trusted_schema = OFF")
        self.db.execute(SYSTEM)

    def define(self, collection: Collection, handlers: Sequence[HandlerTrigger] = ()) -> Collection:
        """Make the table, its indexes and its triggers."""
        for text in (*ddl.create_collection(collection), *triggers.feed(collection, handlers)):
            self.db.execute(text)
        return collection

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement by our engine."""
        return self.db.execute(sql, params).fetchall()

    def other(self, *statements: tuple[str, Sequence[Any]] | str) -> list[list[list[Any]]]:
        """Run statements by the other program; all must succeed."""
        said = self.other_says(*statements)
        assert [error for _, error in said if error] == []
        return [rows for rows, _ in said]

    def other_says(self, *statements: tuple[str, Sequence[Any]] | str) -> list[Any]:
        """Run statements by the other program: pairs of rows and error."""
        work = [(one, []) if isinstance(one, str) else one for one in statements]
        done = subprocess.run(
            [sys.executable, "-c", OTHER_PROGRAM, str(self.path)],
            input=json.dumps(work), capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return json.loads(done.stdout)

    def changes(self, collection: str) -> list[tuple[str, Any, Any]]:
        """The feed of a collection: op, image before, image after."""
        rows = self.rows(
            "SELECT op, before, after FROM _changes WHERE collection = ? ORDER BY seq",
            (collection,),
        )
        return [(op, _image(before), _image(after)) for op, before, after in rows]


def _image(text: str | None) -> Any:
    return None if text is None else json.loads(text)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A new file with the system tables."""
    made = World(tmp_path / "test.db")
    yield made
    made.db.close()


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Any]:
    """Makes a new file for each call: what a property needs for each example."""
    made: list[World] = []

    def make() -> World:
        for old in made:
            old.db.close()
        made.append(World(tmp_path / f"{len(made)}.db"))
        return made[-1]

    yield make
    for old in made:
        old.db.close()


def field(name: str, type: str | Type, **options: Any) -> Field:
    """A declared field; the type by its name, or whole."""
    whole = Type(name=type) if isinstance(type, str) else type
    return Field(name=name, type=whole, **options)


def collection(name: str, *fields: Field, **options: Any) -> Collection:
    """A collection with an id of type ID."""
    return Collection(name=name, fields=(field("id", "ID"), *fields), **options)


@pytest.fixture
def every_type() -> Collection:
    """A collection with a field of every type."""
    return collection(
        "things",
        field("text", "String"), field("whole", "Int"), field("real", "Float"),
        field("truth", "Boolean"), field("key", "ID"), field("uuid", "Uuid"),
        field("moment", "DateTime"), field("day", "Date"), field("hour", "Time"),
        field("any", "JSON"), field("object", "Object"), field("mail", "Email"),
        field("size", Type(name="Enum", words=("it's", 'a "word"', "plain"))),
        field("list", Type(name="List", item=Type(name="Float"))),
        field("box", Type(name="Inline", fields=(field("a", "Int"), field("b", "String")))),
        flexible=True,
    )  # fmt: skip


@pytest.fixture
def make_field() -> Any:
    """`field(name, type, **options)`."""
    return field


@pytest.fixture
def make_collection() -> Any:
    """`collection(name, *fields, **options)`."""
    return collection


def limits(**rules: Any) -> Validation:
    """The arguments of `@validate`."""
    return Validation(**rules)


__all__: Iterable[str] = ["World", "collection", "field", "limits"]
