"""Limits against a model: every claim takes exactly the jobs that the model says."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from aurora_db import Aurora
from aurora_db.base.clock import ManualClock
from aurora_db.jobs import claims, limits, meters, queue, queues, upkeep

sys.path.insert(0, str(Path(__file__).parent))

from metering import Modelled, World

TYPES, QUEUES, CUSTOMERS = ("mail", "scan"), ("default", "media"), ("ada", "bob", "cyd")
PLACES = (("type", "mail"), ("queue", "media"))
KEY = "${customer}"

COUNTS = st.one_of(st.none(), st.integers(1, 3))
RATES = st.sampled_from((None, "1/10s", "2/10s", "3/25s"))


class Limits(RuleBasedStateMachine):
    """Enqueue, claim, settle, cancel, retry, pause, change limits, let time pass, die, meddle."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="aurora-limits-")
        self.clock = ManualClock()
        self.db = Aurora(Path(self.folder.name, "m.db"), clock=self.clock, durability="none")
        self.world = World()
        self.claimers = {name: claims.Claimer(name) for name in ("w1", "w2")}
        self.claimed = {}
        self.keyed = {}

    def teardown(self) -> None:
        try:
            self.drain()
        finally:
            self.db.close()
            self.folder.cleanup()

    def drain(self):
        """Whatever has happened: when all queues are open and all that runs ends, everybody runs."""
        for name in QUEUES:
            self.write(partial(queues.resume, queue=name))
        for _ in range(300):
            if not self.left():
                return
            got = self.write(partial(claims.claim, worker="last", types=TYPES, limit=50))
            self.write(
                partial(
                    queue.settle, settlements=[queue.Settlement(one, queue.COMPLETE) for one in got]
                )
            )
            self.clock.advance(31)
            self.write(upkeep.rescue_expired)
            self.sweep()
        assert self.left() == []

    def left(self):
        """The jobs that have not ended."""
        jobs = "_jobs(where: {finished_at: {isNull: true}}) { id status }"
        return self.db.execute(f"{{ {jobs} }}")["_jobs"]

    def sweep(self):
        found = self.db._engine.read(partial(meters.astray, after=meters.FIRST))
        if found:
            self.write(partial(meters.tidy, found=found))

    def write(self, verb):
        return self.db._engine.write(verb)

    @initialize(
        keyed=st.tuples(st.booleans(), st.booleans()), counts=st.tuples(COUNTS, COUNTS), rates=st.tuples(RATES, RATES)
    )  # fmt: skip
    def begin(self, keyed, counts, rates):
        """The limit of the type counts by customer, or as a whole; so does that of the queue."""
        self.keyed = dict(zip(PLACES, keyed, strict=True))
        for place, count, rate in zip(PLACES, counts, rates, strict=True):
            self.limit(place, count, rate)

    @property
    def exact(self):
        """With one limit of each kind, a freed job may wait for the other limit before others of its key."""
        return len(set(self.keyed.values())) == 1

    def limit(self, place, count, rate):
        wanted = limits.limit(count, rate, KEY if self.keyed[place] and (count or rate) else None)
        self.world.put(place, wanted)
        self.write(partial(limits.put, scope=place[0], name=place[1], wanted=wanted))

    @rule(
        target=jobs, type=st.sampled_from(TYPES), queue=st.sampled_from(QUEUES),
        customers=st.lists(st.sampled_from(CUSTOMERS), min_size=1, max_size=6), priority=st.integers(-1, 2),
    )  # fmt: skip
    def enqueue(self, type, queue, customers, priority):
        payloads = [{"customer": one} for one in customers]
        made = self.db.enqueue_jobs(type, payloads, priority, queue=queue)
        for job, customer in zip(made, customers, strict=True):
            n = len(self.world.jobs)
            self.world.jobs[job.id] = Modelled(n, job.id, type, queue, customer, priority)
        return multiple(*(job.id for job in made))

    @rule(worker=st.sampled_from(("w1", "w2")), count=st.integers(1, 6))
    def claim(self, worker, count):
        """The claim takes what the model says, in its order; at least nothing that may not run."""
        now = self.clock.now()
        claimer = self.claimers[worker]
        got = self.write(lambda port: claimer.claim(port, TYPES, count))
        if self.exact:
            assert [one.id for one in got] == self.world.claim(now, worker, count)
        else:
            for job in (self.world.jobs[one.id] for one in got):
                assert self.world.may_run(job, now)
                self.world.begin(job, now, worker)
        self.claimed |= {one.id: one for one in got}

    def settle(self, claimed, statement, state):
        settlement = queue.Settlement(claimed, statement)
        lost = self.write(partial(queue.settle, settlements=[settlement]))
        job = self.world.jobs[claimed.id]
        holds = (job.state, job.attempt) == ("runs", claimed.attempt)
        # What was given back before is what a release would make of it: nobody is told.
        assert bool(lost) == (not holds) or (state == "waits" and not holds)
        if holds:
            job.state = state

    @rule(id=jobs, ends=st.booleans())
    def end(self, id, ends):
        """A handler returns, or its worker gives the job back; also one that lost it long ago."""
        if id in self.claimed:
            self.settle(
                self.claimed.pop(id),
                queue.COMPLETE if ends else queue.RELEASE,
                "ended" if ends else "waits",
            )

    @rule(id=jobs)
    def cancel(self, id):
        job = self.world.jobs[id]
        assert self.db.cancel_job(id) == (job.state != "ended")
        job.state = "ended"

    @rule(id=jobs)
    def retry(self, id):
        job = self.world.jobs[id]
        assert self.db.retry_job(id) == (job.state == "ended")
        if job.state == "ended":
            job.state, job.crashes = "waits", 0

    @rule(name=st.sampled_from(QUEUES), on=st.booleans())
    def pause(self, name, on):
        verb = queues.pause if on else queues.resume
        assert self.write(partial(verb, queue=name)) == (on != (name in self.world.paused))
        (self.world.paused.add if on else self.world.paused.discard)(name)

    @rule(place=st.sampled_from(PLACES), count=COUNTS, rate=RATES)
    def change(self, place, count, rate):
        """Somebody changes a limit; what runs already counts in it."""
        self.limit(place, count, rate)

    @rule(seconds=st.sampled_from((1.0, 4.5, 5.0, 10.0, 25.0)))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def rescue(self):
        """Whose lease has ended runs again, at the third time never."""
        self.write(upkeep.rescue_expired)
        for job in self.world.jobs.values():
            if job.state == "runs" and job.lease < self.clock.now():
                job.crashes += 1
                job.state = "ended" if job.crashes == 3 else "waits"

    @rule(id=jobs)
    def meddle(self, id):
        """Another program cancels; a sweep sees to it."""
        self.write(
            lambda port: port.change(
                "UPDATE _jobs SET status = 'CANCELLED', finished_at = created_at, lease_until = NULL"
                " WHERE id = ? AND finished_at IS NULL",
                (id,),
            )
        )
        self.world.jobs[id].state = "ended"
        self.sweep()

    @invariant()
    def the_statuses_agree(self):
        """What waits is PENDING, or BLOCKED and parked at one meter."""
        rows = self.db.execute("{ _jobs { id status } }")["_jobs"]
        words = {"PENDING": "waits", "BLOCKED": "waits", "RUNNING": "runs"}
        assert {row["id"]: words.get(row["status"], "ended") for row in rows} == {
            job.id: job.state for job in self.world.jobs.values()
        }

    @invariant()
    def whoever_is_blocked_is_parked(self):
        """Nobody is forgotten."""
        assert (
            self.db._engine.read(
                lambda port: port.rows(
                    "SELECT id FROM _jobs WHERE status = 'BLOCKED' AND _n NOT IN (SELECT n FROM _limit_parked)"
                )
            )
            == []
        )
        assert (
            self.db._engine.read(
                lambda port: port.rows(
                    "SELECT n FROM _limit_parked AS p WHERE NOT EXISTS (SELECT 1 FROM _limit_waits AS w"
                    " WHERE w.scope = p.scope AND w.name = p.name AND w.key = p.key)"
                )
            )
            == []
        )


TestLimits = Limits.TestCase
