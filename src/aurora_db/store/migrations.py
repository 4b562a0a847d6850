"""Migrations of what is stored: versions, each applied exactly once, in a transaction of its own.

(The format of the file itself is another matter: `migrate.py`.) Whether a version is to be applied is
decided inside its transaction, so of two processes one applies it and the other one skips it; a
process that is killed leaves whole versions, and the next one goes on after them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from aurora_db.aql import migrations, plan, syntax
from aurora_db.base.codec import timestamp
from aurora_db.base.errors import AqlError, AuroraError, MigrationError
from aurora_db.base.records import MigrationResult
from aurora_db.store import data_migration
from aurora_db.store.port import Port, Verb

HISTORY = "SELECT version, checksum FROM _migrations ORDER BY rowid"
KEEP = """
    INSERT INTO _migrations (version, checksum, status, applied_at, statements)
    VALUES (?, ?, 'applied', ?, ?)
"""

#: Resolves one definition against what the transaction sees, and runs it.
Define = Callable[[Port, str, syntax.Definition], Awaitable[Any]]


class Outcome(dict[str, Any]):
    """The result of a `migrate` block; `steps_applied` reads as `stepsApplied`."""

    def __missing__(self, key: str) -> Any:
        if key == "steps_applied":
            return self["stepsApplied"]
        raise KeyError(key)


class Migration:
    """One execution of a migration, as stages: first all is judged, then a version at a time.

    Args:
        versions: in the order in which they run.
        define: runs one definition.
        dry_run: run all of them in one transaction, and roll back.
    """

    def __init__(
        self, versions: Sequence[plan.MigrateVersion], define: Define, *, dry_run: bool
    ) -> None:
        self._define = define
        self._results: list[MigrationResult] = []
        self._waiting = list(versions)
        self._dry_run = dry_run
        #: The applied ones of before, once all was judged.
        self._applied: frozenset[str] | None = None

    def next(self) -> Verb[Any] | None:
        """The next version that may have to be applied."""
        if self._applied is None:
            return partial(_judge_all, self._waiting)
        while self._waiting and self._waiting[0].name in self._applied:
            skipped = self._waiting.pop(0)
            self._results.append(MigrationResult(version=skipped.name, status="skipped"))
        if not self._waiting:
            return None
        count = len(self._waiting) if self._dry_run else 1
        versions, self._waiting = self._waiting[:count], self._waiting[count:]
        return partial(self._all, versions) if self._dry_run else partial(self._one, versions[0])

    def take(self, result: frozenset[str] | list[MigrationResult]) -> None:
        """A version is committed, or all were judged."""
        if isinstance(result, frozenset):
            self._applied = result
        else:
            self._results += result

    def result(self) -> Outcome:
        """`{version, stepsApplied, status, versions}`."""
        applied = sum(one.status == "applied" for one in self._results)
        return Outcome(
            version=self._results[-1].version if self._results else None,
            stepsApplied=applied,
            status="applied" if applied else "skipped",
            versions=[{"version": one.version, "status": one.status} for one in self._results],
        )

    @property
    def results(self) -> list[MigrationResult]:
        """One record for each version, in order."""
        return self._results

    async def _all(
        self, versions: Sequence[plan.MigrateVersion], port: Port
    ) -> list[MigrationResult]:
        """Run every version and undo it all."""
        before = port.catalog
        await port.script("SAVEPOINT dry_run")
        results: list[MigrationResult] = []
        for version in versions:
            results += await self._one(version, port)
        await port.script("ROLLBACK TO dry_run")
        await port.script("RELEASE dry_run")
        port.catalog = before
        return results

    async def _one(self, version: plan.MigrateVersion, port: Port) -> list[MigrationResult]:
        """Apply a version, or skip it."""
        if not _judge(await _history(port), version):
            return [MigrationResult(version=version.name, status="skipped")]
        steps = migrations.steps(version)
        for step in steps:
            try:
                await self._step(port, version, step)
            except AuroraError as error:
                raise _placed(error, version) from error.__cause__
        now = timestamp(port.now())
        await port.change(KEEP, (version.name, version.checksum, now, version.text))
        return [MigrationResult(version=version.name, status="applied", steps=len(steps))]

    async def _step(
        self, port: Port, version: plan.MigrateVersion, step: syntax.MigrationStep
    ) -> None:
        if isinstance(step, syntax.DataMigration):
            for update in migrations.data(step, version.source, port.catalog):
                await data_migration.run(port, update)
        else:
            await self._define(port, version.source, step)


def _placed(error: AuroraError, version: plan.MigrateVersion) -> AuroraError:
    """The error with the version, and the file, in which it happened."""
    where = f"version '{version.name}'"
    if version.file is not None:
        where = f"'{version.file}', {where}"
    if isinstance(error, AqlError):
        error.message = f"{error.message} (in {where})"
    error.add_note(f"in {where} of the migration; nothing of this version was applied")
    return error


async def _history(port: Port) -> Mapping[str, str]:
    """The applied versions and their checksums, the oldest first."""
    return dict(await port.rows(HISTORY))


async def _judge_all(versions: Sequence[plan.MigrateVersion], port: Port) -> frozenset[str]:
    """Refuse before anything runs what would be refused in the middle; those applied already."""
    history = dict(await _history(port))
    applied = [one.name for one in versions if one.name in history]
    for n, version in enumerate(versions):
        later = [one.name for one in versions[n + 1 :] if one.name in applied]
        if _judge(history, version, written_before=later[0] if later else None):
            history[version.name] = version.checksum
    return frozenset(applied)


def _judge(
    history: Mapping[str, str], version: plan.MigrateVersion, written_before: str | None = None
) -> bool:
    """Whether a version is to be applied; False where it is already.

    Raises:
        MigrationError: its text has changed since, or a newer one is applied and it is not.
    """
    known = history.get(version.name)
    if known is not None:
        if known != version.checksum:
            raise MigrationError(
                f"version '{version.name}' was applied with another text",
                hint="leave applied versions as they are, and write a new one; _migrations has the text",
            )
        return False
    newer = next((one for one in history if migrations.is_older(version.name, one)), written_before)
    if newer is not None:
        raise MigrationError(
            f"version '{version.name}' is older than '{newer}', which is applied, and was not applied itself",
            hint="give it a newer version, after all that are applied",
        )
    return True
