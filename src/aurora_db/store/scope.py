"""What one execution of an operation knows, and what runs its parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.values import value_of
from aurora_db.base.records import Job
from aurora_db.store.port import Port


class Scope(msgspec.Struct):
    """What one execution knows: variables, and results of earlier parts by their key."""

    variables: Mapping[str, Any]
    results: dict[str, Any] = {}

    @property
    def bindings(self) -> Mapping[str, Any]:
        """What a statement's parameters are read from: variables, and results of earlier parts."""
        return {**self.results, **self.variables} if self.results else self.variables

    def inner(self) -> Scope:
        """The scope of a `transaction { … }`: its parts are not seen by those after it."""
        return Scope(self.variables, dict(self.results))

    def value(self, value: plan.Value) -> Any:
        """The Python value that a plan's value has now."""
        return value_of(value, self.variables, self.results)


Runner = Callable[[Port, Scope], Awaitable[Any]]


class JobVerbs(msgspec.Struct, frozen=True):
    """The verbs on jobs that mutations run; this floor does not know what they do.

    `enqueue` takes the options of each job, which differ in their payloads, and gives their records in order; `cancel` and `retry` take ids and
    give those that changed.
    """

    enqueue: Callable[[Port, Sequence[Mapping[str, Any]]], Awaitable[list[Job]]]
    cancel: Callable[[Port, Sequence[str]], Awaitable[list[str]]]
    retry: Callable[[Port, Sequence[str]], Awaitable[list[str]]]
