"""`aurora schedules`: list them, show when each fires next, run one now, enable and disable them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from aurora_db.base.codec import encode
from aurora_db.base.errors import NotFound

if TYPE_CHECKING:
    from aurora_db.database import Aurora
    from aurora_db.jobs.schedule import Schedule

#: Registers a command under a name, with an example.
Command = Callable[[str, str], Callable[[Callable[..., None]], object]]
Opened = Callable[[str], "AbstractContextManager[Aurora]"]
Say = Callable[..., None]


class Action(StrEnum):
    """What is done."""

    LIST = "list"
    NEXT = "next"
    RUN = "run"
    ENABLE = "enable"
    DISABLE = "disable"


def register(command: Command, opened: Opened, say: Say) -> None:
    """Add the command; what opens a database and prints results is that of all commands."""

    @command("schedules", "aurora schedules shop.db next nightly --count 3")
    def schedules(
        file: Annotated[str, typer.Argument(metavar="FILE", help="The database, such as shop.db.")],
        action: Annotated[
            Action,
            typer.Argument(
                help="list all; next: when one fires; run its action now; enable; disable."
            ),
        ] = Action.LIST,
        name: Annotated[
            str | None,
            typer.Argument(metavar="NAME", help="The schedule; next shows all without."),
        ] = None,
        *,
        count: Annotated[int, typer.Option(min=1, max=1000, help="Times that next shows.")] = 10,
        machine: Annotated[bool, typer.Option("--json", help="Print JSON on one line.")] = False,
    ) -> None:
        """Show schedules and when they fire; run, enable or disable one."""
        with opened(file) as db:
            match action:
                case Action.LIST:
                    _list([_one(db, name)] if name else db.schedules(), say, machine=machine)
                case Action.NEXT:
                    chosen = [_one(db, name)] if name else db.schedules()
                    _next(chosen, count, say, machine=machine)
                case Action.RUN | Action.ENABLE | Action.DISABLE:
                    if name is None:
                        raise typer.BadParameter(
                            f"which one? aurora schedules {file} {action} NAME", param_hint="NAME"
                        )
                    _control(db, action, name, say, machine=machine)


def _one(db: Aurora, name: str) -> Schedule:
    for schedule in db.schedules():
        if schedule.name == name:
            return schedule
    raise NotFound(f"no schedule named '{name}'", hint="see them: aurora schedules FILE")


def _list(found: list[Schedule], say: Say, *, machine: bool) -> None:
    if machine:
        say(found, machine=True)
        return
    for one in found:
        times = f"cron {one.cron} {one.timezone}" if one.cron else f"every {one.every:g} s"
        state = f"next {one.next_at}" if one.enabled else "disabled"
        last = (
            "never ran"
            if one.last_outcome is None
            else f"last {one.last_outcome} {one.last_at or ''}"
        )
        typer.echo(f"{one.name}: {times}, {state}, {last.rstrip()}")
        if one.last_error is not None:
            typer.echo(f"  {one.last_error}")
    if not found:
        typer.echo("no schedules")


def _next(found: list[Schedule], count: int, say: Say, *, machine: bool) -> None:
    if machine:
        say({one.name: one.upcoming(count) for one in found}, machine=True)
        return
    for one in found:
        typer.echo(f"{one.name}:{'' if one.enabled else ' disabled'}")
        zone = ZoneInfo(one.timezone)
        for at in one.upcoming(count):
            typer.echo(f"  {at.astimezone(zone).isoformat(' ', 'seconds')}")


def _control(db: Aurora, action: Action, name: str, say: Say, *, machine: bool) -> None:
    result: Any = db.execute(f"{action} schedule {encode(name)}")
    if machine:
        say(result, machine=True)
    else:
        typer.echo(f"{name}: {result['status']}")
