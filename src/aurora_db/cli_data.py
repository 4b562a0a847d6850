"""Commands on documents: run, import, export, migrate, check."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from aurora_db.base.errors import NotFound
from aurora_db.cli_frame import File, Machine, command, opened, progress, say, where_of
from aurora_db.database import Aurora

#: Failures of an import that are shown one by one.
SHOWN = 20

Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="json, ndjson, csv or parquet; what the file's name says when absent.",
    ),
]


@command("run", "aurora run shop.db '{ products(limit: 3) { name } }' --json")
def run(
    file: File,
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="AQL, or a file that ends in .aql; - or nothing reads standard input.",
        ),
    ] = "-",
    *,
    var: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable; JSON, else a text.")
    ] = None,
    operation: Annotated[
        str | None, typer.Option(help="The one operation to run, by name.")
    ] = None,
    machine: Machine = False,
) -> None:
    """Run AQL; the file is made if it does not exist."""
    variables = dict(variable(one) for one in var or ())
    if text == "-":
        if sys.stdin.isatty():
            sys.stderr.write("reading AQL; end it with Ctrl-D\n")
        text = sys.stdin.read()
    elif text.endswith(".aql"):
        text = text_of(text)
    with Aurora(file) as db:
        say(db.execute(text, variables, operation=operation), machine=machine)


def variable(text: str) -> tuple[str, Any]:
    """The name and the value of `NAME=VALUE`.

    Raises:
        BadParameter: it is none.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(
            f"'{text}' is not NAME=VALUE, such as --var least=5", param_hint="--var"
        )
    try:
        return name.removeprefix("$"), json.loads(value)
    except ValueError:
        return name.removeprefix("$"), value


def text_of(path: str) -> str:
    """The text of a file.

    Raises:
        NotFound: it cannot be read.
    """
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise NotFound(f"the file '{path}' cannot be read: {error.strerror}") from error


@command("import", "aurora import shop.db products products.csv --on-conflict skip")
def import_(
    file: File,
    collection: Annotated[
        str, typer.Argument(metavar="COLLECTION", help="Where the documents go.")
    ],
    path: Annotated[str, typer.Argument(metavar="PATH", help="The file that has them.")],
    *,
    format: Format = None,
    on_conflict: Annotated[
        str, typer.Option(help="For an id or unique value that exists: error, skip or replace.")
    ] = "error",
    null: Annotated[
        list[str] | None,
        typer.Option(
            help="A word of CSV that means null, in every column; instead of NA, NaN, null."
        ),
    ] = None,
    machine: Machine = False,
) -> None:
    """Insert the documents of a JSON, NDJSON, CSV or PARQUET file."""
    with opened(file) as db, progress(f"{collection}") as told:
        report = db.import_file(collection, path, format, on_conflict, told, null)
    if machine:
        say(report, machine=True)
    else:
        sys.stdout.write(
            f"{collection}: {report.imported:,} imported, {report.skipped:,} skipped, {report.failed_count:,} failed\n"
        )
        for failure in report.failed[:SHOWN]:
            sys.stderr.write(f"{path}:{failure.line}: {failure.reason}\n")
        if report.failed_count > SHOWN:
            sys.stderr.write(f"… and {report.failed_count - SHOWN:,} more\n")
    if report.failed_count:
        raise typer.Exit(1)


@command("export", """aurora export shop.db products cheap.csv --where '{"price": {"lt": 5}}'""")
def export(
    file: File,
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="What to write.")],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The file to write; one there is replaced.")
    ],
    *,
    format: Format = None,
    where: Annotated[str | None, typer.Option(help="A where-object, as JSON.")] = None,
    machine: Machine = False,
) -> None:
    """Write the documents of a collection into a JSON, NDJSON, CSV or PARQUET file."""
    condition = None if where is None else where_of(where)
    with opened(file) as db, progress(f"{collection}") as told:
        count = db.export_file(collection, path, format, condition, told)
    if machine:
        say({"count": count, "path": path}, machine=True)
    else:
        sys.stdout.write(f"{collection}: {count:,} written to {path}\n")


@command("migrate", "aurora migrate shop.db migrations/ --dry-run")
def migrate(
    file: File,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A folder of *.aql files, or a file with a migrate block."
        ),
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Run all, then undo it.")] = False,
    machine: Machine = False,
) -> None:
    """Apply the versions that are not applied yet; the file is made if it does not exist."""
    text = source if os.path.isdir(source) else text_of(source)
    with Aurora(file) as db:
        results = db.migrate(text, dry_run=dry_run)
    if machine:
        say(results, machine=True)
        return
    for one in results:
        sys.stdout.write(f"{one.version}: {one.status}\n")
    if dry_run:
        sys.stdout.write("nothing was kept\n")


@command("check", "aurora check shop.db")
def check(file: File, *, machine: Machine = False) -> None:
    """Read the whole file and say what is wrong with it; exit code 1 if anything is."""
    with opened(file) as db:
        problems = db.check()
    if machine:
        say(problems, machine=True)
    else:
        for problem in problems:
            sys.stdout.write(f"{problem.place}: {problem.message}\n")
        if not problems:
            sys.stdout.write("ok\n")
    if problems:
        raise typer.Exit(1)
