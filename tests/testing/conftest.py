"""A small shop whose jobs the tests of this folder run: every kind of handler once."""

from __future__ import annotations

import asyncio

import pytest

from aurora_db import Cancel, Fail, Jobs, Retry, Snooze

#: A project of its own, run by `test_sample.py`.
collect_ignore = ["sample"]

SCHEMA = """
schema { define collection effects { job: ID! attempt: Int! } }
"""


def registry() -> Jobs:
    """A registry of its own for each test, for some tests add to it."""
    jobs = Jobs()

    @jobs.job("plain")
    def plain(payload):
        return payload

    @jobs.job("fails", backoff=5)
    def fails(payload, job):
        if job.attempt <= payload["times"]:
            raise ValueError(f"attempt {job.attempt} is not good enough")
        return job.attempt

    @jobs.job("effect", backoff=5)
    def effect(payload, job):
        with job.completing() as tx:
            tx["effects"].insert({"job": job.id, "attempt": job.attempt})
            tx.result("written")

    @jobs.job("async_effect", backoff=5)
    async def async_effect(payload, job):
        await asyncio.sleep(0)
        async with job.completing() as tx:
            await tx["effects"].insert({"job": job.id, "attempt": job.attempt})
            tx.result("written")

    @jobs.job("says", retries=2)
    def says(payload, job):
        how = {
            "snooze": Snooze(60), "cancel": Cancel("no need"), "fail": Fail("hopeless"),
            "retry": Retry(7, "once more"),
        }  # fmt: skip
        if job.attempt == 1:
            raise how[payload]
        return job.attempt

    return jobs


@pytest.fixture
def aurora_jobs():
    return registry()


@pytest.fixture
def testing(aurora):
    """`aurora.jobs_testing`, with a collection for effects."""
    aurora.execute(SCHEMA)
    return aurora.jobs_testing
