"""A worker without threads, for tests: it takes one job after the other in the thread that drives it.

It claims, runs and settles by the same verbs as the pump, registers like any worker and holds a lock
with a board, so that after a simulated death the next one finds and rescues its jobs as in life. The
façade of the tests (`aio_testing.py`) drives it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from aurora_db.base.codec import encode, instant, timestamp
from aurora_db.base.errors import JobFailed, TransactionError
from aurora_db.base.ids import new_id
from aurora_db.jobs import aging, crash, executor, flow, limits, queue, reactions, upkeep
from aurora_db.jobs.aging import Aging
from aurora_db.jobs.attempt import Attempt, Fate
from aurora_db.jobs.claims import Claimer, Free
from aurora_db.jobs.context import Bench
from aurora_db.jobs.handlers import Handler, Jobs
from aurora_db.jobs.queue import Claimed, Settlement
from aurora_db.jobs.reactions import Fire, React
from aurora_db.jobs.request import Request
from aurora_db.jobs.slots import GRACE
from aurora_db.store import firing, process
from aurora_db.store.engine import Engine
from aurora_db.store.port import Port
from aurora_db.store.process import WorkerLock

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

NEXT = """
    SELECT min(at) FROM (
        SELECT min(run_at) AS at FROM _jobs
         WHERE status = 'SCHEDULED' AND type IN (SELECT value FROM json_each(:types))
           AND (:queue IS NULL OR queue = :queue)
         UNION ALL SELECT min(due_at) FROM _limit_waits WHERE due_at > :now)
"""
HOLD = """
    UPDATE _jobs SET status = 'RUNNING', worker = :worker, attempt = attempt + 1, started_at = :now,
                     lease_until = :lease
     WHERE id = :id AND status = 'PENDING'
    RETURNING _n, id, type, payload, priority, attempt, retries, max_retries, crashes, queue, tags, backoff,
              timeout, worker
"""
PENDING = "SELECT type, count(*) FROM _jobs WHERE status = 'PENDING' GROUP BY type ORDER BY type"
COMPLETED = """
    SELECT 1 FROM _jobs WHERE _n = ? AND attempt = ? AND worker = ? AND status = 'COMPLETED'
"""
#: Its errors and steps go with it.
FORGET = "DELETE FROM _jobs WHERE id = ?"
ATTEMPT = "UPDATE _jobs SET attempt = :attempt - 1, retries = :retries WHERE id = :id"


class _Claimer(Claimer):
    """Notes apart when a rate that holds a whole lane back has room again."""

    frees: datetime | None = None

    async def claim(
        self, port: Port, types: Sequence[str], limit: int, free: Free | None = None
    ) -> list[Claimed]:
        self.frees = None
        return await super().claim(port, types, limit, free)

    def may_come(self, at: datetime | None) -> None:
        if at is not None:
            self.frees = at if self.frees is None else min(self.frees, at)
        super().may_come(at)


class Solo:
    """One worker that lives as long as it is driven. Ends by `leave` and `close`, or by `die`."""

    def __init__(
        self,
        engine: Engine,
        registry: Jobs,
        react: React,
        bench: Bench,
        fire: Fire,
        queue_name: str | None,
    ) -> None:
        self.id = new_id()
        self.rescued = 0
        #: What the handler of the last attempt raised.
        self.raised: BaseException | None = None
        self._engine = engine
        self._registry = registry
        self._bench = bench
        self._fire = fire
        self._queue = queue_name
        self._claimer = _Claimer(self.id, None if queue_name is None else (queue_name,))
        self._aging = Aging()
        self._clock = engine.clock
        self._find = reactions.finder(registry, react)
        self._current: Attempt | None = None
        self._given_up: Settlement | None = None
        self._buried: list[str] = []
        self._runner: asyncio.Runner | None = None
        self._lock = WorkerLock(engine.folder, self.id, 1)
        self._ears = [
            self._clock.on_jump(self._jumped),
            engine.listen("cancels", self._cancelled),
        ]

    # --- verbs on the database --------------------------------------------------------------

    async def arrive(self, port: Port) -> None:
        """Say that this worker exists, and rescue the jobs of dead ones."""
        await upkeep.register(port, self.id, 1, self.types(port))
        await limits.declare(port, self._registry.limits())
        for other in await upkeep.others(port, self.id):
            dead = process.inspect(self._engine.folder, other)
            if dead is not None:
                self.rescued += await upkeep.rescue(port, other, dead.begun)
                self._buried.append(other)
        boards = {
            one: process.board(self._engine.folder, one) for one in await upkeep.expired(port)
        }
        known = {one: begun for one, begun in boards.items() if begun is not None}
        self.rescued += await upkeep.rescue_expired(port, known)
        # What follows from ends that no Aurora wrote.
        await flow.resolve(port)

    def types(self, port: Port) -> tuple[str, ...]:
        """The job types that can run here."""
        return reactions.types(self._registry, port.catalog)

    async def take(self, port: Port, types: Sequence[str] | None) -> Claimed | None:
        """Stage and fire what is due, claim the next job of these types; None when there is none."""
        while await firing.any_due(port) and await self._fire(port):
            pass
        while await upkeep.stage(port):
            pass
        if await aging.any_to_do(port):
            await self._aging.step(port)
        types = self.types(port) if types is None else types
        claimed = await self._claimer.claim(port, types, 1)
        while not claimed and self._claimer.more:
            claimed = await self._claimer.claim(port, types, 1)
        return claimed[0] if claimed else None

    async def _hold(self, port: Port, id: str) -> Claimed:
        """Claim this one job, which is pending."""
        now = port.now()
        lease = timestamp(now + timedelta(seconds=queue.LEASE))
        row = await port.row(
            HOLD, {"id": id, "worker": self.id, "now": timestamp(now), "lease": lease}
        )
        assert row is not None
        return Claimed(*row)

    async def next_due(self, port: Port, types: Sequence[str] | None) -> datetime | None:
        """When the next scheduled job of these types is due, or a rate has room; or None."""
        types = self.types(port) if types is None else types
        now = port.now()
        row = await port.row(NEXT, {
            "types": encode(list(types)), "queue": self._queue, "now": timestamp(now),
        })  # fmt: skip
        due = [] if row is None or row[0] is None else [instant(row[0])]
        if self._claimer.frees is not None:
            due.append(self._claimer.frees)
        return min((one for one in due if one > now), default=None)

    async def pending(self, port: Port) -> dict[str, int]:
        """How many jobs of each type may be claimed."""
        return dict(await port.rows(PENDING))

    async def settle(self, port: Port, settlement: Settlement) -> bool:
        """Write how an attempt ended; False when the job was no longer its own."""
        lost = await queue.settle(port, [settlement])
        if crash.hook is not None:
            crash.hook("before_commit", self._engine)
        return not lost

    async def completed(self, port: Port, job: Claimed) -> bool:
        """Whether an attempt has completed its job."""
        fence = (job.n, job.attempt, self.id)
        return await port.row(COMPLETED, fence) is not None

    async def release(self, port: Port, job: Claimed) -> None:
        """Give a job back, uncounted."""
        await queue.settle(port, [Settlement(job, queue.RELEASE)])

    async def leave(self, port: Port) -> None:
        """This worker ends."""
        await upkeep.leave(port, self.id)

    async def make(self, port: Port, wanted: Request, attempt: int, retries: int) -> Claimed:
        """A job that is claimed when others can see it: for an attempt that leaves no job behind."""
        job = await queue.enqueue(port, wanted)
        await port.change(ATTEMPT, {"attempt": attempt, "retries": retries, "id": job.id})
        return await self._hold(port, job.id)

    async def unmake(self, port: Port, job: Claimed) -> str | None:
        """Forget such a job; the JSON of its result, where its own transaction completed it."""
        row = await port.row("SELECT result FROM _jobs WHERE id = ?", (job.id,))
        await port.change(FORGET, (job.id,))
        return None if row is None else row[0]

    # --- one attempt ------------------------------------------------------------------------

    def begin(self, job: Claimed, handler: Handler | None = None) -> Attempt:
        """An attempt in the one slot; `handler` instead of the registered one."""
        handler = self._find(job.type) if handler is None else handler
        assert handler is not None, "only registered types are claimed"
        deadline = self._clock.monotonic() + executor.limit(handler, job)
        self.raised = self._given_up = None
        self._current = Attempt(job, self._told(handler), 0, deadline)
        self._lock.begin(0, job.n)
        return self._current

    def _told(self, handler: Handler) -> Handler:
        """The same handler, which tells us what it raises."""
        call = handler.call

        def blocking(*arguments: object) -> Any:
            try:
                return call(*arguments)
            except BaseException as error:
                self.raised = error
                raise

        async def suspending(*arguments: object) -> Any:
            try:
                return await call(*arguments)
            except BaseException as error:
                self.raised = error
                raise

        return msgspec.structs.replace(handler, call=suspending if handler.is_async else blocking)

    def attempt(self, one: Attempt) -> Settlement | None:
        """Run an attempt here: an async handler on an event loop of this worker."""
        if one.handler.is_async:
            return self._on_loop(partial(self.attempt_async, one))
        return executor.run(self._bench, one)

    async def attempt_async(self, one: Attempt) -> Settlement | None:
        """Run an attempt beside the tasks of this event loop: a sync handler on a thread."""
        import asyncio  # noqa: PLC0415 - blocking programs without async handlers do without

        if not one.handler.is_async:
            return await asyncio.to_thread(self._on_thread, one)
        settlement: Settlement | None = None

        async def run() -> None:
            nonlocal settlement
            settlement = await executor.run_async(self._bench, one)

        one.task = asyncio.create_task(run())
        await one.task
        return settlement

    def _on_thread(self, one: Attempt) -> Settlement | None:
        one.thread = threading.current_thread()
        return executor.run(self._bench, one)

    def _on_loop(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        import asyncio  # noqa: PLC0415 - the same

        runner = self._runner = self._runner or asyncio.Runner()
        return _apart(lambda: runner.run(work()))

    def ended(self, one: Attempt, settlement: Settlement | None) -> Settlement | None:
        """How an attempt ended, once its time limit is taken into account; None as of `executor.run`.

        Raises:
            Crashed: a crash point was armed and reached, whatever the handler made of it.
            KeyboardInterrupt: the handler was interrupted; in life that is a failure.
        """
        self._current = None
        armed = crash.killed(self._engine)
        if armed is not None:
            raise crash.Crashed(armed.point)
        self._lock.end(0)
        if isinstance(self.raised, KeyboardInterrupt):
            raise self.raised
        settlement = settlement if self._given_up is None else self._given_up
        if settlement is None or one.unwritten is None:
            return settlement
        return msgspec.structs.replace(settlement, report=one.unwritten)

    def _jumped(self) -> None:
        """The clock was moved by hand: the attempt may take too long by now."""
        one = self._current
        if one is None or one.gone or self._clock.monotonic() < one.deadline:
            return
        if one.fate is None:
            one.deadline = self._clock.monotonic() + GRACE
            self._tell(one, Fate.TIMEOUT)
        elif one.task is None:
            self._give_up(one)

    def _tell(self, one: Attempt, fate: Fate) -> None:
        one.tell(fate)
        if one.task is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended meanwhile
                one.task.get_loop().call_soon_threadsafe(one.task.cancel)

    def _give_up(self, one: Attempt) -> None:
        """Settle an attempt that was told to end, and has had its time for that."""
        self._given_up = executor.given_up(self._bench, one)
        if self._given_up is not None:
            # Within a transaction of the handler's, it has to wait for the end of the attempt.
            with contextlib.suppress(TransactionError):
                self._engine.write(partial(self.settle, settlement=self._given_up))
                one.gone = True

    def _cancelled(self, _urgency: int) -> None:
        """Jobs were cancelled, perhaps the one that runs."""
        one = self._current
        if one is not None and one.fate is None:
            attempts = [(one.job.n, one.job.attempt)]
            look = partial(upkeep.lost, worker=self.id, attempts=attempts)
            if self._engine.read(look, single=True):
                self._tell(one, Fate.LOST)

    # --- the end ----------------------------------------------------------------------------

    def bury(self) -> None:
        """Remove what the dead left whose rescue is committed."""
        for other in self._buried:
            process.forget(self._engine.folder, other)
        self._buried.clear()

    def close(self) -> None:
        """Give back the lock, when `leave` is committed. Twice is no error."""
        self._end()
        self._lock.close()

    def die(self) -> None:
        """End as by a kill: the lock is free, its file, the claim and the board stay."""
        self._end()
        self._lock.drop()
        self.thaw()

    def thaw(self) -> None:
        """After a simulated death: nothing of it runs any more, others may write."""
        armed = crash.killed(self._engine)
        if armed is not None:
            armed.gone()

    def _end(self) -> None:
        for stop in self._ears:
            stop()
        self._current = None
        runner, self._runner = self._runner, None
        if runner is not None:
            _apart(runner.close)


def _apart(work: Callable[[], T]) -> T:
    """Run what drives an event loop: on a thread where one runs here, for a thread has one at a time."""
    import asyncio  # noqa: PLC0415 - the same

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - the same

    with ThreadPoolExecutor(1, "aurora-solo") as pool:
        return pool.submit(copy_context().run, work).result()


def failure(raised: BaseException | None, settlement: Settlement) -> BaseException:
    """What to raise for an attempt that failed: what its handler raised, else what was noted."""
    return raised if raised is not None else JobFailed(settlement.error or "the attempt failed")
