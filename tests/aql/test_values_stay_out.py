"""Values never enter the text of a statement: every statement of every case is looked at.

The driver tells each statement of queries and mutations as it reaches the engine. Each text, number and
bare word in it must be of our own making; definitions (tables, triggers, indexes) have no parameters
and are left out. So that a number of a case is not taken for one of ours, each operation runs a second
time with all its numbers made large.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from tests.aql import cases

import aurora_db
from aurora_db import Aurora, AuroraError
from aurora_db.aql import functions, parser, syntax
from aurora_db.base.clock import ManualClock
from aurora_db.sql.forms import SPACES

SOURCE = Path(aurora_db.__file__).parent
CASES = [
    pytest.param(case, id=f"{path.stem}-{case.title}")
    for path in sorted(cases.FOLDER.glob("*.md"))
    for case in cases.read(path)
]

#: Words that statements begin with which define something, or hold a transaction.
DEFINING = frozenset((
    "CREATE", "ALTER", "DROP", "PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "EXPLAIN",
))  # fmt: skip

TOKEN = re.compile(
    r"""
    (?P<text>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")*") | (?P<place>[?:]\w*)
    | (?P<number>\d+(?:\.\d*)?(?:e[+-]?\d+)?) | (?P<word>\w+) | \s+ | .
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

#: Numbers of our own: truth, classes of JSON, positions and lengths in the texts of dates, the words of
#: a snippet, the documents of a page of a backfill, and the bounds of Int and Float.
NUMBERS = frozenset((
    "0", "1", "2", "3", "4", "5", "6", "7", "9", "10", "12", "13", "15", "16", "18", "19", "2000", "0.0",
    "9223372036854775808", "9223372036854775808.0", "1.7976931348623157e308",
))  # fmt: skip
#: What makes a number of a case large.
LARGE = 7_770_000

#: Texts of our own that our source puts together: the ends of instants that `startOf` gives, and what
#: `trim` takes away.
MADE = frozenset((":00:00.000000Z", "-01T00:00:00.000000Z", "-01-01", SPACES))
#: The forms of the arguments of a function and of its result.
SHAPE = re.compile(r"[nbjf]*>[nbjf]")
#: A place in JSON: `$."a"[0]`. Its labels are names, which no parameter can stand for.
JSON_PATH = re.compile(r'\$((?:\."(?:[^"\\]|\\.)*")+|)')
#: A key of an image of a document: `{"a":`. Names stand there, and the fields that all documents have.
IMAGE_KEY = re.compile(r'[{,]("(?:[^"\\]|\\.)*"):')
EVERY = frozenset(("id", "_rev"))
#: Aliases with a number, of nested queries.
ALIAS = re.compile(r"_[a-z]+\d+")

#: Arguments whose texts are names of fields, or expressions that name them.
NAMING = frozenset((
    "expr", "field", "fields", "orderBy", "time", "localField", "foreignField", "partitionBy",
))  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_no_value_of_a_case_is_in_the_text_of_a_statement(case: cases.Case, path: Path):
    """Whatever an operation is given travels beside the statement, never in it."""
    names = names_of(case)
    for sql in run(case, path):
        for kind, token in tokens(sql):
            match kind:
                case "text":
                    assert is_ours(token) or is_name(token, names), f"the text {token} in {sql}"
                case "number":
                    assert token in NUMBERS, f"the number {token} in {sql}"
                case "word":
                    known = token in vocabulary() or ALIAS.fullmatch(token)
                    assert known, f"the bare word {token} in {sql}"
                case _:
                    pass


def test_a_value_in_a_statement_would_be_seen():
    """The test can fail: a foreign text, number or bare word is none of ours."""
    found = [token for _, token in tokens("SELECT * FROM t WHERE a = 'it''s' AND b > 7770001")]
    assert "'it''s'" in found
    assert not is_ours("'it''s'")
    assert not is_name("'it''s'", frozenset(("a", "b")))
    assert is_name('\'$."a"."b"\'', frozenset(("a", "b")))
    assert not is_name('\'$."a"."c"\'', frozenset(("a", "b")))
    assert is_name("',\"a\":'", frozenset("a"))
    assert not is_name("',\"b\":'", frozenset("a"))
    assert "7770001" in found
    assert not NUMBERS.intersection(("7770001", "42"))
    assert "surname" not in vocabulary()


# --- what a statement may hold --------------------------------------------------------------


def tokens(sql: str) -> Iterator[tuple[str | None, str]]:
    """The tokens of a statement with their kinds."""
    for match in TOKEN.finditer(sql):
        yield match.lastgroup, match[0]


@cache
def source() -> str:
    """All our source that makes statements."""
    rooms = [*SOURCE.glob("sql/*.py"), *SOURCE.glob("store/*.*"), *SOURCE.glob("jobs/*.py")]
    return "\n".join(one.read_text("utf-8") for one in sorted(rooms))


@cache
def vocabulary() -> frozenset[str]:
    """Every word of our source."""
    return frozenset(re.findall(r"\w+", source()))


def is_ours(token: str) -> bool:
    """Whether a text in a statement stands in our source, or names a function of the table."""
    text = token[1:-1]
    return (
        token in source() or text in functions.TABLE or text in MADE or bool(SHAPE.fullmatch(text))
    )


def is_name(token: str, names: frozenset[str]) -> bool:
    """Whether it is a name that a case uses as such, or a place in JSON made of such names."""
    text = token[1:-1].replace("''", "'")
    if path := JSON_PATH.fullmatch(text):
        labels = re.findall(r'\.("(?:[^"\\]|\\.)*")', path[1])
        return names.issuperset(map(json.loads, labels))
    if key := IMAGE_KEY.fullmatch(text):
        return json.loads(key[1]) in names | EVERY
    return text in names


# --- what a case names ----------------------------------------------------------------------


def names_of(case: cases.Case) -> frozenset[str]:
    """Fields, keys and aliases of a case: what stands where a name does."""
    found: set[str] = set()
    for block in case.blocks:
        if block.kind in ("aql", "stream"):
            found.update(_names(block.options.get("vars")))
            if (document := parsed(block.text)) is not None:
                for node in nodes(document):
                    found.update(_named(node))
    return frozenset(part for one in found for part in (one, *one.split(".")))


def _named(node: Any) -> Iterator[str]:
    match node:
        case syntax.Name(text=text) | syntax.Word(text=text):
            yield text
        case syntax.PathExpression(parts=parts):
            yield from parts
        case syntax.Entry(key=key, value=value) if key.text in NAMING:
            for inner in nodes(value):
                if isinstance(inner, syntax.StringLiteral):
                    yield from re.findall(r"\w+", inner.value)
        case syntax.Computed() | syntax.Template():
            for inner in nodes(node):
                if isinstance(inner, syntax.StringLiteral):
                    yield from re.findall(r"\w+", inner.value)
        case _:
            return


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            if key in NAMING and isinstance(inner, str):
                yield inner
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def parsed(text: str) -> syntax.Document | None:
    """The syntax of a text, or None where it has none."""
    try:
        return parser.parse(text)
    except AuroraError:
        return None


def nodes(node: Any) -> Iterator[Any]:
    """A node and all in it."""
    yield node
    if isinstance(node, msgspec.Struct):
        for name in node.__struct_fields__:
            if name != "span":
                yield from nodes(getattr(node, name))
    elif isinstance(node, (list, tuple)):
        for one in node:
            yield from nodes(one)


# --- running --------------------------------------------------------------------------------


def run(case: cases.Case, path: Path) -> list[str]:
    """The statements that the queries and mutations of a case run."""
    seen: list[str] = []
    kept: list[str] = []

    def trace(_cursor: Any, sql: str, _bindings: Any) -> bool:
        seen.append(sql)
        return True

    def hook(connection: apsw.Connection) -> None:
        connection.exec_trace = trace

    clock = ManualClock()
    apsw.connection_hooks.append(hook)
    try:
        with Aurora(path, clock=clock) as db:
            for block in case.blocks:
                if block.kind == "stream":
                    kept += followed(db, block, seen)
                if block.kind != "aql":
                    continue
                document = parsed(block.text)
                operations = document is not None and is_of_operations(document)
                seen.clear()
                execute(db, block, block.text, clock)
                if operations and document is not None:
                    execute(db, block, enlarged(block.text, document), clock)
                    kept += seen
    finally:
        apsw.connection_hooks.remove(hook)
    return [one for one in dict.fromkeys(kept) if one.split()[0].upper() not in DEFINING]


def is_of_operations(document: syntax.Document) -> bool:
    """Whether a text holds queries and mutations only, no definitions."""
    return not any(
        isinstance(one, syntax.SchemaBlock)
        or not isinstance(one, (syntax.FragmentDefinition, syntax.Operation))
        for definition in document.definitions
        for one in (definition, *getattr(definition, "roots", ()))
        if one is definition or isinstance(one, syntax.SchemaBlock)
    )


def enlarged(text: str, document: syntax.Document) -> str:
    """The same text with all its whole numbers made large."""
    spans = [
        (one.span.start, one.span.end)
        for one in nodes(document)
        if isinstance(one, syntax.IntLiteral) and one.span is not None
    ]
    for start, end in sorted(set(spans), reverse=True):
        if re.fullmatch(r"\d{1,9}", text[start:end]):
            text = f"{text[:start]}{int(text[start:end]) + LARGE}{text[end:]}"
    return text


def followed(db: Aurora, block: cases.Block, seen: list[str]) -> list[str]:
    """The statements that a stream runs to say what comes first, also with large numbers."""
    document = parsed(block.text)
    if document is None:
        return []
    seen.clear()
    for text in (block.text, enlarged(block.text, document)):
        options = {
            name: one
            for name, one in block.options.items()
            if name in ("vars", "operation", "auth")
        }
        try:
            with db.stream(text, options.pop("vars", None), **options) as stream:
                stream.next(timeout=0)
        except AuroraError:
            continue
    return list(seen)


def execute(db: Aurora, block: cases.Block, text: str, clock: ManualClock) -> None:
    """Run a text with the options of its block, whatever comes of it: cases say that elsewhere."""
    options = {k: v for k, v in block.options.items() if k not in ("error", "at")}
    if "clock" in options:
        clock.advance(datetime.fromisoformat(options.pop("clock")) - clock.now())
    try:
        db.execute(text, options.pop("vars", None), **options)
    except AuroraError:
        return
