"""The command line: the commands of all rooms under one name."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from aurora_db import __version__, cli_changes, cli_data, cli_schedules, cli_watch, cli_work
from aurora_db.cli_frame import HELP, app, command, opened, say


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"aurora_db {__version__}\n")
        raise typer.Exit


@app.callback(help=HELP)
def main(
    *,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """What stands before every command."""


#: Importing them registered their commands.
ROOMS = (cli_data, cli_watch, cli_work, cli_changes)

cli_schedules.register(command, opened, say)

__all__ = ["ROOMS", "app"]
