"""A model of limits: which jobs a claim must take, said as plainly as it can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aurora_db.jobs.limits import Limit


@dataclass
class Modelled:
    """A job of the model; `n` is its place in the order of enqueueing."""

    n: int
    id: str
    type: str
    queue: str
    customer: str
    priority: int
    state: str = "waits"
    worker: str = ""
    attempt: int = 0
    crashes: int = 0
    lease: datetime | None = None


@dataclass
class World:
    """All jobs and limits; `starts` are the beginnings that each meter has counted."""

    jobs: dict[str, Modelled] = field(default_factory=dict)
    limits: dict[tuple[str, str], Limit] = field(default_factory=dict)
    starts: dict[tuple[str, str, str], list[datetime]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)

    def meters(self, job: Modelled) -> list[tuple[str, str, str]]:
        """What counts this job."""
        found = []
        for place in (("type", job.type), ("queue", job.queue)):
            limit = self.limits.get(place)
            if limit is not None:
                found.append((*place, job.customer if limit.key else ""))
        return found

    def room(self, meter: tuple[str, str, str], now: datetime) -> bool:
        """Whether one more may begin."""
        limit = self.limits[meter[:2]]
        if limit.concurrency is not None:
            running = [
                one
                for one in self.jobs.values()
                if one.state == "runs" and meter in self.meters(one)
            ]
            if len(running) >= limit.concurrency:
                return False
        if limit.count is not None:
            since = now - timedelta(seconds=limit.period)
            within = [at for at in self.starts.get(meter, []) if at > since]
            if len(within) >= limit.count:
                return False
        return True

    def may_run(self, job: Modelled, now: datetime) -> bool:
        """Whether nothing holds this waiting job back."""
        if job.state != "waits" or job.queue in self.paused:
            return False
        return all(self.room(meter, now) for meter in self.meters(job))

    def begin(self, job: Modelled, now: datetime, worker: str) -> None:
        """It was claimed."""
        for meter in self.meters(job):
            if self.limits[meter[:2]].count is not None:
                self.starts.setdefault(meter, []).append(now)
        job.state, job.worker, job.attempt = "runs", worker, job.attempt + 1
        job.lease = now + timedelta(seconds=30)

    def claim(self, now: datetime, worker: str, count: int) -> list[str]:
        """The ids of the jobs that a claim takes, in their order."""
        taken = []
        for job in sorted(self.jobs.values(), key=lambda one: (-one.priority, one.n)):
            if len(taken) < count and self.may_run(job, now):
                self.begin(job, now, worker)
                taken.append(job.id)
        return taken

    def put(self, place: tuple[str, str], limit: Limit | None) -> None:
        """A limit changes; beginnings count on while its period and its key stay."""
        before = self.limits.pop(place, None)
        if limit is not None:
            self.limits[place] = limit
        same = before is not None and limit is not None
        if not same or (before.period, before.key) != (limit.period, limit.key):
            for meter in [one for one in self.starts if one[:2] == place]:
                del self.starts[meter]
