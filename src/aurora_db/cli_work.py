"""`aurora work MODULE:DB`: a worker process for the job handlers of a module."""

from __future__ import annotations

import asyncio
import difflib
import importlib
import os
import sys
import traceback
from types import ModuleType
from typing import Annotated

import typer

from aurora_db.aio import AsyncAurora
from aurora_db.base.codec import seconds
from aurora_db.base.errors import JobError
from aurora_db.cli_frame import Machine, command, out, plain, say
from aurora_db.database import Aurora
from aurora_db.jobs.handlers import Jobs
from aurora_db.jobs.slots import MOST_THREADS
from aurora_db.jobs.spoken import lasting, quoted

#: What may be named: a database with handlers, or a registry of handlers.
Named = Aurora | AsyncAurora | Jobs


@command(
    "work",
    "aurora work shop.jobs:db --queues mail,media --concurrency 8",
    "aurora work shop.jobs:jobs --file shop.db",
)
def work(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:DB",
            help="The module, as in an import, and the database or the Jobs registry in it.",
        ),
    ],
    *,
    file: Annotated[
        str | None, typer.Option("--file", help="The database, where MODULE:DB is a Jobs registry.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency",
            "-c",
            min=1,
            max=MOST_THREADS,
            help="How many jobs run at once; 4 unless DB says so.",
        ),
    ] = None,
    queues: Annotated[
        str | None,
        typer.Option(
            "--queues",
            "-q",
            metavar="A,B",
            help="Only jobs of these queues; all unless DB says so.",
        ),
    ] = None,
    machine: Machine = False,
) -> None:
    """Run the jobs that a module has handlers for, until SIGTERM or Ctrl-C; a second one ends at once."""
    wanted = None if queues is None else _queues(queues)
    db = _database(target, file)
    workers = db.workers
    try:
        workers.enable(threads=concurrency, queues=wanted)
        if not workers.types:
            raise JobError(
                f"'{target}' has no job handler, so there is nothing to work on",
                hint='register one: @db.job("mail"), in a module that this one imports',
            )
        _greet(db, machine=machine)
        workers.run(stopping=lambda: _stopping(db, machine=machine))
    finally:
        _close(db)
    if not machine:
        out("stopped")


def _queues(text: str) -> list[str]:
    names = [one.strip() for one in text.split(",")]
    if not all(names):
        raise typer.BadParameter(
            f"'{text}' is no list of queues; write --queues mail,media", param_hint="--queues"
        )
    return list(dict.fromkeys(names))


def _greet(db: Aurora | AsyncAurora, *, machine: bool) -> None:
    types, slots = db.workers.types, db.workers.threads
    path = os.fspath(db.config.path)
    if machine:
        say(
            {
                "file": path,
                "types": types,
                "queues": db.workers.served,
                "concurrency": slots,
                "pid": os.getpid(),
            },
            machine=True,
        )
    else:
        of = "type" if len(types) == 1 else "types"
        served = (
            "all queues" if db.workers.served is None else f"queues {quoted(db.workers.served, 20)}"
        )
        out(
            plain(
                f"working on {path}: {slots} at once, {of} {quoted(types, 20)}, {served}; Ctrl-C stops"
            )
        )
    sys.stdout.flush()


def _stopping(db: Aurora | AsyncAurora, *, machine: bool) -> None:
    if machine:
        return
    stats = db.workers.stats()
    wait = lasting(seconds(db.config.shutdown_timeout))
    done = f"stopping: {stats.completed:,} completed, {stats.failed:,} failed"
    left = f", {stats.running:,} running, for up to {wait}; once more ends at once"
    out(done + (left if stats.running else ""))
    sys.stdout.flush()


def _close(db: Aurora | AsyncAurora) -> None:
    if isinstance(db, AsyncAurora):
        asyncio.run(db.close())
    else:
        db.close()


# --- what was named -------------------------------------------------------------------------


def _database(target: str, file: str | None) -> Aurora | AsyncAurora:
    """The database that works: the one named, or one for the registry named.

    Raises:
        BadParameter: nothing of that name is there, or the file is missing or too much.
    """
    found = _named(target)
    if isinstance(found, Jobs):
        if file is None:
            raise _wrong(f"'{target}' is a registry without a database; say which: --file shop.db")
        return Aurora(file, jobs=found)
    if file is not None:
        path = os.fspath(found.config.path)
        raise _wrong(f"'{target}' has its file already, '{path}'; leave --file out")
    return found


def _named(target: str) -> Named:
    name, _, attribute = target.partition(":")
    if name.endswith(".py") or "/" in name:
        module = name.removesuffix(".py").strip("./").replace("/", ".")
        raise _wrong(
            f"'{name}' is a path; name the module: aurora work {module}:{attribute or 'db'}"
        )
    module = _imported(name)
    there = {key: one for key, one in vars(module).items() if isinstance(one, Named)}
    if attribute:
        one: object = module
        for part in attribute.split("."):
            one = getattr(one, part, None)
        if isinstance(one, Named):
            return one
        if one is not None:
            raise _wrong(
                f"'{target}' is of type '{type(one).__name__}'; an Aurora, AsyncAurora or Jobs is wanted{_others(name, there)}"
            )
        near = difflib.get_close_matches(attribute, there, 1)
        hint = f"; did you mean '{name}:{near[0]}'?" if near else _others(name, there)
        raise _wrong(f"module '{name}' has no '{attribute}'{hint}")
    if len(there) == 1:
        return next(iter(there.values()))
    raise _wrong(f"say which of '{name}' is the database: MODULE:DB{_others(name, there)}")


def _others(name: str, there: dict[str, Named]) -> str:
    if not there:
        return f"; '{name}' has none at its top"
    return f"; '{name}' has {quoted([f'{name}:{key}' for key in there])}"


def _imported(name: str) -> ModuleType:
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise _wrong(f"'{name}' is no name of a module; write MODULE:DB, such as shop.jobs:db")
    # As `python -m` does: what lies here can be imported.
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise _wrong(
                f"there is no module '{error.name}', seen from {os.getcwd()}; go to its folder, or set PYTHONPATH"
            ) from None
        raise _broken(name, error) from error
    except Exception as error:
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> JobError:
    """The module was found, and raised: its traceback is what helps."""
    sys.stderr.write("".join(traceback.format_exception(error)))
    return JobError(f"the module '{name}' cannot be imported: {type(error).__name__}: {error}")


def _wrong(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="MODULE:DB")
