"""aurora_db: documents, live queries, event handlers and durable jobs in one file and one transaction.

    from aurora_db import Aurora

    db = Aurora("shop.db", workers_enabled=True)
    db.execute('''schema { define collection products { name: String!  image_url: String } }''')
    db.execute('''define handler "auto_thumbnail" {
        on: "insert:products"
        action: { enqueueJob(type: "process_image", payload: { path: "${image_url}" }) }
    }''')

    @db.job("process_image", retries=5)
    def process_image(payload):
        print("resizing", payload["path"])

    db["products"].insert({"name": "Cat", "image_url": "/uploads/cat.jpg"})

The insert, its change and the job commit together; the job survives `kill -9`.
"""

from __future__ import annotations

from aurora_db.aio import AsyncAurora, AsyncTransaction
from aurora_db.aio_collection import AsyncCollection
from aurora_db.aio_kv import AsyncKeyValues
from aurora_db.aio_live import AsyncSubscription
from aurora_db.aio_query import AsyncQuery
from aurora_db.aio_topics import AsyncTopicSubscription
from aurora_db.aql.builder import Condition, F
from aurora_db.base.changes import (
    Added,
    Change,
    Consumer,
    Message,
    Modified,
    Removed,
    Reset,
)
from aurora_db.base.clock import Clock, ManualClock, SystemClock
from aurora_db.base.errors import (
    AccessDenied,
    AqlError,
    AqlSyntaxError,
    AuroraError,
    Busy,
    Conflict,
    DatabaseClosed,
    DatabaseCorrupt,
    DiskFull,
    DuplicateAlias,
    DuplicateArgument,
    ForeignKeyViolation,
    FragmentCycle,
    HandlerInvalid,
    JobCancelled,
    JobError,
    JobFailed,
    LeaseLost,
    MigrationError,
    MissingArgument,
    MissingDependency,
    MissingWhere,
    NotFound,
    PayloadInvalid,
    ReadOnly,
    RulesInvalid,
    ScheduleInvalid,
    SchemaError,
    SecurityError,
    SubscriptionClosed,
    Timeout,
    TooLarge,
    TransactionError,
    TypeMismatch,
    Unauthenticated,
    UndefinedVariable,
    UniqueViolation,
    UnknownArgument,
    UnknownCollection,
    UnknownDirective,
    UnknownEnum,
    UnknownField,
    UnknownFragment,
    UnknownFunction,
    UnknownJobType,
    UnknownOperator,
    UnknownType,
    Unsupported,
    UnusedVariable,
    ValidationError,
    VersionTooNew,
    WorkersDisabled,
)
from aurora_db.base.records import (
    Batch,
    Explanation,
    ImportFailure,
    ImportReport,
    Job,
    MigrationResult,
    Priority,
    Problem,
    WorkerStats,
)
from aurora_db.collection import Collection
from aurora_db.config import AuroraConfig
from aurora_db.database import Aurora, Transaction
from aurora_db.database_kv import KeyValues
from aurora_db.database_live import Subscription
from aurora_db.database_query import Query
from aurora_db.database_topics import TopicSubscription
from aurora_db.jobs.context import JobContext
from aurora_db.jobs.handlers import Cancel, Fail, JobHandler, Jobs, Retry, Snooze
from aurora_db.jobs.membership import JobBatch
from aurora_db.jobs.planning import BatchBlock, FlowBlock, PlannedJob
from aurora_db.jobs.schedule import Schedule
from aurora_db.jobs.unique import Unique

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "Added",
    "AqlError",
    "AqlSyntaxError",
    "AsyncAurora",
    "AsyncCollection",
    "AsyncKeyValues",
    "AsyncQuery",
    "AsyncSubscription",
    "AsyncTopicSubscription",
    "AsyncTransaction",
    "Aurora",
    "AuroraConfig",
    "AuroraError",
    "Batch",
    "BatchBlock",
    "Busy",
    "Cancel",
    "Change",
    "Clock",
    "Collection",
    "Condition",
    "Conflict",
    "Consumer",
    "DatabaseClosed",
    "DatabaseCorrupt",
    "DiskFull",
    "DuplicateAlias",
    "DuplicateArgument",
    "Explanation",
    "F",
    "Fail",
    "FlowBlock",
    "ForeignKeyViolation",
    "FragmentCycle",
    "HandlerInvalid",
    "ImportFailure",
    "ImportReport",
    "Job",
    "JobBatch",
    "JobCancelled",
    "JobContext",
    "JobError",
    "JobFailed",
    "JobHandler",
    "Jobs",
    "KeyValues",
    "LeaseLost",
    "ManualClock",
    "Message",
    "MigrationError",
    "MigrationResult",
    "MissingArgument",
    "MissingDependency",
    "MissingWhere",
    "Modified",
    "NotFound",
    "PayloadInvalid",
    "PlannedJob",
    "Priority",
    "Problem",
    "Query",
    "ReadOnly",
    "Removed",
    "Reset",
    "Retry",
    "RulesInvalid",
    "Schedule",
    "ScheduleInvalid",
    "SchemaError",
    "SecurityError",
    "Snooze",
    "Subscription",
    "SubscriptionClosed",
    "SystemClock",
    "Timeout",
    "TooLarge",
    "TopicSubscription",
    "Transaction",
    "TransactionError",
    "TypeMismatch",
    "Unauthenticated",
    "UndefinedVariable",
    "Unique",
    "UniqueViolation",
    "UnknownArgument",
    "UnknownCollection",
    "UnknownDirective",
    "UnknownEnum",
    "UnknownField",
    "UnknownFragment",
    "UnknownFunction",
    "UnknownJobType",
    "UnknownOperator",
    "UnknownType",
    "Unsupported",
    "UnusedVariable",
    "ValidationError",
    "VersionTooNew",
    "WorkerStats",
    "WorkersDisabled",
    "__version__",
]
