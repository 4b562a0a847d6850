"""Texts and what they mean: resolved and made ready to run once, then kept.

What understands and runs them is loaded with the first text: programs without AQL do without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from aurora_db.aql.catalog import Catalog
from aurora_db.aql.values import bind, named
from aurora_db.base.codec import encode
from aurora_db.base.errors import NotFound, TypeMismatch, Unsupported, UnusedVariable
from aurora_db.base.records import CacheCounts
from aurora_db.store.port import Port
from aurora_db.store.recent import Recent
from aurora_db.store.scope import JobVerbs, Runner, Scope
from aurora_db.store.stages import Stages

if TYPE_CHECKING:
    from aurora_db.aql import plan
    from aurora_db.store.documents import Document
    from aurora_db.store.migrations import Migration
    from aurora_db.store.runners import Runners

#: Texts whose plans are kept, and their characters together: a plan is some ten times its text.
KEPT = 1_000
KEPT_SIZE = 4 * 1024 * 1024


class Prepared(msgspec.Struct, frozen=True):
    """One operation, ready to run as often as wanted.

    `bounded`: short enough to run on an event loop. `single`: one statement, which needs no
    read transaction around it. `exclusive`: it runs alone, with foreign keys off. `stages`: it is
    several transactions, and has no runners.
    """

    operation: plan.Operation
    runners: tuple[tuple[str, Runner], ...]
    bounded: bool
    single: bool
    exclusive: bool = False
    stages: Callable[[], Stages] | None = None

    async def execute(self, port: Port, variables: Mapping[str, Any]) -> Any:
        """The result of the operation, with `_explain` where it asks for that."""
        if not self.operation.explain:
            return await self.run(port, variables)
        from aurora_db.store import explain  # noqa: PLC0415 - operations seldom ask for it

        result, how = await explain.noted(self, port, variables)
        return {**result, "_explain": explain.shown(how)}

    async def run(self, port: Port, variables: Mapping[str, Any]) -> Any:
        """The result of the operation: an object of its roots, or the one root's own."""
        if self.stages is not None:
            return await _at_once(self.stages(), port)
        scope = Scope(variables)
        results: Document = {}
        for key, runner in self.runners:
            result = await runner(port, scope)
            if self.operation.bare:
                return result
            results[key] = scope.results[key] = result
        return results


class Plans:
    """Texts and what they mean, by exact text; an entry dies with its catalog version."""

    def __init__(self, jobs: JobVerbs) -> None:
        self._jobs = jobs
        self._runners: Runners | None = None
        self._kept: Recent[str, tuple[int, tuple[Prepared, ...]]] = Recent(KEPT, KEPT_SIZE)
        self._shaped: Recent[tuple[str, int, str], tuple[int, Prepared]] = Recent(KEPT, KEPT_SIZE)

    def prepare(self, text: str, catalog: Catalog) -> tuple[Prepared, ...]:
        """The operations of `text`, resolved against `catalog`.

        Raises:
            AqlError: the text is refused; nothing ran.
        """
        if not isinstance(cast("object", text), str):
            raise TypeMismatch("a text of AQL is a str")
        kept = self._kept.get(text)
        if kept is not None and kept[0] == catalog.version:
            return kept[1]
        from aurora_db.aql import parser, resolve  # noqa: PLC0415 - see the head of this room

        meant = resolve.resolve(parser.parse(text), text, catalog)
        prepared = tuple(map(self.runners.operation, meant.operations))
        self._kept.put(text, (catalog.version, prepared), len(text))
        return prepared

    def ready(
        self, text: str, index: int, catalog: Catalog, variables: Mapping[str, Any]
    ) -> Prepared:
        """One operation of `text` as it runs with these values of its variables.

        Raises:
            AqlError: a value does not fit its place.
        """
        kept = self._kept.get(text)
        version, prepared = kept or (catalog.version, self.prepare(text, catalog))
        checked = prepared[index]
        operation = checked.operation
        if version == catalog.version and not operation.shaped:
            return checked
        shaping = {name: variables.get(name) for name in operation.shaping}
        key = (text, index, encode(shaping))
        shaped = self._shaped.get(key)
        if shaped is not None and shaped[0] == catalog.version:
            return shaped[1]
        from aurora_db.aql import parser, resolve  # noqa: PLC0415 - as above

        known = variables if operation.shaped else None
        one = resolve.resolve_one(parser.parse(text), text, catalog, index, known)
        made = self.runners.operation(one)
        self._shaped.put(key, (catalog.version, made), len(text) + len(key[2]))
        return made

    def check(
        self, text: str, wanted: Sequence[tuple[int, Prepared]], bound: Sequence[Mapping[str, Any]], catalog: Catalog
    ) -> None:  # fmt: skip
        """Refuse what no place of the operations can have, of those before any definition.

        Raises:
            AqlError: a value does not fit its place.
        """
        from aurora_db.aql import plan  # noqa: PLC0415 - as above

        for _, one in wanted:
            if one.operation.kind == "subscription":
                raise Unsupported(
                    "the text holds a subscription, which goes on: it is followed, not executed",
                    hint="db.stream(text, operation=…) follows it; execute the others by operation=",
                )
        for (index, one), values in zip(wanted, bound, strict=True):
            roots = one.operation.roots
            if one.operation.bare or any(isinstance(root, plan.DefineSchema) for root in roots):
                return
            self.ready(text, index, catalog, values)

    def stats(self) -> CacheCounts:
        """Of the texts whose plans are kept."""
        kept = self._kept
        return CacheCounts(
            items=len(kept), bytes=kept.size, hits=kept.hits, misses=kept.misses, evictions=kept.evictions
        )  # fmt: skip

    @property
    def runners(self) -> Runners:
        """What makes plans ready to run."""
        if self._runners is None:
            from aurora_db.store.runners import Runners  # noqa: PLC0415 - as above

            self._runners = Runners(self._jobs)
        return self._runners

    def runner(self, part: plan.Part) -> Runner:
        """What runs one part of a mutation."""
        return self.runners.runner(part)

    def migration(self, block: plan.Migrate) -> Migration:
        """The stages of a migration."""
        return self.runners.migration(block)


async def _at_once(stages: Stages, port: Port) -> Any:
    """All stages in one transaction, for who asks how an operation runs."""
    verb = stages.next()
    while verb is not None:
        stages.take(await verb(port))
        verb = stages.next()
    return stages.result()


# --- texts ----------------------------------------------------------------------------------


def chosen(prepared: Sequence[Prepared], name: str | None) -> Sequence[tuple[int, Prepared]]:
    """The operations to run with their places: all in order, or the one called `name`.

    Raises:
        NotFound: no operation of the text has this name.
    """
    if name is None:
        return tuple(enumerate(prepared))
    for index, one in enumerate(prepared):
        if one.operation.name == name:
            return ((index, one),)
    names = ", ".join(f"'{one.operation.name}'" for one in prepared if one.operation.name)
    raise NotFound(
        f"no operation named '{name}' in the text", hint=f"it has {names or 'no named one'}"
    )


def only(
    ready: Sequence[tuple[int, Prepared, Mapping[str, Any]]],
) -> tuple[int, Prepared, Mapping[str, Any]]:
    """The one operation of a text.

    Raises:
        NotFound: there are several.
    """
    if len(ready) != 1:
        raise NotFound(
            f"the text has {len(ready)} operations, one is explained at a time",
            hint="choose one by operation=",
        )
    return ready[0]


def variables_of(
    operations: Sequence[Prepared], given: Mapping[str, Any] | None, text: str | None = None
) -> list[dict[str, Any]]:
    """The checked variables of each operation of `text`, defaults applied, before anything runs.

    Raises:
        UndefinedVariable, UnusedVariable, TypeMismatch: a variable is missing, unknown or of
            another type than declared.
    """
    if len(operations) == 1:
        return [bind(operations[0].operation, given, text)]
    given = named(given)
    known = {one.name for each in operations for one in each.operation.variables}
    unused = sorted(set(given) - known)
    if unused:
        raise UnusedVariable(f"no operation of the text declares the variable '${unused[0]}'")
    bound: list[dict[str, Any]] = []
    for each in operations:
        own = {one.name for one in each.operation.variables}
        mine = {name: value for name, value in given.items() if name in own}
        bound.append(bind(each.operation, mine, text))
    return bound


async def look(port: Port) -> None:
    """Read anything, so that definitions of other processes are noticed."""
    await port.row("SELECT 1 FROM _settings LIMIT 1")
