"""The stage of the machine of jobs: programs and their model, compared after every step."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant

from aurora_db import AuroraError, ManualClock
from aurora_db.base.codec import instant, timestamp
from aurora_db.base.records import Status
from aurora_db.jobs import claims, queue, upkeep
from aurora_db.jobs.status import BORN, TRANSITIONS

sys.path.insert(0, str(Path(__file__).parent))

from job_lives import Modelled, Token, Worker, World
from job_programs import SCHEMA, TYPES, Child, Crew, Hands, Refused

PROGRAMS = 3
QUEUES, CUSTOMERS = ("default", "media"), ("ada", "bob")
PLACES = (("type", "mail"), ("queue", "media"))
ALLOWED = {(source, target) for source, ways in TRANSITIONS.items() for target in ways.values()}
#: Those that no run goes without; others need luck.
OFTEN = {
    (source, target)
    for source, target in ALLOWED
    if source is Status.RUNNING or target is Status.RUNNING
}
ROWS = """
    SELECT id, status, attempt, retries, crashes, error, run_at, coalesce(depends_on, 0), worker, lease_until,
           priority, queue, max_retries, progress, progress_note, result, payload,
           (SELECT count(*) FROM _job_errors WHERE job_id = id), _n IN (SELECT n FROM _limit_parked)
      FROM _jobs ORDER BY _n
"""
FEED = """
    SELECT seq, op, id, before ->> 'status', after ->> 'status' FROM _changes
     WHERE collection = '_jobs' AND seq > ? ORDER BY seq
"""
EFFECTS = "SELECT job, what, count(*) FROM effects GROUP BY job, what"
#: What waits for nothing, though it has not ended.
FORGOTTEN = """
    SELECT id, status FROM _jobs
     WHERE finished_at IS NULL
       AND (status <> 'BLOCKED' OR id NOT IN (SELECT waiting FROM _job_dependencies WHERE outcome IS NULL))
"""

#: Every change of status that any example has made.
SEEN: Counter[tuple[str, str]] = Counter()
#: Programs that have nothing open.
BENCH: list[Child] = []


class Stage(RuleBasedStateMachine):
    """A database, its model, and programs that work there; on it the rules are played."""

    crew: Crew
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="aurora-life-")
        self.path = str(Path(self.folder.name, "life.db"))
        self.clock = ManualClock()
        self.hands = Hands(self.path, self.clock.now())
        self.hands.db.execute(SCHEMA)
        self.tokens: list[tuple[int, Token]] = []
        self.names: dict[int, str] = {}
        self.children: dict[int, Child] = {}
        self.statuses: dict[str, str] = {}
        self.position = 0
        self.running: dict[Any, int] = {}

    def start(self, place: int, child: Child) -> None:
        self.children[place] = child
        name = self.named(place)
        child.tell("open", self.now, path=self.path, worker=name)

    def named(self, place: int) -> str:
        """A new worker for a program."""
        name = self.names[place] = f"w{len(self.world.workers)}"
        self.world.workers[name] = Worker(name, self.now)
        return name

    @property
    def now(self) -> Any:
        return self.clock.now()

    # --- who does what ----------------------------------------------------------------------

    def call(self, who: int, verb: str, **args: Any) -> Any:
        """Let the parent or a program do something."""
        if who:
            return self.children[who].tell(verb, self.now, **args)
        self.hands.clock.advance(self.now - self.hands.clock.now())
        try:
            return msgspec.json.decode(msgspec.json.encode(getattr(self.hands, verb)(**args)))
        except AuroraError as error:
            raise Refused(type(error).__name__) from error

    def refused(self, who: int, verb: str, error: str, **args: Any) -> None:
        with pytest.raises(Refused, match=error):
            self.call(who, verb, **args)

    def job(self, number: int, statuses: Any = None) -> Modelled | None:
        """One of the jobs, in one of these statuses; the newest is 0."""
        jobs = [job for job in self.world.jobs.values() if not statuses or job.status in statuses]
        return jobs[-1 - number % len(jobs)] if jobs else None

    def drop(self, token: Token) -> None:
        self.tokens = [one for one in self.tokens if one[1] is not token]

    def off_the_board(self, token: Token) -> None:
        if token.begun:
            token.begun = False
            self.world.workers[token.worker].begun.remove(token.job.id)

    # --- invariants -------------------------------------------------------------------------

    @invariant()
    def agree(self):
        """Rows, changes, limits and effects."""
        rows, feed, effects = self.hands.engine.read(self.found)
        self.agree_rows(rows)
        self.agree_feed(feed)
        assert {(job, what): count for job, what, count in effects} == {
            (job.id, what): count
            for job in self.world.jobs.values()
            for what, count in job.effects.items()
            if count
        }
        running = {
            meter: self.world.running(meter)
            for job in self.world.jobs.values()
            for meter in self.world.meters(job)
        }
        for meter, count in running.items():
            assert count <= max(self.world.limits[meter[:2]], self.running.get(meter[:2], 0))
        self.running = {}
        for job in self.world.jobs.values():
            if job.status == "RUNNING":
                for place in (("type", job.type), ("queue", job.queue)):
                    self.running[place] = self.running.get(place, 0) + 1

    async def found(self, port: Any) -> Any:
        feed = await port.rows(FEED, (self.position,))
        return await port.rows(ROWS), feed, await port.rows(EFFECTS)

    def agree_rows(self, rows: Any) -> None:
        """Each row is as the model says; a limit may hold back what is PENDING there."""
        jobs = list(self.world.jobs.values())
        assert [row[0] for row in rows] == [job.id for job in jobs]
        for row, job in zip(rows, jobs, strict=True):
            status = "PENDING" if row[1] == "BLOCKED" and row[18] else row[1]
            run_at = None if job.run_at is None else timestamp(job.run_at)
            if job.run_until is not None:
                assert run_at <= row[6] <= timestamp(job.run_until)
                run_at = row[6]
                job.run_at, job.run_until = instant(run_at), None
            assert (status, *row[2:5], *row[6:15], row[17]) == (
                job.status, job.attempt, job.retries, job.crashes, run_at, len(job.waits), job.worker,
                None if job.lease is None else timestamp(job.lease), job.priority, job.queue, job.max_retries,
                job.progress, job.note, job.errors,
            )  # fmt: skip
            assert msgspec.json.decode(row[15] or "null") == job.result
            assert msgspec.json.decode(row[16]) == job.payload
            if job.waited:
                assert row[5].startswith("waited for the job ")
            else:
                assert (row[5] is None) == (job.error is None)
                assert row[5] is None or job.error in row[5]

    def agree_feed(self, feed: Any) -> None:
        """Each change of status is one that the table of transitions has, from where the job was."""
        for seq, op, id, before, after in feed:
            self.position = seq
            assert self.statuses.get(id) == before
            self.statuses[id] = after
            SEEN[before, after] += 1
            assert op in ("insert", "update")
            assert after in BORN if op == "insert" else (before, after) in ALLOWED

    # --- the end ----------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            for child in self.children.values():
                self.dismiss(child)
            if hasattr(self, "world"):
                self.drain()
            assert self.hands.db.check() == []
        finally:
            self.hands.db.close()
            self.folder.cleanup()

    def dismiss(self, child: Child) -> None:
        """It may serve another example, unless this one has failed in the middle of something."""
        if child.idle:
            child.tell("close", self.now)
            BENCH.append(child)
        else:
            child.kill()

    def drain(self) -> None:
        """Whatever has happened: when all queues are open and all that runs ends, everybody runs."""
        for name in QUEUES:
            self.call(0, "resume", queue=name)
        engine = self.hands.engine

        async def work(port: Any) -> None:
            await upkeep.stage(port)
            claimed = await claims.claim(port, "last", TYPES, 50)
            await queue.settle(port, [queue.Settlement(one, queue.COMPLETE) for one in claimed])

        for _ in range(100):
            if not engine.read(lambda port: port.rows(FORGOTTEN)):
                break
            engine.write(work)
            self.clock.advance(31.0)
            self.call(0, "look")
        assert engine.read(lambda port: port.rows(FORGOTTEN)) == []
