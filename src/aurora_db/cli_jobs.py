"""`aurora jobs FILE …`: look at jobs and explain them. `cli_changes.py` has the verbs that change them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from aurora_db.aql.builder import F
from aurora_db.base.errors import NotFound
from aurora_db.base.records import Job, Status
from aurora_db.cli_frame import NAMES, Machine, app, command, opened, out, plain, say, where_of
from aurora_db.database import Aurora
from aurora_db.jobs.spoken import at, lasting, short

#: Fields of a job that a list shows.
SHOWN = (
    "id", "status", "type", "queue", "priority", "retries", "max_retries", "run_at", "created_at",
    "started_at", "finished_at", "error",
)  # fmt: skip

jobs = typer.Typer(
    help="Jobs of a database: look, explain, retry, cancel, pause, prune.",
    no_args_is_help=True,
    context_settings=NAMES,
    subcommand_metavar="COMMAND [ARGS]...",
    epilog="Example: aurora jobs shop.db list --status FAILED",
)
app.add_typer(jobs, name="jobs")

Id = Annotated[str, typer.Argument(metavar="ID", help="The job, as `list` shows it.")]
Statuses = Annotated[
    list[Status] | None,
    typer.Option("--status", "-s", case_sensitive=False, help="Only these; may be given twice."),
]
Type = Annotated[str | None, typer.Option("--type", "-t", help="Only jobs of this type.")]
OfQueue = Annotated[str | None, typer.Option("--queue", "-q", help="Only jobs of this queue.")]
Where = Annotated[str | None, typer.Option(help="A where-object on _jobs, as JSON.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="So many at most.")]


@jobs.callback()
def file_of(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The database, such as shop.db.")],
) -> None:
    """Jobs of a database: look, explain, retry, cancel, pause, prune."""
    ctx.obj = file


def database(ctx: typer.Context) -> Aurora:
    """The database that stands before the command."""
    return opened(ctx.obj)


def condition_of(
    status: list[Status] | None, type: str | None, queue: str | None, where: str | None
) -> dict[str, Any]:
    """What the options ask for, as a where-object."""
    parts: list[dict[str, Any]] = []
    if status:
        parts.append({"status": {"in": [one.value for one in status]}})
    if type is not None:
        parts.append({"type": {"eq": type}})
    if queue is not None:
        parts.append({"queue": {"eq": queue}})
    if where is not None:
        parts.append(where_of(where))
    return {"and": parts} if parts else {}


@command("list", "aurora jobs shop.db list --status FAILED --type mail --limit 50", of=jobs)
def list_(
    ctx: typer.Context,
    *,
    status: Statuses = None,
    type: Type = None,
    queue: OfQueue = None,
    where: Where = None,
    limit: Limit = 20,
    machine: Machine = False,
) -> None:
    """Show jobs, the newest first."""
    condition = condition_of(status, type, queue, where)
    with database(ctx) as db:
        query = db.query("_jobs").order_by("-id").limit(limit + 1)
        query = query.filter(condition) if condition else query
        found = query.all() if machine else query.select(*SHOWN).all()
        now = db.config.clock.now()
    shown, more = found[:limit], len(found) > limit
    if machine:
        say(shown, machine=True)
        return
    if not shown:
        out("no jobs")
        return
    out(_table(shown, now))
    if more:
        out(f"the newest {limit}; --limit shows more")


def _table(found: list[dict[str, Any]], now: Any) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True)
    for name in ("status", "type", "queue", "failures", "when"):
        table.add_column(name)
    table.add_column("error", overflow="ellipsis", no_wrap=True)
    for one in found:
        words = (
            one["id"], one["status"], one["type"], one["queue"], f"{one['retries']}/{one['max_retries']}",
            _when(one, now), short(one["error"] or ""),
        )  # fmt: skip
        table.add_row(*map(plain, words))
    return table


def _when(job: dict[str, Any], now: Any) -> str:
    if job["status"] == "SCHEDULED" and job["run_at"] is not None:
        left = (job["run_at"] - now).total_seconds()
        return f"in {lasting(left)}" if left > 0 else "due"
    then = job["finished_at"] or job["started_at"] or job["created_at"]
    return f"{lasting((now - then).total_seconds())} ago"


@command("show", "aurora jobs shop.db show 019b-… --json", of=jobs)
def show(ctx: typer.Context, id: Id, *, machine: Machine = False) -> None:
    """Show all fields of a job, its steps, and why it is as it is."""
    with database(ctx) as db:
        job = known(db, id)
        steps = db.query("_job_steps").filter(F.job_id == id).all()
        why = db.why(id)
    fields = msgspec.structs.asdict(job)
    if machine:
        say({**fields, "priority": job.priority.name, "steps": steps, "why": why}, machine=True)
        return
    fields["priority"] = job.priority.name
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in fields.items():
        if value is not None and value not in ((), 0):
            table.add_row(plain(name), plain(_text(value)))
    for step in steps:
        table.add_row(plain("step"), plain(f"{step['name']}: {_text(step['result'])}"))
    out(table)
    out(plain(f"\n{why}"))


def _text(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return at(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def known(db: Aurora, id: str) -> Job:
    """The job of this id.

    Raises:
        NotFound: there is none.
    """
    job = db.get_job(id)
    if job is None:
        raise NotFound(
            f"no job with the id '{id}'",
            hint="aurora jobs FILE list shows ids; old jobs are pruned",
        )
    return job


@command("why", "aurora jobs shop.db why 019b-…", of=jobs)
def why(ctx: typer.Context, id: Id, *, machine: Machine = False) -> None:
    """Say why a job is as it is: what it waits for, who has it, or how it ended."""
    with database(ctx) as db:
        told = db.why(id)
    if machine:
        say({"id": id, "why": told}, machine=True)
    else:
        out(plain(told))


@command(
    "errors", "aurora jobs shop.db errors 019b-…", "aurora jobs shop.db errors --limit 5", of=jobs
)
def errors(
    ctx: typer.Context,
    id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The job; all without it.")
    ] = None,
    *,
    limit: Limit = 20,
    machine: Machine = False,
) -> None:
    """Show the failures of a job with their tracebacks, or the last failures of all."""
    with database(ctx) as db:
        query = db.query("_job_errors").order_by("-at").limit(limit)
        if id is not None:
            known(db, id)
            query = query.filter(F.job_id == id)
        found = query.all()
    if machine:
        say(found, machine=True)
    elif not found:
        out("no failures")
    elif id is None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("job", no_wrap=True)
        for name in ("attempt", "at", "error"):
            table.add_column(name)
        for one in found:
            table.add_row(
                *map(plain, (one["job_id"], one["attempt"], at(one["at"]), short(one["error"])))
            )
        out(table)
    else:
        for one in reversed(found):
            late = " after the completion" if one["after_completion"] else ""
            out(plain(f"attempt {one['attempt']}{late}, {at(one['at'])}: {one['error']}"))
            if one["traceback"]:
                out(plain(one["traceback"].rstrip()))
