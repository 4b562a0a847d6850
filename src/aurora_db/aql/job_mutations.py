"""Mutations of jobs → plan: enqueueJob, enqueueJobs, cancelJob, retryJob."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aurora_db.aql import job_options, plan, suggest, syntax, system
from aurora_db.aql.directives import fields_of
from aurora_db.aql.expand import is_everything
from aurora_db.aql.selections import Selections, key_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import MissingWhere, UnknownField

ARGUMENTS: Final = {
    "type": "type", "jobType": "type", "payload": "payload", "priority": "priority", "retries": "retries",
    "maxRetries": "retries", "runAt": "run_at", "scheduledAt": "run_at", "delay": "delay", "queue": "queue",
    "timeout": "timeout", "tags": "tags", "backoff": "backoff",
}  # fmt: skip
SEVERAL: Final = {
    **{name: meant for name, meant in ARGUMENTS.items() if name != "payload"}, "payloads": "payloads",
}  # fmt: skip
#: Arguments of the language that this version does not have.
LATER: Final = ("unique", "after")
SYNONYMS: Final = {"jobId": "id", "job_id": "id", "job_type": "type", "jobType": "type"}
CHANGED: Final = {"affected": "affected", "affectedCount": "affected", "ids": "ids"}
ENQUEUED: Final = {"count": "count", "jobIds": "jobIds", "job_ids": "jobIds", "ids": "jobIds"}


class JobMutations:
    """Resolves one part of a mutation that changes jobs."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._jobs = system.SYSTEM["_jobs"]

    def part(self, node: syntax.FieldSelection) -> plan.Part:
        """The plan of the verb."""
        match node.name.text:
            case "enqueueJob":
                return self._enqueue(node)
            case "enqueueJobs":
                return self._enqueue_many(node)
            case "cancelJob":
                return plan.CancelJobs(key_of(node), self._which(node), self._changed(node))
            case _:
                return plan.RetryJobs(key_of(node), self._which(node), self._changed(node))

    def _enqueue(self, node: syntax.FieldSelection) -> plan.EnqueueJob:
        given = self._scope.arguments("enqueueJob", node.arguments, ARGUMENTS, LATER)
        options = self._options(node, given)
        selections = Selections(self._jobs, self._scope, SYNONYMS)
        first = self._jobs.fields[0]
        id = plan.Output("jobId", plan.Path(first, (), first.type))
        outputs = selections.outputs(node.selection) if node.selection else (id,)
        return plan.EnqueueJob(key_of(node), options, outputs)

    def _enqueue_many(self, node: syntax.FieldSelection) -> plan.EnqueueJobs:
        given = self._scope.arguments("enqueueJobs", node.arguments, SEVERAL, LATER)
        entry = self._scope.needed("enqueueJobs", given, "payloads", node.name.span)
        payloads = self._scope.value(entry.value)
        del given["payloads"]
        options = self._options(node, given)
        return plan.EnqueueJobs(
            key_of(node), payloads, options, counted_keys(self._scope, node, ENQUEUED)
        )

    def _options(
        self, node: syntax.FieldSelection, given: Mapping[str, syntax.Entry]
    ) -> tuple[tuple[str, plan.Value], ...]:
        self._scope.needed(node.name.text, given, "type", node.name.span)
        return tuple(
            (name, job_options.job_option(self._scope, name, entry))
            for name, entry in given.items()
        )

    def _which(self, node: syntax.FieldSelection) -> plan.Where:
        allowed = {"id": "id", "jobId": "id", "where": "where", "filter": "where"}
        given = self._scope.arguments(node.name.text, node.arguments, allowed)
        where = Selections(self._jobs, self._scope).where(given)
        if is_everything(where):
            raise self._scope.fail(
                MissingWhere, f"{node.name.text} without a condition would change every job", node.name.span,
                "give id or where",
            )  # fmt: skip
        return where

    def _changed(self, node: syntax.FieldSelection) -> plan.Affected:
        return Selections(self._jobs, self._scope).affected(node, CHANGED)


def counted_keys(
    scope: Scope, node: syntax.FieldSelection, names: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """The keys of a result of plain values; all of its kinds without a selection."""
    if not node.selection:
        return tuple((what, what) for what in dict.fromkeys(names.values()))
    keys: list[tuple[str, str]] = []
    for one in fields_of(scope, node.selection, None):
        if isinstance(one, syntax.Computed):
            raise scope.fail(UnknownField, "a result has no computed fields", one.span)
        what = names.get(one.name.text)
        if what is None:
            raise scope.fail(
                UnknownField, f"no field named '{one.name.text}' in the result of {node.name.text}", one.name.span,
                suggest.hint(one.name.text, names, f"it has {', '.join(names)}"),
            )  # fmt: skip
        keys.append((key_of(one), what))
    return tuple(keys)
