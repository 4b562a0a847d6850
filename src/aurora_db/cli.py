"""The commands of `aurora`. Each opens a file, does one verb of the library and says what came of it.

Results go to standard output, progress and errors to standard error; with `--json` both are for
machines. Exit codes: 0 ok, 1 the operation failed, 2 wrong usage.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ParamSpec, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from aurora_db import __version__, cli_schedules
from aurora_db.base.codec import encode
from aurora_db.base.errors import AqlError, AuroraError, NotFound, UndefinedVariable
from aurora_db.database import Aurora

P = ParamSpec("P")

#: What to type for a where.
WHERE = """write --where '{"price": {"lt": 5}}'"""
#: Failures of an import that are shown one by one.
SHOWN = 20

app = typer.Typer(
    help="Documents, event handlers and durable jobs in one file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[str, typer.Argument(metavar="FILE", help="The database, such as shop.db.")]
Machine = Annotated[bool, typer.Option("--json", help="Print JSON on one line.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="json, ndjson, csv or parquet; what the file's name says when absent.",
    ),
]


def _command(name: str, example: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Register a command under `name`; errors of the library end it with exit code 1."""

    def register(verb: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(verb)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                verb(*args, **kwargs)
            except AuroraError as error:
                _complain(error, machine=bool(kwargs.get("machine")))
                raise typer.Exit(1) from None

        app.command(name, epilog=f"Example: {example}")(run)
        return run

    return register


def _complain(error: AuroraError, *, machine: bool) -> None:
    if isinstance(error, UndefinedVariable) and error.declared:
        error.hint = "give it: --var NAME=VALUE"
    if not machine:
        sys.stderr.write(f"error: {error}\n")
        return
    told: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, AqlError):
        told.update(line=error.line, column=error.column)
    sys.stderr.write(encode({"error": told}) + "\n")


def _say(value: Any, *, machine: bool) -> None:
    """Print a result: one line for machines, else indented."""
    text = encode(value)
    if not machine:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    sys.stdout.write(text + "\n")


def _opened(file: str) -> Aurora:
    """The database of a file that exists.

    Raises:
        NotFound: it does not.
    """
    if not os.path.exists(file):
        raise NotFound(
            f"there is no database '{file}'", hint=f"make it: aurora run {file} schema.aql"
        )
    return Aurora(file)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """What shows a bar on a terminal; None where there is none."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn(title), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"aurora_db {__version__}\n")
        raise typer.Exit


@app.callback()
def main(
    *,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Documents, event handlers and durable jobs in one file."""


# --- commands -------------------------------------------------------------------------------


@_command("run", "aurora run shop.db '{ products(limit: 3) { name } }' --json")
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
    variables = dict(_variable(one) for one in var or ())
    if text == "-":
        if sys.stdin.isatty():
            sys.stderr.write("reading AQL; end it with Ctrl-D\n")
        text = sys.stdin.read()
    elif text.endswith(".aql"):
        text = _text_of(text)
    with Aurora(file) as db:
        _say(db.execute(text, variables, operation=operation), machine=machine)


def _variable(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(
            f"'{text}' is not NAME=VALUE, such as --var least=5", param_hint="--var"
        )
    try:
        return name.removeprefix("$"), json.loads(value)
    except ValueError:
        return name.removeprefix("$"), value


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise NotFound(f"the file '{path}' cannot be read: {error.strerror}") from error


@_command("import", "aurora import shop.db products products.csv --on-conflict skip")
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
    with _opened(file) as db, _progress(f"{collection}") as progress:
        report = db.import_file(collection, path, format, on_conflict, progress, null)
    if machine:
        _say(report, machine=True)
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


@_command("export", """aurora export shop.db products cheap.csv --where '{"price": {"lt": 5}}'""")
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
    condition = None if where is None else _where(where)
    with _opened(file) as db, _progress(f"{collection}") as progress:
        count = db.export_file(collection, path, format, condition, progress)
    if machine:
        _say({"count": count, "path": path}, machine=True)
    else:
        sys.stdout.write(f"{collection}: {count:,} written to {path}\n")


def _where(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}; {WHERE}", param_hint="--where") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"not an object; {WHERE}", param_hint="--where")
    return cast("dict[str, Any]", found)


@_command("migrate", "aurora migrate shop.db migrations/ --dry-run")
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
    text = source if os.path.isdir(source) else _text_of(source)
    with Aurora(file) as db:
        results = db.migrate(text, dry_run=dry_run)
    if machine:
        _say(results, machine=True)
        return
    for one in results:
        sys.stdout.write(f"{one.version}: {one.status}\n")
    if dry_run:
        sys.stdout.write("nothing was kept\n")


@_command("check", "aurora check shop.db")
def check(file: File, *, machine: Machine = False) -> None:
    """Read the whole file and say what is wrong with it; exit code 1 if anything is."""
    with _opened(file) as db:
        problems = db.check()
    if machine:
        _say(problems, machine=True)
    else:
        for problem in problems:
            sys.stdout.write(f"{problem.place}: {problem.message}\n")
        if not problems:
            sys.stdout.write("ok\n")
    if problems:
        raise typer.Exit(1)


cli_schedules.register(_command, _opened, _say)

__all__ = ["app"]
