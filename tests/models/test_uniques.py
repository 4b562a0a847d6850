"""Unique jobs under many who want them: at no time are two jobs of a key there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aurora_db import Aurora, Unique, UniqueViolation
from aurora_db.base.clock import ManualClock

sys.path.insert(0, str(Path(__file__).parent))

import uniques

COUNT = 60


def history(db):
    """For each key what its jobs did in the order of the feed: +1 begun, -1 ended."""
    jobs = db.execute("{ _jobs { id unique_key } }")["_jobs"]
    keys = {job["id"]: job["unique_key"] for job in jobs}
    feed = db.execute(
        '{ _changes(where: {collection: "_jobs"}, orderBy: {seq: ASC}) { id op after } }'
    )["_changes"]
    told: list[tuple[str, int]] = []
    for change in feed:
        if change["op"] == "insert":
            told.append((keys[change["id"]], 1))
        elif change["after"]["status"] == "CANCELLED":
            told.append((keys[change["id"]], -1))
    return told


def agree(db, seen):
    """Never two jobs of a key at once, and each job is new to one caller alone."""
    there: Counter[str] = Counter()
    for key, step in history(db):
        there[key] += step
        assert there[key] in (0, 1), key
    new = [id for id, _, is_new in seen if is_new]
    jobs = {
        job["id"]: job["unique_key"] for job in db.execute("{ _jobs { id unique_key } }")["_jobs"]
    }
    assert sorted(new) == sorted(jobs)
    assert {id: key for id, key, _ in seen} == jobs
    waiting = db.execute("{ _jobs(where: {finished_at: null}) { unique_key } }")["_jobs"]
    assert len(waiting) == len({job["unique_key"] for job in waiting})
    assert db.check() == []


def test_eight_threads(path):
    """One, many, in transactions that are rolled back or not, and by texts."""
    seen: list[tuple[str, str, bool]] = []
    with Aurora(path) as db:
        together = threading.Barrier(8)

        def write(seed):
            together.wait(30)
            seen.extend(uniques.run(db, seed, COUNT))

        threads = [threading.Thread(target=write, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        agree(db, seen)


@pytest.mark.crash
def test_four_processes(path):
    """The same under processes, each with its own connection."""
    Aurora(path).close()
    running = [
        subprocess.Popen(
            [sys.executable, uniques.__file__, str(path), str(seed), str(COUNT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for seed in (100, 101, 102, 103)
    ]
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    outputs = [one.communicate(timeout=120)[0] for one in running]
    assert [one.returncode for one in running] == [0, 0, 0, 0]
    with Aurora(path) as db:
        agree(db, [tuple(one) for output in outputs for one in json.loads(output)])


# --- one caller, every rule -------------------------------------------------------------------

EVERY = ("SCHEDULED", "BLOCKED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")
ENDED = ("COMPLETED", "FAILED", "CANCELLED")


class Modelled:
    """A job as the model knows it."""

    def __init__(self, key, payload, status, run_at, statuses, until):
        self.key = key
        self.payload = payload
        self.status = status
        self.run_at = run_at
        self.statuses = statuses
        self.until = until


class Uniques(RuleBasedStateMachine):
    """Enqueue by any rule, end, run again, let time pass; the database is as the model says."""

    @initialize()
    def open(self):
        self.clock = ManualClock()
        self.db = Aurora(":memory:", clock=self.clock)
        self.jobs: dict[str, Modelled] = {}
        self.holders: dict[str, str] = {}
        self.payload = 0

    def teardown(self):
        self.db.close()

    def counts(self, id):
        """Whether a job is in the way of others by its own rule."""
        job = self.jobs[id]
        over = job.until is not None and job.until <= self.clock.now().timestamp()
        return job.status in job.statuses and not over

    def one(self, key, rule, delay):
        """What the model does for one request; the job that it ends at, and whether it is new."""
        self.payload += 1
        now = self.clock.now().timestamp()
        run_at = None if delay is None else now + delay
        holder = self.holders.get(key)
        if holder is not None and self.counts(holder):
            job = self.jobs[holder]
            if job.status in ("PENDING", "SCHEDULED"):
                if rule.on_conflict == "replace":
                    job.payload = self.payload
                moves = rule.on_conflict == "reschedule" or (
                    rule.on_conflict == "replace" and delay is not None
                )
                if moves:
                    job.status = "SCHEDULED" if delay else "PENDING"
                    job.run_at = run_at if delay else None
            return holder
        until = None if rule.period is None else now + rule.period
        self.fresh = Modelled(
            key, self.payload, "SCHEDULED" if delay else "PENDING", run_at if delay else None,
            tuple(rule.statuses), until,
        )  # fmt: skip
        return None

    @rule(
        keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
        statuses=st.one_of(
            st.just(("SCHEDULED", "BLOCKED", "PENDING", "RUNNING")),
            st.lists(st.sampled_from(EVERY), min_size=1, unique=True),
        ),
        period=st.sampled_from((None, None, 50)),
        on_conflict=st.sampled_from(("keep", "replace", "reschedule")),
        delay=st.sampled_from((None, None, 0, 10)),
    )
    def enqueue(self, keys, statuses, period, on_conflict, delay):
        """Several at once, the same key more than once, are as one after the other."""
        asked = Unique(key="${k}", statuses=statuses, period=period, on_conflict=on_conflict)
        payloads = [{"k": key, "n": self.payload + place} for place, key in enumerate(keys, 1)]
        made = self.db.enqueue_jobs("t", payloads, unique=asked, delay=delay)
        for job, key in zip(made, keys, strict=True):
            there = self.one(key, asked, delay)
            assert job.conflict is (there is not None)
            if there is None:
                assert job.id not in self.jobs
                self.jobs[job.id] = self.fresh
                self.holders[key] = job.id
            else:
                assert job.id == there

    @rule(number=st.integers(0, 50), how=st.sampled_from(("cancel", "retry")))
    def end_or_run_again(self, number, how):
        """A job that has ended runs again unless another one that counts has its key."""
        if not self.jobs:
            return
        id = list(self.jobs)[number % len(self.jobs)]
        job = self.jobs[id]
        if how == "cancel":
            assert self.db.cancel_job(id) is (job.status not in ENDED)
            job.status = job.status if job.status in ENDED else "CANCELLED"
            return
        holder = self.holders[job.key]
        if job.status in ENDED and holder != id and self.counts(holder):
            with pytest.raises(UniqueViolation):
                self.db.retry_job(id)
            return
        assert self.db.retry_job(id) is (job.status in ENDED)
        if job.status in ENDED:
            if holder != id:
                # It takes the key over as it is.
                job.statuses, job.until = self.jobs[holder].statuses, self.jobs[holder].until
                self.holders[job.key] = id
            job.status, job.run_at = "PENDING", None

    @rule(seconds=st.sampled_from((1, 9, 10, 50)))
    def pass_time(self, seconds):
        """Periods end."""
        self.clock.advance(seconds)

    @invariant()
    def the_database_is_as_the_model(self):
        """Every job, its status, its time and its payload."""
        found = self.db.execute("{ _jobs { id status payload run_at } }")["_jobs"]
        assert {
            job["id"]: (
                job["status"], job["payload"]["n"],
                job["run_at"] and job["run_at"].timestamp(),
            )
            for job in found
        } == {id: (job.status, job.payload, job.run_at) for id, job in self.jobs.items()}  # fmt: skip


TestUniques = Uniques.TestCase
TestUniques.settings = settings(stateful_step_count=30, deadline=None)
