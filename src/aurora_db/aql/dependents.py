"""What stands on the collections: handlers, schedules and rules that a change of schema may break."""

from __future__ import annotations

from aurora_db.aql import handlers, rules, schedules
from aurora_db.aql.catalog import Catalog
from aurora_db.base.errors import AuroraError, SchemaError


def check(catalog: Catalog) -> None:
    """See whether every stored definition fits the catalog as it shall be.

    Raises:
        SchemaError: one does not; it is named, with what is missing.
    """
    for handler in catalog.handlers.values():
        try:
            handlers.triggers_of(handler, catalog)
        except AuroraError as error:
            raise _broken("event handler", handler.name, error) from error
    for schedule in catalog.schedules.values():
        try:
            schedules.actions_of(schedule, catalog)
        except AuroraError as error:
            raise _broken("schedule", schedule.name, error) from error
    for name, one in catalog.rules.items():
        if name not in catalog.collections:
            continue  # They go with their collection.
        try:
            rules.check(one, catalog.collections[name])
        except AuroraError as error:
            raise _broken("rules", name, error, "define the rules anew") from error


def _broken(kind: str, name: str, error: AuroraError, hint: str | None = None) -> SchemaError:
    what = f"the rules of '{name}'" if kind == "rules" else f"the {kind} '{name}'"
    return SchemaError(
        f"this change would break {what}: {error.message}",
        hint=hint or f'drop it first, or replace it: drop {kind.rsplit(maxsplit=1)[-1]} "{name}"',
    )
