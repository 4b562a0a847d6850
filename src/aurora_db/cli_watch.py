"""`aurora watch FILE TEXT`: what is committed, as it is committed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from types import TracebackType
from typing import Annotated, Any, Self, cast

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from aurora_db.base.changes import Change, Reset
from aurora_db.base.codec import encode
from aurora_db.base.errors import SubscriptionClosed, Timeout
from aurora_db.cli_data import text_of, variable
from aurora_db.cli_frame import File, Machine, command, opened, out, plain, say
from aurora_db.database import Aurora
from aurora_db.database_live import Subscription
from aurora_db.jobs.spoken import at, short

#: A text that is the name of a collection.
NAME = re.compile(r"\w+")
#: Characters of a document on a line.
WIDTH = 200
#: Documents of a table at most, so that it fits a terminal.
ROWS = 30


@command(
    "watch",
    "aurora watch shop.db orders",
    "aurora watch shop.db 'subscription { orders(where: {total: {gt: 100}}) { mutation node { total } } }' --json",
    "aurora watch shop.db '{ orders(orderBy: {total: DESC}, limit: 10) { id total } }'",
)
def watch(
    file: File,
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="A collection, or a subscription or query in AQL, or a file of it that ends in .aql.",
        ),
    ],
    *,
    var: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable; JSON, else a text.")
    ] = None,
    operation: Annotated[
        str | None, typer.Option(help="The one operation to follow, by name.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="POSITION", help="Go on after this position, which an earlier watch said."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="End after so many items.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="End when nothing came for so long; 1 if --count is open.",
        ),
    ] = None,
    machine: Machine = False,
) -> None:
    """Show changes, or a result whenever it differs, until Ctrl-C."""
    with opened(file) as db:
        if NAME.fullmatch(text):
            subscription: Subscription[Any] = db.listen(text, since=since)
        else:
            written = text_of(text) if text.endswith(".aql") else text
            values = dict(variable(one) for one in var or ())
            subscription = db.stream(written, values, since=since, operation=operation)
        with subscription:
            whole = _follow(db, subscription, count, timeout, machine=machine)
    if not whole:
        raise typer.Exit(1)


def _follow(
    db: Aurora, items: Subscription[Any], count: int | None, timeout: float | None, *, machine: bool
) -> bool:
    """Show what comes; False where a count was asked for and not reached."""
    seen = 0
    try:
        with _screen(machine=machine) as show:
            if not machine:
                sys.stderr.write("watching; Ctrl-C stops\n")
            while count is None or seen < count:
                show(items.next(timeout=timeout), db.config.clock.now())
                sys.stdout.flush()
                seen += 1
    except Timeout:
        return count is None
    except (KeyboardInterrupt, SubscriptionClosed):
        pass
    finally:
        if not machine and items.position is not None:
            sys.stderr.write(f"go on after it: --since {items.position}\n")
    return True


# --- what is shown --------------------------------------------------------------------------

Show = Callable[[Any, datetime], None]


def _screen(*, machine: bool) -> AbstractContextManager[Show]:
    if machine:
        return nullcontext(lambda item, _: say(item, machine=True))
    return _Redrawn() if sys.stdout.isatty() else nullcontext(_printed)


def _printed(item: Any, now: datetime) -> None:
    for line in _lines(item, now):
        out(line)


class _Redrawn:
    """On a terminal a result is drawn in the place of the one before; events are lines."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def __call__(self, item: Any, now: datetime) -> None:
        """Show one item."""
        if not _is_result(item):
            _printed(item, now)
            return
        if self._live is None:
            self._live = Live(console=Console(), auto_refresh=False)
            self._live.start()
        self._live.update(Group(*_lines(item, now)), refresh=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _is_result(item: Any) -> bool:
    """Whether it is a whole result, which takes the place of the one before."""
    return isinstance(item, dict) and not any(map(_is_event, cast("dict[str, Any]", item).values()))


def _is_event(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("mutation"), str)


def _lines(item: Any, now: datetime) -> list[RenderableType]:
    match item:
        case Change():
            document = item.old if item.new is None else item.new
            told = (at(item.at), item.op, item.collection, item.id, _document(document))
            return [plain("  ".join(told))]
        case Reset():
            return [plain(f"{at(now)}  reset  {item.reason}")]
        case dict():
            found = cast("dict[str, Any]", item)
            return [one for key, value in found.items() for one in _named(key, value, now)]
        case _:
            return [plain(encode(item))]


def _named(key: str, value: Any, now: datetime) -> list[RenderableType]:
    if _is_event(value):
        document = value.get("node") or value.get("old")
        parts = [at(now), value["mutation"], key]
        parts += [
            one for one in (value.get("id") or (document or {}).get("id"),) if one is not None
        ]
        if document is not None:
            parts.append(_document(document))
        return [plain("  ".join(parts))]
    title = plain(f"{at(now)}  {key}")
    if isinstance(value, list) and all(isinstance(one, dict) for one in cast("list[Any]", value)):
        return [title, *_table(cast("list[dict[str, Any]]", value))]
    return [title, plain(encode(value))]


def _table(documents: list[dict[str, Any]]) -> list[RenderableType]:
    if not documents:
        return [plain("nothing")]
    names = list(dict.fromkeys(name for one in documents for name in one))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(plain(name), overflow="ellipsis", no_wrap=True)
    for one in documents[:ROWS]:
        table.add_row(*[plain(_cell(one.get(name))) for name in names])
    more = len(documents) - ROWS
    return [table, plain(f"and {more:,} more")] if more > 0 else [table]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return short(value) if isinstance(value, str) else encode(value)


def _document(document: Any) -> str:
    """A document on a line, without what the line says already."""
    if not isinstance(document, dict):
        return encode(document)
    shown = {name: one for name, one in cast("dict[str, Any]", document).items() if name not in ("id", "_rev")}  # fmt: skip
    text = encode(shown)
    return text if len(text) <= WIDTH else text[:WIDTH] + " …"
