"""Errors are data: each has its class, its stable code, and a place in one tree."""

from __future__ import annotations

import pytest

import aurora_db
from aurora_db import AqlError, AuroraError, JobError, SchemaError

#: The table of the language, and the classes of the public surface.
CODES = {
    "AqlSyntaxError": "syntax", "UnknownCollection": "unknown_collection", "UnknownField": "unknown_field",
    "UnknownArgument": "unknown_argument", "UnknownOperator": "unknown_operator",
    "UnknownDirective": "unknown_directive", "UnknownType": "unknown_type",
    "UnknownFunction": "unknown_function", "UnknownFragment": "unknown_fragment", "UnknownEnum": "unknown_enum",
    "UndefinedVariable": "undefined_variable", "UnusedVariable": "unused_variable",
    "DuplicateArgument": "duplicate_argument", "DuplicateAlias": "duplicate_alias",
    "FragmentCycle": "fragment_cycle", "MissingArgument": "missing_argument", "TypeMismatch": "type_mismatch",
    "MissingWhere": "missing_where", "SchemaError": "schema", "MigrationError": "migration",
    "HandlerInvalid": "handler_invalid", "ScheduleInvalid": "schedule_invalid", "RulesInvalid": "rules_invalid", "SecurityError": "security", "Unsupported": "unsupported",
    "ValidationError": "validation", "UniqueViolation": "unique_violation",
    "ForeignKeyViolation": "foreign_key_violation", "Conflict": "conflict", "NotFound": "not_found",
    "Unauthenticated": "unauthenticated", "AccessDenied": "access_denied", "Busy": "busy", "Timeout": "timeout",
    "WorkersDisabled": "workers_disabled", "UnknownJobType": "unknown_job_type",
    "PayloadInvalid": "payload_invalid", "LeaseLost": "lease_lost", "JobFailed": "job_failed",
    "JobCancelled": "job_cancelled", "DatabaseCorrupt": "corrupt", "DiskFull": "disk_full",
    "ReadOnly": "read_only", "VersionTooNew": "version_too_new", "DatabaseClosed": "closed",
    "SubscriptionClosed": "closed", "TooLarge": "too_large", "TransactionError": "transaction",
    "MissingDependency": "missing_dependency",
}  # fmt: skip


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_a_class_has_its_code(name, code):
    """Every error of the table can be caught by its class, which is public."""
    kind = getattr(aurora_db, name)
    assert issubclass(kind, AuroraError)
    assert kind.code == code
    assert name in aurora_db.__all__
    assert kind.__doc__


def test_every_error_is_public():
    """None is left that could be raised and not be named."""

    def below(kind: type) -> set[type]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    missing = {
        kind.__name__
        for kind in below(AuroraError)
        if kind.__module__.startswith("aurora_db.") and kind.__name__ not in aurora_db.__all__
    }
    # It tells the façade to run a verb alone, and never comes out.
    assert missing == {"NeedsExclusive"}


def test_who_can_fix_it_is_the_class():
    """Texts, documents, jobs: each has its branch of the tree; three may be tried again."""
    assert issubclass(SchemaError, AqlError)
    assert issubclass(aurora_db.HandlerInvalid, SchemaError)
    assert issubclass(aurora_db.UnknownJobType, JobError)
    assert issubclass(aurora_db.Timeout, TimeoutError)
    assert issubclass(aurora_db.NotFound, LookupError)
    assert issubclass(aurora_db.ValidationError, ValueError)
    retryable = {name for name in CODES if getattr(aurora_db, name).retryable}
    assert retryable == {"Busy", "Timeout", "Conflict"}
