"""`aurora jobs FILE …`: run jobs again, cancel, pause and prune."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aurora_db.aql import job_options
from aurora_db.cli_frame import Machine, command, out, plain, say
from aurora_db.cli_jobs import OfQueue, Statuses, Type, Where, condition_of, database, jobs, known

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Jobs, as `list` shows them.")
]
Queue = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue, such as default.")]
All = Annotated[bool, typer.Option("--all", help="Every job that it is possible for is meant.")]


@command(
    "retry", "aurora jobs shop.db retry 019b-…", "aurora jobs shop.db retry --type mail", of=jobs
)
def retry(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    status: Statuses = None,
    type: Type = None,
    queue: OfQueue = None,
    where: Where = None,
    all: All = False,
    machine: Machine = False,
) -> None:
    """Let jobs that have ended run once more; of many only the FAILED ones, unless --status says others."""
    condition = condition_of(status, type, queue, where)
    _check_which("retry", ids, condition, all=all)
    with database(ctx) as db:
        if ids:
            changed = [id for id in ids if db.retry_job(known(db, id).id)]
            _tell_each("run again", "has not ended yet", ids, changed, machine=machine)
        else:
            _tell_many("run again", db.retry_jobs(condition, all=all), machine=machine)


@command(
    "cancel",
    "aurora jobs shop.db cancel 019b-…",
    "aurora jobs shop.db cancel --queue media",
    of=jobs,
)
def cancel(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    status: Statuses = None,
    type: Type = None,
    queue: OfQueue = None,
    where: Where = None,
    all: All = False,
    machine: Machine = False,
) -> None:
    """Cancel jobs that have not ended, also running ones."""
    condition = condition_of(status, type, queue, where)
    _check_which("cancel", ids, condition, all=all)
    with database(ctx) as db:
        if ids:
            changed = [id for id in ids if db.cancel_job(known(db, id).id)]
            _tell_each("cancelled", "has ended already", ids, changed, machine=machine)
        else:
            _tell_many("cancelled", db.cancel_jobs(condition, all=all), machine=machine)


def _check_which(verb: str, ids: list[str] | None, condition: dict[str, Any], *, all: bool) -> None:
    """Refuse to change what nobody has named."""
    if ids and (condition or all):
        raise typer.BadParameter(
            f"ids of jobs and conditions are two ways to {verb}; take one", param_hint="ID"
        )
    if not ids and not condition and not all:
        raise typer.BadParameter(
            f"say what to {verb}: ids of jobs, or --type, --queue, --status or --where, or --all",
            param_hint="ID",
        )


def _tell_each(
    done: str, otherwise: str, ids: list[str], changed: list[str], *, machine: bool
) -> None:
    """Say of each whether it changed; exit code 1 when one did not."""
    if machine:
        say(
            {"changed": changed, "unchanged": [id for id in ids if id not in changed]}, machine=True
        )
    else:
        for id in ids:
            out(plain(f"{id}: {done if id in changed else otherwise}"))
    if len(changed) < len(ids):
        raise typer.Exit(1)


def _tell_many(done: str, count: int, *, machine: bool) -> None:
    if machine:
        say({"count": count}, machine=True)
    else:
        out(f"{count:,} {'job' if count == 1 else 'jobs'} {done}")


@command("pause", "aurora jobs shop.db pause media", of=jobs)
def pause(ctx: typer.Context, queue: Queue, *, machine: Machine = False) -> None:
    """Let no job of a queue begin any more, in no process; those that run go on."""
    with database(ctx) as db:
        db.workers.enable()
        changed = db.workers.pause(queue)
    _tell_queue(queue, "paused" if changed else "was paused already", changed, machine=machine)


@command("resume", "aurora jobs shop.db resume media", of=jobs)
def resume(ctx: typer.Context, queue: Queue, *, machine: Machine = False) -> None:
    """Let the jobs of a paused queue begin again."""
    with database(ctx) as db:
        db.workers.enable()
        changed = db.workers.resume(queue)
    _tell_queue(queue, "goes on" if changed else "was not paused", changed, machine=machine)


def _tell_queue(queue: str, told: str, changed: bool, *, machine: bool) -> None:
    if machine:
        say({"queue": queue, "changed": changed}, machine=True)
    else:
        out(plain(f"queue '{queue}' {told}"))


@command("prune", "aurora jobs shop.db prune --older-than 30d --status COMPLETED", of=jobs)
def prune(
    ctx: typer.Context,
    *,
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Since their end: 90s, 10m, 12h, 7d; 0s is all.")
    ],
    status: Statuses = None,
    machine: Machine = False,
) -> None:
    """Delete jobs that ended so long ago, with their errors and steps."""
    age = job_options.seconds(older_than)
    if age is None:
        raise typer.BadParameter(
            f"'{older_than}' is no age; write --older-than 7d, or 90s, 10m, 12h, 2w",
            param_hint="--older-than",
        )
    statuses = None if not status else [one.value for one in status]
    with database(ctx) as db:
        _tell_many("pruned", db.prune_jobs(status=statuses, older_than=age), machine=machine)
