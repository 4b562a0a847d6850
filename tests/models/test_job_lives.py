"""The whole life of jobs over several processes that are killed, against a model, after every step."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from aurora_db.jobs import queue

sys.path.insert(0, str(Path(__file__).parent))

from job_lives import ENDED, NOT_ENDED, WAITING, Modelled, Token, Wanted, World
from job_programs import TYPES, Child, Crew, crew
from job_stage import BENCH, CUSTOMERS, OFTEN, PLACES, PROGRAMS, QUEUES, SEEN, Stage

number = st.integers(0, 60)
#: The parent, or one of the programs.
anybody = st.integers(0, PROGRAMS)
program = st.integers(1, PROGRAMS)
names = st.sampled_from(("one", "two"))
UNIQUE = st.one_of(
    st.none(),
    st.none(),
    st.tuples(
        st.sampled_from(("keep", "replace", "reschedule")),
        st.sampled_from((NOT_ENDED, WAITING, (*NOT_ENDED, "COMPLETED"))),
        st.sampled_from((None, None, 50.0)),
    ),
)
COUNTS = st.sampled_from((None, 1, 2))
JOBS = st.tuples(
    st.sampled_from(TYPES),
    st.sampled_from(QUEUES),
    st.lists(st.tuples(st.sampled_from(CUSTOMERS), st.sampled_from("xy")), min_size=1, max_size=4),
    st.integers(-1, 2),
    st.integers(1, 3),
    st.sampled_from((None, None, None, 0, 3, 15)),
    st.sampled_from((None, 0, 2.5, [1, 8], {"kind": "linear", "step": 2})),
)
AFTER = st.tuples(
    st.one_of(st.just([]), st.lists(number, min_size=1, max_size=3)),
    st.sampled_from(("cancel", "run")),
)
ENDS = st.one_of(
    st.tuples(st.just("returns"), st.integers(0, 9)),
    st.tuples(st.just("completes"), st.integers(0, 9)),
    st.tuples(st.just("completes"), st.integers(0, 9)),
    st.tuples(st.sampled_from(("errs", "errs", "fails", "cancels")), st.sampled_from(("no", "oh"))),
    st.tuples(st.sampled_from(("retries", "snoozes")), st.sampled_from((0.0, 4.0, 20.0))),
    st.tuples(st.sampled_from(("released", "late", "dies")), st.none()),
)


class Life(Stage):
    """Enqueue, claim, settle, die, be rescued, go on as a zombie; the database is as the model says."""

    @initialize(
        limits=st.sampled_from((None, "by customer", "as a whole")),
        counts=st.tuples(COUNTS, COUNTS),
        jobs=st.lists(JOBS, max_size=3),
    )
    def begin(self, limits, counts, jobs):
        """Limits count by customer, or as a whole, or there are none; some jobs are there."""
        self.limited = limits is not None
        self.world = World(self.clock.now(), "${customer}" if limits == "by customer" else None)
        for place in range(1, PROGRAMS + 1):
            self.start(place, BENCH.pop() if BENCH else Child(self.crew))
        for place, count in zip(PLACES, counts, strict=True):
            self.limit(0, place, count)
        for wanted in jobs:
            self.enqueue_plain(0, wanted)

    def token(self, number: int) -> tuple[int, Token] | None:
        """One of the attempts that programs have in hand; the newest is 0."""
        if not self.tokens:
            self.claim(1 + number % PROGRAMS, 2)
        return self.tokens[-1 - number % len(self.tokens)] if self.tokens else None

    # --- rules: a person --------------------------------------------------------------------

    @rule(who=anybody, wanted=JOBS, unique=UNIQUE, after=AFTER)
    def enqueue(self, who, wanted, unique, after):
        """One or many; unique ones, ones that wait."""
        type, queue, keys, priority, retries, delay, backoff = wanted
        numbers, policy = after
        waits = [job for job in dict.fromkeys(map(self.job, numbers)) if job is not None]
        payloads = [
            {"customer": customer, "k": key, "v": len(self.world.jobs) + place}
            for place, (customer, key) in enumerate(keys)
        ]
        wanted = Wanted(type, queue, priority, retries, delay, backoff, waits, policy, unique)
        options = {
            "priority": priority, "queue": queue, "retries": retries, "delay": delay, "backoff": backoff,
            "tags": ["tagged"], "after": [job.id for job in waits],
        }  # fmt: skip
        if waits:
            options["on_dependency_failure"] = policy
        rule = None
        if unique is not None:
            rule = {
                "key": "${k}",
                "on_conflict": unique[0],
                "statuses": unique[1],
                "period": unique[2],
            }
        made = self.call(who, "enqueue", type=type, payloads=payloads, unique=rule, options=options)
        found = self.world.enqueue(wanted, payloads, [id for id, _, _ in made])
        assert [(id, there) for id, there, _ in made] == [(job.id, there) for job, there in found]
        for (_, there, status), (job, _) in zip(made, found, strict=True):
            assert there or status == job.status

    @rule(who=anybody, wanted=JOBS)
    def enqueue_plain(self, who, wanted):
        """Jobs that stand alone."""
        self.enqueue(who, wanted, None, ([], "cancel"))

    @rule(who=anybody, number=number)
    def cancel(self, who, number):
        """On every status."""
        job = self.job(number)
        if job is None:
            return
        assert self.call(who, "cancel", id=job.id) == self.world.cancel(job)

    @rule(
        who=anybody,
        numbers=st.lists(number, min_size=1, max_size=3),
        ended=st.sampled_from((True, True, False)),
    )
    def retry(self, who, numbers, ended):
        """One, or several at once; also some that have not ended."""
        found = [self.job(number, ENDED if ended else None) for number in numbers]
        jobs = [job for job in dict.fromkeys(found) if job is not None]
        if len(jobs) > 1:
            again = self.call(who, "retry_many", ids=[job.id for job in jobs])
            assert again == [job.id for job in self.world.retry(jobs)]
            return
        for job in jobs:
            self.retry_one(who, job)

    def retry_one(self, who: int, job: Modelled) -> None:
        ended = job.status in ENDED
        if self.world.retry([job]):
            assert self.call(who, "retry", id=job.id) is True
        elif ended:
            self.refused(who, "retry", "UniqueViolation", id=job.id)
        else:
            assert self.call(who, "retry", id=job.id) is False

    @rule(number=number, wanted=JOBS)
    def retry_what_has_a_successor(self, number, wanted):
        """Another job has its key by now; it does not run beside that one."""
        ended = [
            job for job in self.world.jobs.values() if job.wanted.unique and job.status in ENDED
        ]
        if ended:
            job = ended[number % len(ended)]
            keys = [(job.payload["customer"], job.payload["k"])]
            wanted = (job.type, wanted[1], keys, *wanted[3:])
            self.enqueue(0, wanted, ("keep", NOT_ENDED, None), ([], "cancel"))
            self.retry_one(0, job)

    @rule(number=number)
    def retry_with_those_before(self, number):
        """Whoever waited for others waits again for those that run again with it."""
        waited = [
            job for job in self.world.jobs.values() if job.wanted.after and job.status in ENDED
        ]
        if waited:
            job = waited[number % len(waited)]
            jobs = [one for one in (*job.wanted.after, job) if one.status in ENDED]
            again = self.call(0, "retry_many", ids=[one.id for one in jobs])
            assert again == [one.id for one in self.world.retry(jobs)]

    @rule(who=anybody, queue=st.sampled_from(QUEUES))
    def pause_or_resume(self, who, queue):
        verb = "resume" if queue in self.world.paused else "pause"
        assert self.call(who, verb, queue=queue) is True
        assert self.call(who, verb, queue=queue) is False
        self.world.paused ^= {queue}

    @rule(who=anybody, place=st.sampled_from(PLACES), count=COUNTS)
    def limit(self, who, place, count):
        """What runs already counts in it."""
        if not self.limited:
            return
        self.call(who, "limit", place=place, count=count, key=self.world.key)
        self.world.limits.pop(place, None)
        if count is not None:
            self.world.limits[place] = count

    @rule(seconds=st.sampled_from((0.001, 2.5, 8.0, 31.0, 70.0)))
    def pass_time(self, seconds):
        """Jobs fall due, leases end, workers are forgotten."""
        self.clock.advance(seconds)
        self.world.now = self.now

    # --- rules: workers ---------------------------------------------------------------------

    @rule(place=program, count=st.integers(1, 4))
    def claim(self, place, count):
        """A claim takes what the model says, in its order."""
        self.beat_in_time(place)
        self.hold(place, count, self.call(place, "claim", count=count))

    @rule(place=program, count=st.integers(1, 4))
    def claim_and_begin(self, place, count):
        """What it claims begins."""
        self.claim(place, count)
        self.begin_all(place)

    def begin_all(self, place: int) -> None:
        for where, token in self.tokens:
            if where == place:
                self.put_on_board(where, token)

    def hold(self, place: int, count: int, claimed: Any) -> None:
        tokens = self.world.claim(self.names[place], count, claimed)
        self.tokens += [(place, token) for token in tokens]

    def beat_in_time(self, place: int) -> None:
        """As the pump, before its rounds."""
        heard = self.world.workers[self.names[place]].heard
        if (self.now - heard).total_seconds() > queue.LEASE / 3:
            self.beat(place)

    @rule(places=st.permutations((1, 2, 3)), counts=st.tuples(st.integers(1, 3), st.integers(1, 3)))
    def claim_at_once(self, places, counts):
        """Two processes claim at the same time: one comes first."""
        pairs = list(zip(places, counts, strict=False))
        for place, _ in pairs:
            self.beat_in_time(place)
        for place, count in pairs:
            self.children[place].send("claim", self.now, count=count)
        claimed = {place: self.children[place].hear() for place, _ in pairs}
        order = pairs if self.might_be(pairs, claimed) else pairs[::-1]
        for place, count in order:
            self.hold(place, count, claimed[place])

    def might_be(self, order: Any, claimed: Any) -> bool:
        """Whether claims may have come in this order."""
        trial = copy.deepcopy(self.world)
        try:
            for place, count in order:
                trial.claim(self.names[place], count, claimed[place])
        except AssertionError:
            return False
        return True

    @rule(number=number)
    def begin_one(self, number):
        """Its number stands on the board of its process from here on."""
        if found := self.token(number):
            self.put_on_board(*found)

    def put_on_board(self, place: int, token: Token) -> None:
        if not token.begun and token.worker == self.names[place]:
            self.call(place, "begin", id=token.job.id, number=token.attempt)
            token.begun = True
            self.world.workers[token.worker].begun.append(token.job.id)

    @rule(numbers=st.lists(st.tuples(number, ENDS), min_size=1, max_size=3), keep=st.booleans())
    def settle(self, numbers, keep):
        """Of one process, all in one transaction; of a zombie nothing is left."""
        found = [(self.token(number), end) for number, end in numbers]
        ends: dict[Token, Any] = {}
        for one, end in found:
            if one is not None and one[0] == found[0][0][0]:
                ends.setdefault(one[1], end)
        if not ends:
            return
        place = found[0][0][0]
        told = self.call(
            place, "settle", keep=keep, ends=[(*token.key, *end) for token, end in ends.items()]
        )
        # Those by their own transaction come first, then the others together.
        order = sorted(zip(ends, told, strict=True), key=lambda one: ends[one[0]][0] != "completes")
        for token, word in order:
            self.settled(token, *ends[token], word, keep)

    @rule(number=number, end=ENDS)
    def settle_one(self, number, end):
        """As most are."""
        self.settle([(number, end)], keep=False)

    @rule(number=number, end=ENDS, again=st.booleans())
    def go_on_as_a_zombie(self, number, end, again):
        """Its lease ends, somebody has the job, perhaps the same process: what it does is refused."""
        found = self.token(number)
        if found is None:
            return
        place, token = found
        self.pass_time(31.0)
        self.look(0)
        self.claim(place if again else 1 + place % PROGRAMS, 4)
        ends = [(*token.key, *end)]
        (told,) = self.call(place, "settle", ends=ends, keep=False)
        self.settled(token, *end, told, keep=False)

    def settled(self, token: Token, how: str, arg: Any, told: str, keep: bool) -> None:
        self.world.settle(token, how, arg, told)
        self.off_the_board(token)
        if not keep:
            self.drop(token)

    @rule(number=number, who=anybody)
    def complete_while_somebody_cancels(self, number, who):
        """One of the two comes first."""
        found = self.token(number)
        if found is None:
            return
        place, token = found
        if who == place:
            return
        end = (*token.key, "completes", 7)
        self.children[place].send("settle", self.now, ends=[end], keep=False)
        cancelled = self.call(who, "cancel", id=token.job.id)
        (told,) = self.children[place].hear()
        if told == "completed":
            self.settled(token, "completes", 7, told, keep=False)
        assert self.world.cancel(token.job) == cancelled
        if told != "completed":
            self.settled(token, "completes", 7, told, keep=False)

    @rule(number=number, name=names)
    def step(self, number, name):
        """Done once for a job, by whichever attempt; a zombie does nothing."""
        found = self.token(number)
        if found is None:
            return
        place, token = found
        if name in token.used:
            return
        ask = {"id": token.job.id, "number": token.attempt, "name": name, "hang": False}
        if token.done is None:
            token.done = {} if token.attempt == 1 else dict(token.job.steps)
        if name in token.done:
            token.used.add(name)
            assert self.call(place, "step", **ask) == token.done[name]
        elif token.holds:
            token.used.add(name)
            assert self.call(place, "step", **ask) == token.attempt
            token.job.steps[name] = token.attempt
            token.job.effects[name] += 1
        else:
            self.refused(place, "step", "LeaseLost", **ask)

    @rule(number=number, done=st.sampled_from((0.25, 0.5)), note=st.sampled_from((None, "halfway")))
    def progress(self, number, done, note):
        """Renews the lease; a zombie says it in vain."""
        found = self.token(number)
        if found is None:
            return
        place, token = found
        job = token.job
        ask = {"id": job.id, "number": token.attempt, "done": done, "note": note}
        assert self.call(place, "progress", **ask) is token.holds
        token.note = note or token.note
        if token.holds:
            job.progress, job.note = done, token.note or job.note
            job.lease = self.world.later(queue.LEASE)

    @rule(number=number)
    def heartbeat(self, number):
        """Tells a zombie that it is one."""
        found = self.token(number)
        if found is None:
            return
        place, token = found
        ask = {"id": token.job.id, "number": token.attempt}
        if token.holds:
            self.call(place, "heartbeat", **ask)
        else:
            self.refused(place, "heartbeat", "LeaseLost", **ask)
            self.off_the_board(token)
            self.drop(token)

    @rule(place=program)
    def beat(self, place):
        """Renews all leases of a process in one statement; tells what it has lost."""
        name = self.names[place]
        lost = self.call(place, "beat")
        self.world.beat(name)
        ours = [one for where, one in self.tokens if where == place and one.worker == name]
        gone = [
            one for one in ours if not one.own or one.job.status not in ("RUNNING", "COMPLETED")
        ]
        assert sorted(map(tuple, lost)) == sorted(one.key for one in gone)

    @rule(place=program)
    def leave(self, place):
        """A graceful stop gives back what it holds, uncounted; its handlers go on in vain."""
        before = self.names[place]
        returned = self.call(place, "leave", worker=self.named(place))
        assert returned == self.world.leave(before)
        for where, token in self.tokens:
            if where == place:
                token.begun = False

    # --- rules: death -----------------------------------------------------------------------

    @rule(who=anybody)
    def look(self, who):
        """Who is dead is seen at once, who is silent when its lease ends."""
        assert self.call(who, "look") == self.world.look()

    @rule(place=program, begun=st.booleans(), seen=st.booleans())
    def kill(self, place, begun, seen):
        """While it runs what it claimed, or before it began."""
        if begun:
            self.begin_all(place)
        self.die(place)
        if seen:
            self.look(0)

    @rule(place=program, count=st.integers(1, 2), times=st.integers(1, 3))
    def kill_again(self, place, count, times):
        """Whoever begins the job dies; at the third time it is given up."""
        for _ in range(times):
            self.claim_and_begin(place, count)
            self.kill(place, begun=True, seen=True)

    def die(self, place: int) -> None:
        """SIGKILL; another program takes the place."""
        self.children[place].kill()
        self.world.workers[self.names[place]].alive = False
        self.tokens = [one for one in self.tokens if one[0] != place]
        self.start(place, Child(self.crew))

    @rule(place=program, count=st.integers(1, 3), how=st.sampled_from(("inside", "after")))
    def die_in_a_claim(self, place, count, how):
        """Before the commit nothing is claimed, after it all is."""
        self.beat_in_time(place)
        told = self.call(place, "claim", count=count, hang=how)
        if how == "after":
            self.world.claim(self.names[place], count, told)
        self.agree()
        self.die(place)

    @rule(
        number=number,
        begun=st.booleans(),
        how=st.sampled_from(("inside", "after", "step")),
        name=names,
    )
    def die_in_a_transaction(self, number, begun, how, name):
        """An effect is there if its job is completed, and only then."""
        found = self.token(number)
        if found is None:
            return
        place, token = found
        if not token.holds or name in token.used or name in token.job.steps:
            return
        if begun:
            self.put_on_board(place, token)
        if how == "step":
            hangs = self.call(
                place, "step", id=token.job.id, number=token.attempt, name=name, hang=True
            )
        else:
            end = (*token.key, f"hangs {how}", 3)
            hangs = self.call(place, "settle", ends=[end], keep=True)
        assert hangs == "hangs"
        if how == "after":
            self.world.settle(token, "completes", 3, "completed")
        self.agree()
        self.die(place)


@pytest.fixture
def programs() -> Iterator[Crew]:
    """Whoever forks programs for a test."""
    with crew() as made:
        yield made
        for child in BENCH:
            child.kill()
        BENCH.clear()


@pytest.mark.crash
def test_whatever_happens_the_jobs_are_as_the_model_says(programs):
    """Processes that claim, settle, hang and are killed, and people who cancel and retry."""
    SEEN.clear()
    machine = partial(_machine, programs)
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=80))
    assert {pair for pair in SEEN if pair[0] is not None} >= OFTEN


def _machine(programs: Crew) -> Life:
    made = Life()
    made.crew = programs
    return made
