"""The life of a job as one table. The CHECKs of `store/system.sql` know the same statuses."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from aurora_db.base.records import Status


class Event(StrEnum):
    """What happens to a job."""

    STAGE = "stage"
    FREE = "free"
    CLAIM = "claim"
    COMPLETE = "complete"
    RETRY = "retry"
    FAIL = "fail"
    SNOOZE = "snooze"
    CANCEL = "cancel"
    RESCUE = "rescue"
    RELEASE = "release"
    REVIVE = "revive"


TRANSITIONS: Final[Mapping[Status, Mapping[Event, Status]]] = {
    Status.SCHEDULED: {Event.STAGE: Status.PENDING, Event.CANCEL: Status.CANCELLED},
    Status.BLOCKED: {Event.FREE: Status.PENDING, Event.CANCEL: Status.CANCELLED},
    Status.PENDING: {Event.CLAIM: Status.RUNNING, Event.CANCEL: Status.CANCELLED},
    Status.RUNNING: {
        Event.COMPLETE: Status.COMPLETED,
        Event.RETRY: Status.SCHEDULED,
        Event.FAIL: Status.FAILED,
        Event.SNOOZE: Status.SCHEDULED,
        Event.CANCEL: Status.CANCELLED,
        Event.RESCUE: Status.PENDING,
        Event.RELEASE: Status.PENDING,
    },
    Status.COMPLETED: {Event.REVIVE: Status.PENDING},
    Status.FAILED: {Event.REVIVE: Status.PENDING},
    Status.CANCELLED: {Event.REVIVE: Status.PENDING},
}
