"""The system collections as AQL sees them: readable, never writable."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from aurora_db.aql import suggest
from aurora_db.aql.catalog import Catalog, Collection, Field, Type
from aurora_db.base.errors import UnknownCollection

#: Of jobs.
STATUSES: Final = (
    "SCHEDULED",
    "BLOCKED",
    "PENDING",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
)


def _collection(name: str, fields: str) -> Collection:
    """`fields` as `name:Type`, separated by white space."""
    made = [part.split(":") for part in fields.split()]
    return Collection(
        name=name,
        system=True,
        fields=tuple(
            Field(name=field, type=Type(name=type, words=STATUSES if type == "Enum" else ()))
            for field, type in made
        ),
    )


SYSTEM: Final[Mapping[str, Collection]] = MappingProxyType({
    one.name: one
    for one in (
        _collection("_jobs", """
            id:ID type:String queue:String payload:JSON priority:Priority status:Enum retries:Int
            max_retries:Int error:String last_retry:DateTime run_at:DateTime created_at:DateTime
            started_at:DateTime finished_at:DateTime attempt:Int crashes:Int worker:ID
            lease_until:DateTime timeout:Float progress:Float progress_note:String result:JSON
            unique_key:String tags:JSON cause:JSON after:JSON depends_on:Int backoff:JSON
            on_dependency_failure:String batch:ID
        """),
        _collection("_job_errors", """
            job_id:ID attempt:Int at:DateTime error:String traceback:String worker:ID after_completion:Boolean
        """),
        _collection("_handlers", """
            name:String enabled:Boolean compiled:String fired:Int failed:Int last_at:DateTime
            definition:JSON created_at:DateTime
        """),
        _collection("_schedules", """
            name:String enabled:Boolean next_at:DateTime due_at:DateTime last_at:DateTime definition:JSON created_at:DateTime
        """),
        _collection("_migrations", """
            version:String checksum:String status:String applied_at:DateTime statements:String
        """),
        _collection("_collections", "name:String definition:JSON rules:JSON created_at:DateTime"),
        _collection("_workers", """
            id:ID host:String pid:Int threads:Int types:JSON queues:JSON started_at:DateTime heartbeat_at:DateTime
        """),
        _collection("_job_steps", "job_id:ID name:String result:JSON sleep_until:DateTime attempt:Int at:DateTime"),
        _collection("_batches", """
            id:ID name:String total:Int completed:Int failed:Int cancelled:Int callbacks:JSON
            created_at:DateTime finished_at:DateTime
        """),
        _collection("_batch_jobs", "batch:ID job_id:ID name:String"),
        _collection("_queues", "name:String paused_at:DateTime aging:Float"),
        _collection("_limits", """
            scope:String name:String concurrency:Int rate_count:Int rate_period:Float key:String
        """),
        _collection("_schedule_runs", """
            schedule:String due_at:DateTime fired_at:DateTime outcome:String jobs:JSON error:String
        """),
        _collection("_consumers", "name:String position:Int lost:Boolean created_at:DateTime seen_at:DateTime"),
        _collection("_kv", "key:String value:JSON expires_at:DateTime"),
        _collection("_changes", "seq:Int collection:String op:String id:ID before:JSON after:JSON at:DateTime"),
    )
})  # fmt: skip


def collection_named(name: str, catalog: Catalog | None) -> Collection:
    """The collection of this name; without a catalog, of the system's.

    Raises:
        UnknownCollection: there is none.
    """
    known: Mapping[str, Collection] = SYSTEM if catalog is None else catalog.collections
    if not isinstance(cast("object", name), str):
        raise UnknownCollection("the name of a collection is a text")
    found = known.get(name)
    if found is None:
        raise UnknownCollection(f"no collection named '{name}'", hint=define_hint(name, known))
    return found


def define_hint(name: str, known: Mapping[str, Collection]) -> str:
    """What to type where no collection has this name."""
    found = suggest.hint(name, known)
    return found or f"define it: schema {{ define collection {name} {{ … }} }}"
