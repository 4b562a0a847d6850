"""Schedules: `define schedule` → when its action is due, everything about it checked now."""

from __future__ import annotations

import hashlib
from typing import Any, Final, cast

from aurora_db.aql import job_options, parser, plan, suggest, syntax, timetable
from aurora_db.aql.catalog import Catalog, Collection, Schedule
from aurora_db.aql.mutations import Mutations
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import (
    MissingArgument,
    ScheduleInvalid,
    Span,
    TypeMismatch,
    UnknownCollection,
    UnknownEnum,
)

#: After a time in which nothing ran: fire for none, for one or for all that were missed.
CATCH_UP: Final = ("NONE", "ONE", "ALL")
#: While what the last time enqueued has not ended: fire nevertheless, or leave this time out.
OVERLAP: Final = ("ALLOW", "SKIP")
_FIELDS: Final = {"catchUp": "catch_up"}


def define(node: syntax.ScheduleDefinition, text: str, catalog: Catalog) -> plan.DefineSchedule:
    """The schedule that a definition means.

    Raises:
        AqlError: the definition is refused.
    """
    scope = Scope(text, {}, catalog=catalog)
    if not node.name.value or len(node.name.value) > 200:
        raise scope.fail(
            ScheduleInvalid, "the name of a schedule has 1 to 200 characters", node.name.span
        )
    given = {entry.key.text: entry for entry in node.parts}
    if ("cron" in given) == ("every" in given):
        raise scope.fail(
            MissingArgument if "cron" not in given else ScheduleInvalid,
            f"the schedule '{node.name.value}' has either 'cron' or 'every'",
            node.name.span,
            'write cron: "0 3 * * *", or every: "5m"',
        )
    if "timezone" in given and "every" in given:
        raise scope.fail(
            ScheduleInvalid, "'timezone' belongs to 'cron'", given["timezone"].span, "leave it out"
        )
    values = {
        _FIELDS.get(name, name): _part(scope, name, entry.value) for name, entry in given.items()
    }
    actions(node, text, catalog)
    digest = hashlib.sha256(repr((node.parts, node.action)).encode()).hexdigest()
    schedule = Schedule(
        name=node.name.value, text=text[node.span.start : node.span.end], digest=digest, **values
    )
    return plan.DefineSchedule(schedule, node.if_not_exists, node.or_replace)


def actions(node: syntax.ScheduleDefinition, text: str, catalog: Catalog) -> tuple[plan.Part, ...]:
    """What is done at each time."""
    scope = Scope(text, {}, catalog=catalog)

    def found(name: str, span: Span) -> Collection:
        collection = catalog.collections.get(name)
        if collection is None:
            raise scope.fail(
                UnknownCollection,
                f"no collection named '{name}'",
                span,
                suggest.hint(name, catalog.collections),
            )
        return collection

    def no_schema(block: syntax.SchemaBlock, _key: str) -> plan.DefineSchema:
        raise scope.fail(
            ScheduleInvalid, "a schedule changes documents and jobs, no schema", block.span
        )

    return Mutations(scope, found, no_schema).parts(node.action)


def actions_of(schedule: Schedule, catalog: Catalog) -> tuple[plan.Part, ...]:
    """What a stored schedule does, against the catalog of now."""
    (node,) = parser.parse(schedule.text).definitions
    return actions(cast("syntax.ScheduleDefinition", node), schedule.text, catalog)


def _part(scope: Scope, name: str, node: syntax.Value) -> Any:
    match name:
        case "catchUp":
            return _word(scope, name, node, CATCH_UP)
        case "overlap":
            return _word(scope, name, node, OVERLAP)
        case "every" | "jitter":
            return _duration(scope, name, node)
        case _:
            if not isinstance(node, syntax.StringLiteral):
                raise scope.fail(TypeMismatch, f"'{name}' is a text in quotes", node.span)
            check = timetable.cron_problem if name == "cron" else timetable.timezone_problem
            problem = check(node.value)
            if problem is not None:
                hint = None if name == "cron" else 'names are such as "Europe/Paris" and "UTC"'
                raise scope.fail(ScheduleInvalid, problem, node.span, hint)
            return node.value


def _word(scope: Scope, name: str, node: syntax.Value, words: tuple[str, ...]) -> str:
    if not isinstance(node, syntax.Word) or node.text not in words:
        given = str(literal(node)) if isinstance(node, (syntax.Word, syntax.StringLiteral)) else ""
        raise scope.fail(
            UnknownEnum,
            f"'{name}' has no word '{given}'" if given else f"'{name}' is one word",
            node.span,
            suggest.hint(given, words, f"its words are {', '.join(words)}"),
        )
    return node.text


def _duration(scope: Scope, name: str, node: syntax.Value) -> float:
    seconds = None
    if isinstance(node, (syntax.StringLiteral, syntax.IntLiteral, syntax.FloatLiteral)):
        seconds = job_options.seconds(node.value)
    least = timetable.SHORTEST if name == "every" else 0.0
    if seconds is None or not least <= seconds <= timetable.LONGEST:
        raise scope.fail(
            TypeMismatch,
            f"'{name}' is a duration such as \"5m\", {least:g} s at least and ten years at most",
            node.span,
        )
    return seconds
