"""Every error a caller may catch, one tree, each with a stable `code`.

    AuroraError                      code, hint, retryable
    ├── AqlError                     line, column, excerpt: the text is at fault
    │   ├── AqlSyntaxError           syntax
    │   ├── UnknownCollection UnknownField UnknownArgument UnknownOperator UnknownDirective
    │   ├── UnknownType UnknownFunction UnknownFragment FragmentCycle UnknownEnum
    │   ├── UndefinedVariable UnusedVariable DuplicateArgument DuplicateAlias MissingArgument
    │   ├── TypeMismatch MissingWhere
    │   ├── SchemaError              a definition is refused
    │   │   ├── HandlerInvalid       … of an event handler
    │   │   └── RulesInvalid ScheduleInvalid
    │   ├── SecurityError            a pattern could run too long
    │   └── Unsupported              a known construct that this version does not have
    ├── ValidationError              (ValueError) a document breaks the schema
    ├── UniqueViolation              a unique value exists already
    ├── Conflict                     another revision than the one demanded
    ├── ForeignKeyViolation          a relation would lead nowhere
    ├── NotFound                     (LookupError) what must be there is not
    ├── MigrationError               a version was changed after it was applied, or comes too late
    ├── JobError
    │   ├── UnknownJobType PayloadInvalid JobFailed JobCancelled LeaseLost WorkersDisabled
    ├── Busy Timeout                 retryable; Timeout is a TimeoutError
    ├── TransactionError AccessDenied Unauthenticated SubscriptionClosed
    ├── MissingDependency            (ImportError) an optional package
    └── DatabaseCorrupt DatabaseClosed VersionTooNew ReadOnly DiskFull TooLarge

Three questions need no string matching: who fixes it (the class), may I retry
(`retryable`), what do I show (`code`, `hint`, `line`, `column`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from aurora_db.base.span import Span

if TYPE_CHECKING:
    from aurora_db.base.records import Job


class AuroraError(Exception):
    """Root of every error of this package.

    `code` is stable and for programs; the message is a lower-case sentence; `hint` is what to
    type next, or None.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={self.code!r}, hint={self.hint!r})"


class AqlError(AuroraError):
    """A text of AQL is refused; nothing of it ran.

    `line` and `column` count from 1; `excerpt` is the line with a caret under the span. All
    three are None where the fault has no place in a text (a builder call, a variable's value).
    """

    code: ClassVar[str] = "aql"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        source: str | None = None,
        span: Span | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.span = None if span is None else span.counted()
        self.line: int | None = None
        self.column: int | None = None
        self.excerpt: str | None = None
        if source is not None and span is not None:
            self._locate(source, span)

    def _locate(self, source: str, span: Span) -> None:
        start = min(span.start, len(source))
        first = source.rfind("\n", 0, start) + 1
        last = source.find("\n", start)
        text = source[first : last if last >= 0 else len(source)]
        self.line = source.count("\n", 0, first) + 1
        self.column = start - first + 1
        width = max(1, min(span.end, first + len(text)) - start)
        shift = max(0, start - first - 80)
        shown = text[shift : shift + 160]
        gutter = str(self.line)
        caret = " " * (start - first - shift) + "^" * min(width, 80)
        self.excerpt = f"{gutter} | {shown}\n{' ' * len(gutter)} | {caret}"

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.excerpt is None else text + "\n  " + self.excerpt.replace("\n", "\n  ")


class AqlSyntaxError(AqlError):
    """The text is not AQL; the message says what was expected."""

    code = "syntax"


class UnknownCollection(AqlError):
    """No collection has this name."""

    code = "unknown_collection"


class UnknownField(AqlError):
    """The collection does not declare this field."""

    code = "unknown_field"


class UnknownArgument(AqlError):
    """The construct takes no such argument."""

    code = "unknown_argument"


class UnknownOperator(AqlError):
    """No operator has this name, or the field's type does not have it."""

    code = "unknown_operator"


class UnknownDirective(AqlError):
    """No directive has this name here."""

    code = "unknown_directive"


class UnknownType(AqlError):
    """No type has this name."""

    code = "unknown_type"


class UnknownFunction(AqlError):
    """No function has this name here."""

    code = "unknown_function"


class UnknownFragment(AqlError):
    """No fragment has this name."""

    code = "unknown_fragment"


class FragmentCycle(AqlError):
    """A fragment holds itself."""

    code = "fragment_cycle"


class UnknownEnum(AqlError):
    """The word is not one of the enum's."""

    code = "unknown_enum"


class UndefinedVariable(AqlError):
    """A variable is not declared, or has no value. `declared` tells that only its value is missing."""

    code = "undefined_variable"
    declared: bool = False


class UnusedVariable(AqlError):
    """A variable is declared, or given, and never used."""

    code = "unused_variable"


class DuplicateArgument(AqlError):
    """An argument, key or variable stands twice."""

    code = "duplicate_argument"


class DuplicateAlias(AqlError):
    """Two results would have one key."""

    code = "duplicate_alias"


class MissingArgument(AqlError):
    """A required argument is absent."""

    code = "missing_argument"


class TypeMismatch(AqlError):
    """A value has another type than its place."""

    code = "type_mismatch"


class MissingWhere(AqlError):
    """Update or delete of everything without `all: true`."""

    code = "missing_where"


class SecurityError(AqlError):
    """A pattern or its cost exceeds a limit."""

    code = "security"


class Unsupported(AqlError):
    """A known construct that this version or engine does not have."""

    code = "unsupported"


class ValidationError(AuroraError, ValueError):
    """A document breaks its schema: `field` is the path, `rule` the broken rule, `value` the value."""

    code = "validation"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        field: str | None = None,
        rule: str | None = None,
        value: object = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.field = field
        self.rule = rule
        self.value = value


class UniqueViolation(AuroraError):
    """A document with this value of a unique field exists already.

    `fields` are the field, or the fields that are unique together; `value` is what was to be written
    there, a tuple for several, None where that is not known.
    """

    code = "unique_violation"

    def __init__(
        self, message: str, *, hint: str | None = None, fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.fields = fields
        self.value: object = None

    def tell(self, values: Sequence[object]) -> None:
        """Say the values of its fields."""
        self.value = values[0] if len(values) == 1 else tuple(values)


class Conflict(AuroraError):
    """A document has another revision than `ifRev` demands; HTTP 409.

    `current` is its revision now, 0 where no such document exists. Retryable: read it again and
    decide anew.
    """

    code = "conflict"
    retryable = True

    def __init__(self, message: str, *, hint: str | None = None, current: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.current = current


class ForeignKeyViolation(AuroraError):
    """A relation would lead nowhere: `fields` hold it, `value` is what they would refer to."""

    code = "foreign_key_violation"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        fields: tuple[str, ...] = (),
        value: object = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.fields = fields
        self.value = value


class NotFound(AuroraError, LookupError):
    """What the verb demands does not exist."""

    code = "not_found"


class SchemaError(AqlError):
    """A definition is refused; the message says what differs or breaks.

    It has a place in the text where the text is at fault. Where documents are, `ids` are those of
    the first of them.
    """

    code = "schema"
    ids: tuple[str, ...] = ()


class HandlerInvalid(SchemaError):
    """The definition of an event handler is refused."""

    code = "handler_invalid"


class RulesInvalid(SchemaError):
    """The definition of rules is refused."""

    code = "rules_invalid"


class ScheduleInvalid(SchemaError):
    """The definition of a schedule is refused."""

    code = "schedule_invalid"


class MigrationError(AuroraError):
    """A migration is refused: an applied version was changed, or one comes too late."""

    code = "migration"


class JobError(AuroraError):
    """Root of what goes wrong with jobs."""

    code = "job"


class UnknownJobType(JobError):
    """No job handler is registered for this type here."""

    code = "unknown_job_type"


class PayloadInvalid(JobError):
    """A payload does not match the type that the job handler declares."""

    code = "payload_invalid"


class JobFailed(JobError):
    """The awaited job ended as FAILED; `job` is its record."""

    code = "job_failed"
    job: Job | None = None


class JobCancelled(JobError):
    """The awaited job ended as CANCELLED; `job` is its record."""

    code = "job_cancelled"
    job: Job | None = None


class LeaseLost(JobError):
    """This attempt is no longer the job's: another worker has it, or it was ended."""

    code = "lease_lost"


class WorkersDisabled(JobError):
    """This process only enqueues; workers were not enabled."""

    code = "workers_disabled"


class Busy(AuroraError):
    """Another process held the database longer than the busy timeout."""

    code = "busy"
    retryable = True


class Timeout(AuroraError, TimeoutError):
    """The operation outlived its deadline; nothing of it was committed."""

    code = "timeout"
    retryable = True


class TransactionError(AuroraError):
    """A transaction is used in a way it does not allow."""

    code = "transaction"


class AccessDenied(AuroraError):
    """The collection may not be written by this caller."""

    code = "access_denied"


class Unauthenticated(AuroraError):
    """Only somebody known may do this, and nobody was named."""

    code = "unauthenticated"


class SubscriptionClosed(AuroraError):
    """The subscription was closed; nothing comes any more."""

    code = "closed"


class MissingDependency(AuroraError, ImportError):
    """An optional package is needed; the hint is the line that installs it."""

    code = "missing_dependency"


class DatabaseCorrupt(AuroraError):
    """The file is not a database of ours, or is damaged."""

    code = "corrupt"


class DatabaseClosed(AuroraError):
    """The database object was closed, or belongs to the parent of a forked process."""

    code = "closed"


class VersionTooNew(AuroraError):
    """The file was written by a newer version of aurora_db."""

    code = "version_too_new"


class ReadOnly(AuroraError):
    """The file or its folder cannot be written."""

    code = "read_only"


class DiskFull(AuroraError):
    """No room is left; nothing of the operation was committed."""

    code = "disk_full"


class TooLarge(AuroraError):
    """A value exceeds a limit."""

    code = "too_large"
