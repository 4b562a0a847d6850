"""Jobs that wait for others against a plain model: every status after every step."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_db import Aurora, JobError, ManualClock
from aurora_db.jobs import flow
from aurora_db.jobs.handlers import Cancel

ENDED = ("COMPLETED", "FAILED", "CANCELLED")
BAD = ("FAILED", "CANCELLED")
CALLBACKS = {"on_success": "told", "on_complete": "told", "on_failure": "told"}


class ModelledBatch:
    """A batch of the model."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.jobs: list[Modelled] = []
        self.told: set[str] = set()
        self.finished = False

    def counts(self) -> dict[str, int]:
        """How its jobs ended; one that is deleted before its end counts as cancelled."""
        ended = [job.status for job in self.jobs if job.status in ENDED]
        return {status: ended.count(status) for status in ENDED}

    def look(self) -> None:
        """What is to be told after a step."""
        counts = self.counts()
        self.finished = sum(counts.values()) == len(self.jobs)
        if self.finished:
            self.told.add("on_complete")
        if counts["COMPLETED"] == len(self.jobs):
            self.told.add("on_success")


class Modelled:
    """A job of the model; `waits` are those whose end it waits for."""

    def __init__(self, id: str, after: list[Modelled], policy: str, run_at: float | None) -> None:
        self.id = id
        self.after = after
        self.policy = policy
        self.run_at = run_at
        self.status = "PENDING"
        self.waits: list[Modelled] = []
        self.exists = True
        self.batch: ModelledBatch | None = None


class Model:
    """What must be: each rule in the words of the documentation, one job after the other."""

    def __init__(self) -> None:
        self.now = 0.0
        self.jobs: list[Modelled] = []
        self.batches: list[ModelledBatch] = []

    def enqueue(self, id: str, after: list[Modelled], policy: str, delay: float | None) -> None:
        job = Modelled(id, after, policy, None if delay is None else self.now + delay)
        self.jobs.append(job)
        job.batch = self.batches[-1]
        job.batch.jobs.append(job)
        self.begin(job, [one for one in after if not self.is_over(job, one)])
        if any(one.status in BAD for one in job.waits):
            job.waits = [one for one in job.waits if one.status not in BAD]
            self.end(job, "CANCELLED")

    def is_over(self, job: Modelled, one: Modelled) -> bool:
        """Whether a dependency counts as ended from the beginning."""
        if not one.exists or one.status == "COMPLETED":
            return True
        return one.status in BAD and job.policy == "run"

    def begin(self, job: Modelled, waits: list[Modelled]) -> None:
        job.waits = waits
        if waits:
            job.status = "BLOCKED"
        else:
            self.free(job)

    def free(self, job: Modelled) -> None:
        later = job.run_at is not None and job.run_at > self.now
        job.status = "SCHEDULED" if later else "PENDING"

    def end(self, job: Modelled, status: str) -> None:
        job.status = status
        if status == "FAILED":
            assert job.batch is not None
            job.batch.told.add("on_failure")
        self.follow(job, status)

    def follow(self, job: Modelled, outcome: str) -> None:
        for one in list(self.jobs):
            if job not in one.waits:
                continue
            one.waits.remove(job)
            if one.status != "BLOCKED":
                continue
            if outcome in BAD and one.policy == "cancel":
                self.end(one, "CANCELLED")
            elif not one.waits:
                self.free(one)

    def retry(self, jobs: list[Modelled]) -> None:
        again = [job for job in jobs if job.status in ENDED]
        waits = {
            job.id: [one for one in job.after if one.exists and (one in again or not self.is_over(job, one))]
            for job in again
        }  # fmt: skip
        for job in again:
            job.run_at = None
            self.begin(job, waits[job.id])

    def delete(self, job: Modelled) -> None:
        job.exists = False
        self.jobs.remove(job)
        if job.status not in ENDED:
            job.status = "CANCELLED"
        self.follow(job, job.status)

    def stage(self) -> None:
        for job in self.jobs:
            if job.status == "SCHEDULED" and job.run_at is not None and job.run_at <= self.now:
                job.status = "PENDING"


number = st.integers(0, 9)
ENQUEUE = st.tuples(
    st.just("enqueue"),
    st.lists(number, max_size=3),
    st.sampled_from(["cancel", "cancel", "run"]),
    st.sampled_from([None, None, None, 10.0]),
)
STEPS = st.lists(
    st.one_of(
        ENQUEUE,
        ENQUEUE,
        st.tuples(st.just("work"), st.sampled_from(["complete", "complete", "fail", "cancel"])),
        st.tuples(st.just("cancel"), number),
        st.tuples(st.just("retry"), st.lists(number, min_size=1, max_size=6)),
        st.tuples(st.just("delete"), number),
        st.tuples(st.just("elsewhere"), number, st.sampled_from(ENDED)),
        st.tuples(st.just("wait")),
    ),
    min_size=20,
    max_size=50,
)


class Pair:
    """The database and its model, step by step."""

    def __init__(self, db: Aurora, clock: ManualClock, claim_one: Any) -> None:
        self.db = db
        self.clock = clock
        self.claim_one = claim_one
        self.model = Model()
        self.begin()

    def begin(self) -> None:
        """A batch with one job that nothing follows."""
        with self.db.batch("all", **CALLBACKS) as batch:
            first = batch.enqueue_job("work", 0, retries=1)
        self.model.batches.append(ModelledBatch(batch.id))
        self.model.enqueue(first.id, [], "cancel", None)

    def pick(self, number: int) -> Modelled | None:
        return self.model.jobs[number % len(self.model.jobs)] if self.model.jobs else None

    def enqueue(self, numbers: list[int], policy: str, delay: float | None) -> None:
        after = list({one.id: one for n in numbers if (one := self.pick(n))}.values())
        options: dict[str, Any] = {"after": [one.id for one in after]} if after else {}
        if after:
            options["on_dependency_failure"] = policy
        options.update(retries=1, delay=delay, batch=self.model.batches[-1].id)
        if self.model.batches[-1].finished:
            with pytest.raises(JobError, match="has finished"):
                self.db.enqueue_job("work", 1, **options)
            self.begin()
            options["batch"] = self.model.batches[-1].id
        job = self.db.enqueue_job("work", 1, **options)
        self.model.enqueue(job.id, after, policy, delay)
        assert job.status == self.model.jobs[-1].status

    def work(self, how: str) -> None:
        self.model.stage()
        held = self.claim_one(self.db)
        while held is not None and held.type == "told":
            held.complete()
            held = self.claim_one(self.db)
        first = next((job for job in self.model.jobs if job.status == "PENDING"), None)
        assert (held and held.id) == (first and first.id)
        if held is None or first is None:
            return
        if how == "complete":
            held.complete()
            self.model.end(first, "COMPLETED")
        else:
            held.fail(ValueError("no") if how == "fail" else Cancel("no more"))
            self.model.end(first, "FAILED" if how == "fail" else "CANCELLED")

    def cancel(self, number: int) -> None:
        job = self.pick(number)
        if job is not None:
            assert self.db.cancel_job(job.id) is (job.status not in ENDED)
            if job.status not in ENDED:
                self.model.end(job, "CANCELLED")

    def retry(self, numbers: list[int]) -> None:
        jobs = list({one.id: one for n in numbers if (one := self.pick(n))}.values())
        query = "mutation ($ids: [ID!]!) { retryJob(where: {id: {in: $ids}}) { affected } }"
        self.db.execute(query, {"ids": [job.id for job in jobs]})
        self.model.retry(jobs)

    def sql(self, text: str, *params: Any) -> None:
        """What another program writes, and what the pump does when it has seen it."""

        async def verb(port: Any) -> None:
            await port.change(text, params)
            await flow.resolve(port)

        self.db._engine.write(verb)

    def delete(self, number: int) -> None:
        job = self.pick(number)
        if job is not None:
            self.sql("DELETE FROM _jobs WHERE id = ?", job.id)
            self.model.delete(job)

    def elsewhere(self, number: int, status: str) -> None:
        job = self.pick(number)
        if job is not None and job.status not in ENDED:
            text = "UPDATE _jobs SET status = ?, finished_at = created_at, lease_until = NULL WHERE id = ?"
            self.sql(text, status, job.id)
            self.model.end(job, status)

    def wait(self) -> None:
        self.clock.advance(6.0)
        self.model.now += 6.0

    def compare(self) -> None:
        query = '{ _jobs(where: {type: "work"}) { id status depends_on after } }'
        found = {row["id"]: row for row in self.db.execute(query)["_jobs"]}
        assert {id: row["status"] for id, row in found.items()} == {
            job.id: job.status for job in self.model.jobs
        }
        for job in self.model.jobs:
            assert found[job.id]["after"] == ([one.id for one in job.after] or None)
            assert (found[job.id]["depends_on"] or 0) == len(job.waits)
        for one in self.model.batches:
            one.look()
            batch = self.db.get_batch(one.id)
            assert batch is not None
            assert (batch.completed, batch.failed, batch.cancelled) == tuple(one.counts().values())
            assert (batch.total, batch.finished_at is not None) == (len(one.jobs), one.finished)
        told = self.db.execute('{ _jobs(where: {type: "told"}) { payload } }')["_jobs"]
        assert Counter(row["payload"]["batch"] for row in told) == Counter(
            {one.id: len(one.told) for one in self.model.batches if one.told}
        )


@given(steps=STEPS)
def test_every_job_is_where_the_model_says(steps, claim_one):
    """Whatever is enqueued, ended, cancelled, retried and deleted in whatever order."""
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock()
        path = Path(folder, "model.db")
        with Aurora(path, clock=clock, durability="none") as db:
            pair = Pair(db, clock, claim_one)
            pair.compare()
            for what, *details in steps:
                getattr(pair, what)(*details)
                pair.compare()
