"""Mutations: writes of documents and jobs."""

from __future__ import annotations

import msgspec

from aurora_db.aql.catalog import Collection
from aurora_db.aql.plan.conditions import Where
from aurora_db.aql.plan.queries import Selected
from aurora_db.aql.plan.values import Value


class Insert(msgspec.Struct, frozen=True):
    """One document; result: its outputs."""

    key: str
    collection: Collection
    data: Value
    outputs: tuple[Selected, ...]


class Affected(msgspec.Struct, frozen=True):
    """Result of a bulk verb: pairs of (key, what), `what` being count, affected, ids or nodes."""

    keys: tuple[tuple[str, str], ...]
    nodes: tuple[Selected, ...] = ()


class InsertMany(msgspec.Struct, frozen=True):
    """Several documents, one result. `on_conflict` is ERROR, SKIP or REPLACE."""

    key: str
    collection: Collection
    data: Value
    result: Affected
    on_conflict: Value | None = None


class Update(msgspec.Struct, frozen=True):
    """Merge `data` into every document that matches.

    `data` may hold paths, update operators and computations. `if_rev` demands a revision.
    """

    key: str
    collection: Collection
    where: Where
    data: Value
    result: Affected
    if_rev: Value | None = None


class Upsert(msgspec.Struct, frozen=True):
    """Update the one document that `where` names by a unique key, or insert it.

    `equalities` is the where-object, equalities by field name. `created` are the keys under which the
    result says whether it was inserted; `order` are all keys of the result as they were written.
    """

    key: str
    collection: Collection
    equalities: Value
    data: Value
    outputs: tuple[Selected, ...]
    created: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    if_rev: Value | None = None


class Delete(msgspec.Struct, frozen=True):
    """Remove every document that matches; nodes as they were."""

    key: str
    collection: Collection
    where: Where
    result: Affected
    if_rev: Value | None = None


class EnqueueJob(msgspec.Struct, frozen=True):
    """Put a job into the queue; `options` are named as `Aurora.enqueue_job`'s keywords.

    Keys: type, payload, priority, retries, run_at, delay, queue, timeout, tags, backoff, unique, after,
    on_failure. `outputs` select fields of `_jobs`. `conflicts` are the keys under which the result says
    whether the job was there already; `order` are all keys of the result as they were written.
    """

    key: str
    options: tuple[tuple[str, Value], ...]
    outputs: tuple[Selected, ...]
    conflicts: tuple[str, ...] = ()
    order: tuple[str, ...] = ()


class EnqueueJobs(msgspec.Struct, frozen=True):
    """One job for each of `payloads`; result keys: pairs of (key, count, jobIds or conflicts)."""

    key: str
    payloads: Value
    options: tuple[tuple[str, Value], ...]
    keys: tuple[tuple[str, str], ...]


class CancelJobs(msgspec.Struct, frozen=True):
    """Cancel the jobs that match and have not ended."""

    key: str
    where: Where
    result: Affected


class RetryJobs(msgspec.Struct, frozen=True):
    """Run the ended jobs that match once more."""

    key: str
    where: Where
    result: Affected


class Publish(msgspec.Struct, frozen=True):
    """Tell whoever subscribes to `topic`, after the commit. With `durable` it is written into the feed.

    Result keys: pairs of (key, position), which is null where it is not durable.
    """

    key: str
    topic: Value
    payload: Value
    durable: Value
    keys: tuple[tuple[str, str], ...]


class Import(msgspec.Struct, frozen=True):
    """Insert documents in bulk; as `InsertMany`."""

    key: str
    collection: Collection
    data: Value
    result: Affected
    on_conflict: Value | None = None


class Export(msgspec.Struct, frozen=True):
    """Write the matching documents as JSON, CSV, NDJSON or PARQUET; to `path`, else into the result.

    Result keys: pairs of (key, count, data or path).
    """

    key: str
    collection: Collection
    where: Where
    format: Value | None
    path: Value | None
    keys: tuple[tuple[str, str], ...]
