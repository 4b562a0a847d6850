"""The life of a job as one table: which event leads from which status to which.

The CHECKs of `store/system.sql` know the same statuses, `docs/jobs/life.md` is drawn from here by
`tools/docs.py`, and the state machine of the tests holds every change of status against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from aurora_db.base.records import Status


class Event(StrEnum):
    """What happens to a job."""

    STAGE = "stage"
    FREE = "free"
    DEFER = "defer"
    BLOCK = "block"
    CLAIM = "claim"
    COMPLETE = "complete"
    RETRY = "retry"
    FAIL = "fail"
    SNOOZE = "snooze"
    CANCEL = "cancel"
    RESCUE = "rescue"
    RELEASE = "release"
    REVIVE = "revive"
    WAIT = "wait"
    RESCHEDULE = "reschedule"


TRANSITIONS: Final[Mapping[Status, Mapping[Event, Status]]] = {
    Status.SCHEDULED: {Event.STAGE: Status.PENDING, Event.CANCEL: Status.CANCELLED},
    Status.BLOCKED: {
        Event.FREE: Status.PENDING,
        Event.DEFER: Status.SCHEDULED,
        Event.CANCEL: Status.CANCELLED,
    },
    Status.PENDING: {
        Event.CLAIM: Status.RUNNING,
        Event.BLOCK: Status.BLOCKED,
        Event.RESCHEDULE: Status.SCHEDULED,
        Event.CANCEL: Status.CANCELLED,
    },
    Status.RUNNING: {
        Event.COMPLETE: Status.COMPLETED,
        Event.RETRY: Status.SCHEDULED,
        Event.FAIL: Status.FAILED,
        Event.SNOOZE: Status.SCHEDULED,
        Event.CANCEL: Status.CANCELLED,
        Event.RESCUE: Status.PENDING,
        Event.RELEASE: Status.PENDING,
    },
    Status.COMPLETED: {Event.REVIVE: Status.PENDING, Event.WAIT: Status.BLOCKED},
    Status.FAILED: {Event.REVIVE: Status.PENDING, Event.WAIT: Status.BLOCKED},
    Status.CANCELLED: {Event.REVIVE: Status.PENDING, Event.WAIT: Status.BLOCKED},
}

#: The statuses that a job may begin with, and when.
BORN: Final[Mapping[Status, str]] = {
    Status.PENDING: "enqueued to run as soon as it may",
    Status.SCHEDULED: "enqueued for a later time",
    Status.BLOCKED: "enqueued after jobs that have not ended",
    Status.FAILED: "refused: it would only continue a chain of causes without end",
}

#: What each status means.
MEANING: Final[Mapping[Status, str]] = {
    Status.SCHEDULED: "waits for its time: a delay, a snooze, or the back-off after a failed attempt",
    Status.BLOCKED: "waits for other jobs, or for a limit of its key",
    Status.PENDING: "may be claimed",
    Status.RUNNING: "claimed: attempt n, held by a worker until its lease ends",
    Status.COMPLETED: "the handler returned",
    Status.FAILED: "its attempts are used up, or it failed for good, or its worker died too often",
    Status.CANCELLED: "a person, its handler or a policy stopped it",
}

#: What happens to a job, in words.
HAPPENS: Final[Mapping[Event, str]] = {
    Event.STAGE: "its time has come",
    Event.FREE: "what it waited for has ended, or the limit has room",
    Event.DEFER: "the same, but its own time lies ahead",
    Event.BLOCK: "the limit of its key has no room",
    Event.CLAIM: "a worker takes it",
    Event.COMPLETE: "the handler returns, or `job.completing()` commits",
    Event.RETRY: "the attempt fails, and others are left",
    Event.FAIL: "the last attempt fails, `Fail`, or the third death of its worker",
    Event.SNOOZE: "`Snooze`, `job.sleep`",
    Event.CANCEL: "`cancel_job`, `Cancel`, or a job that it waits for failed",
    Event.RESCUE: "its worker died or lost the lease",
    Event.RELEASE: "its worker stops gracefully; counts nothing",
    Event.REVIVE: "`retry_job`: a new run",
    Event.WAIT: "`retry_job` while jobs that it waits for have not completed",
    Event.RESCHEDULE: "a unique job is given another time",
}

#: Where a job is that has not ended, and where one is that has: it may only run once more by hand.
WAITING: Final = tuple(status for status, ways in TRANSITIONS.items() if Event.CANCEL in ways)
ENDED: Final = tuple(status for status, ways in TRANSITIONS.items() if Event.REVIVE in ways)
