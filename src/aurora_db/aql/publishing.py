"""`publish` → plan: a message for whoever subscribes to its topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aurora_db.aql import plan, syntax
from aurora_db.aql.job_mutations import counted_keys
from aurora_db.aql.selections import key_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import TypeMismatch

ARGUMENTS: Final = {"topic": "topic", "payload": "payload", "durable": "durable"}


def resolve(scope: Scope, node: syntax.FieldSelection) -> plan.Publish:
    """What a `publish` means.

    Raises:
        AqlError: it is refused, with its place.
    """
    given = scope.arguments("publish", node.arguments, ARGUMENTS)
    topic = scope.needed("publish", given, "topic", node.name.span)
    payload = scope.needed("publish", given, "payload", node.name.span)
    return plan.Publish(
        key_of(node),
        _checked(scope, topic, topic_problem),
        scope.value(payload.value),
        _durable(scope, given),
        counted_keys(scope, node, {"position": "position"}),
    )


def _durable(scope: Scope, given: Mapping[str, syntax.Entry]) -> plan.Value:
    if "durable" not in given:
        return plan.Constant(value=False)
    return _checked(scope, given["durable"], durable_problem)


def _checked(scope: Scope, entry: syntax.Entry, problem: Callable[[Any], str | None]) -> plan.Value:
    value = scope.value(entry.value)
    if isinstance(value, plan.Variable):
        return value
    said = problem(value.value if isinstance(value, plan.Constant) else [])
    if said is not None:
        raise scope.fail(TypeMismatch, f"'{entry.key.text}' is {said}", entry.value.span)
    return value


def topic_problem(value: Any) -> str | None:
    """Why a value is no topic, as the end of a sentence; the levels of a text are looked at when it is published."""
    return None if isinstance(value, str) and value else 'a text such as "chat.room1"'


def durable_problem(value: Any) -> str | None:
    """Why a value cannot say whether a message is durable."""
    return None if value is None or isinstance(value, bool) else "true or false"


def given(topic: Any, durable: Any) -> tuple[str, bool]:
    """The topic and whether it is durable, of values that variables gave.

    Raises:
        TypeMismatch: one is no such value.
    """
    for name, value, problem in (
        ("topic", topic, topic_problem),
        ("durable", durable, durable_problem),
    ):
        said = problem(value)
        if said is not None:
            raise TypeMismatch(f"'{name}' is {said}, got {value!r}")
    return topic, bool(durable)
