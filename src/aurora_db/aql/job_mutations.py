"""Mutations of jobs → plan: enqueueJob, enqueueJobs, cancelJob, retryJob."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aurora_db.aql import job_links, job_options, plan, suggest, syntax, system
from aurora_db.aql.directives import fields_of
from aurora_db.aql.expand import is_everything
from aurora_db.aql.selections import Selections, key_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import MissingArgument, MissingWhere, UnknownField

ARGUMENTS: Final = {
    "type": "type", "jobType": "type", "payload": "payload", "priority": "priority", "retries": "retries",
    "maxRetries": "retries", "runAt": "run_at", "scheduledAt": "run_at", "delay": "delay", "queue": "queue",
    "timeout": "timeout", "tags": "tags", "backoff": "backoff",
    **{written: name for name, written in job_links.NAMES.items()},
}  # fmt: skip
SEVERAL: Final = {
    **{name: meant for name, meant in ARGUMENTS.items() if name != "payload"}, "payloads": "payloads",
}  # fmt: skip
SYNONYMS: Final = {"jobId": "id", "job_id": "id", "job_type": "type", "jobType": "type"}
CHANGED: Final = {"affected": "affected", "affectedCount": "affected", "ids": "ids"}
ENQUEUED: Final = {
    "count": "count", "jobIds": "jobIds", "job_ids": "jobIds", "ids": "jobIds", "conflicts": "conflicts",
}  # fmt: skip
#: What `enqueueJobs` gives without a selection.
ENQUEUED_KEYS: Final = ("count", "jobIds")


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
        given = self._scope.arguments("enqueueJob", node.arguments, ARGUMENTS)
        options = self._options(node, given)
        if not node.selection:
            first = self._jobs.fields[0]
            id = plan.Output("jobId", plan.Path(first, (), first.type))
            return plan.EnqueueJob(key_of(node), options, (id,))
        fields = fields_of(self._scope, node.selection, "_jobs")
        stored = [one for one in fields if not _is_conflict(one)]
        selections = Selections(self._jobs, self._scope, SYNONYMS)
        return plan.EnqueueJob(
            key_of(node), options, selections.outputs(stored) if stored else (),
            tuple(_key(one) for one in fields if _is_conflict(one)),
            tuple(_key(one) for one in fields),
        )  # fmt: skip

    def _enqueue_many(self, node: syntax.FieldSelection) -> plan.EnqueueJobs:
        given = self._scope.arguments("enqueueJobs", node.arguments, SEVERAL)
        entry = self._scope.needed("enqueueJobs", given, "payloads", node.name.span)
        payloads = self._scope.value(entry.value)
        del given["payloads"]
        options = self._options(node, given)
        return plan.EnqueueJobs(
            key_of(node),
            payloads,
            options,
            counted_keys(self._scope, node, ENQUEUED, ENQUEUED_KEYS),
        )

    def _options(
        self, node: syntax.FieldSelection, given: Mapping[str, syntax.Entry]
    ) -> tuple[tuple[str, plan.Value], ...]:
        self._scope.needed(node.name.text, given, "type", node.name.span)
        alone = given.get("on_failure")
        if alone is not None and "after" not in given:
            raise self._scope.fail(
                MissingArgument, "'onDependencyFailure' is about the jobs of 'after'", alone.key.span,
                'give after: ["…"]',
            )  # fmt: skip
        return tuple((name, self._option(name, entry)) for name, entry in given.items())

    def _option(self, name: str, entry: syntax.Entry) -> plan.Value:
        room = job_links.option if name in job_links.NAMES else job_options.job_option
        return room(self._scope, name, entry)

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
    scope: Scope,
    node: syntax.FieldSelection,
    names: Mapping[str, str],
    otherwise: Iterable[str] | None = None,
) -> tuple[tuple[str, str], ...]:
    """The keys of a result of plain values; without a selection `otherwise`, or all of its kinds."""
    if not node.selection:
        return tuple((what, what) for what in otherwise or dict.fromkeys(names.values()))
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


def _is_conflict(selection: syntax.FieldSelection | syntax.Computed) -> bool:
    return isinstance(selection, syntax.FieldSelection) and selection.name.text == "conflict"


def _key(selection: syntax.FieldSelection | syntax.Computed) -> str:
    return selection.alias.text if isinstance(selection, syntax.Computed) else key_of(selection)
