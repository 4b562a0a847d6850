"""The frame of all commands: the app, how results and errors are shown, how a file is opened.

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
from typing import Annotated, Any, ParamSpec, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from aurora_db.base.codec import encode
from aurora_db.base.errors import AqlError, AuroraError, NotFound, UndefinedVariable
from aurora_db.database import Aurora

#: Columns of a table in a pipe.
WIDE = 250

P = ParamSpec("P")

#: What to type for a where.
WHERE = """write --where '{"price": {"lt": 5}}'"""

HELP = "Documents, event handlers and durable jobs in one file."
NAMES = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=NAMES,
)

File = Annotated[str, typer.Argument(metavar="FILE", help="The database, such as shop.db.")]
Machine = Annotated[bool, typer.Option("--json", help="Print JSON on one line.")]


def command(
    name: str, *examples: str, of: typer.Typer = app
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Register a command under `name`; errors of the library end it with exit code 1."""

    def register(verb: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(verb)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                verb(*args, **kwargs)
            except AuroraError as error:
                complain(error, machine=bool(kwargs.get("machine")))
                raise typer.Exit(1) from None

        of.command(name, epilog="\n\n".join(f"Example: {one}" for one in examples))(run)
        return run

    return register


def complain(error: AuroraError, *, machine: bool) -> None:
    """Say what went wrong, and what to do."""
    if isinstance(error, UndefinedVariable) and error.declared:
        error.hint = "give it: --var NAME=VALUE"
    if not machine:
        sys.stderr.write(f"error: {error}\n")
        return
    told: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, AqlError):
        told.update(line=error.line, column=error.column)
    sys.stderr.write(encode({"error": told}) + "\n")


def say(value: Any, *, machine: bool) -> None:
    """Print a result: one line for machines, else indented."""
    text = encode(value)
    if not machine:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    sys.stdout.write(text + "\n")


def plain(value: object) -> Text:
    """A value for a table or a line, as it is: no markup, nothing that moves a terminal's cursor."""
    return Text("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(value)))


def out(shown: object) -> None:
    """Print a line or a table; where no terminal is, nothing is cut."""
    width = None if sys.stdout.isatty() else WIDE
    Console(width=width, markup=False, highlight=False, emoji=False).print(
        shown, soft_wrap=isinstance(shown, (str, Text))
    )


def opened(file: str) -> Aurora:
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
def progress(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """What shows a bar on a terminal; None where there is none."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn(title), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def where_of(text: str) -> dict[str, Any]:
    """The where-object of an option.

    Raises:
        BadParameter: it is none.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}; {WHERE}", param_hint="--where") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"not an object; {WHERE}", param_hint="--where")
    return cast("dict[str, Any]", found)
