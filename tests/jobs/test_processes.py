"""Job handlers in child processes: whatever they do, the worker and its other jobs go on."""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aurora_db import Aurora, JobError, Jobs, PayloadInvalid
from aurora_db.jobs import slots

sys.path.insert(0, str(Path(__file__).parent))

import at_work

GUARD = 60.0


@pytest.fixture
def working(path):
    """A database with workers and the handlers of `at_work`."""
    with Aurora(path, workers_enabled=True, worker_threads=2, jobs=at_work.jobs) as opened:
        yield opened


@pytest.fixture
def late(path, clock):
    """The same with one slot, its clock in the test's hand."""
    with Aurora(
        path, workers_enabled=True, worker_threads=1, jobs=at_work.jobs, clock=clock
    ) as opened:
        yield opened


def ended(db, job):
    """The job when it has ended."""
    return wait_for(db, job, "COMPLETED", "FAILED", "CANCELLED")


def wait_for(db, job, *statuses):
    """The job when it has one of these statuses."""
    until(lambda: db.get_job(job.id).status in statuses, f"{statuses} of {job}")
    return db.get_job(job.id)


def until(condition, what):
    """Wait for what must happen."""
    end = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.002)


def errors(db):
    return db.execute("{ _job_errors { attempt error traceback after_completion } }")["_job_errors"]


def gone(pid):
    """Whether no process has this id; one that waits for its parent to look has ended, too."""
    here = Path(f"/proc/{pid}")
    try:
        state = (here / "stat").read_text().rpartition(")")[2].split()[0]
        # Its first thread may end before the others.
        return state == "Z" and len(list((here / "task").iterdir())) == 1
    except FileNotFoundError:
        return True


def test_a_handler_runs_in_a_child_that_is_used_again(working):
    """Another process than ours, its child, the same for the next job; it knows how we were called."""
    first = ended(working, working.enqueue_job("where")).result
    second = ended(working, working.enqueue_job("where")).result
    assert first == second
    assert first["pid"] != os.getpid()
    assert first["parent"] == os.getpid()
    assert first["script"] == Path(sys.argv[0]).name


def test_payload_context_and_result_are_as_in_a_thread(working):
    """The payload becomes a dataclass in the child; what does not fit is refused when enqueued."""
    job = working.enqueue_job("resize", {"width": 4}, tags=["a"])
    assert ended(working, job).result == {"area": 40, "attempt": 1, "tags": ["a"]}
    with pytest.raises(PayloadInvalid, match=r"\$\.width"):
        working.enqueue_job("resize", {"width": "four"})


def test_a_payload_that_no_longer_fits_fails_at_once(path):
    with Aurora(path) as db:
        job = db.enqueue_job("resize", {"width": "four"}, retries=5)
    with Aurora(path, workers_enabled=True, jobs=at_work.jobs) as db:
        done = ended(db, job)
    assert (done.status, done.retries) == ("FAILED", 1)
    assert "$.width" in done.error


def test_completing_commits_in_the_child_under_the_parents_attempt(working):
    """Effects, follow-up job, result and completion come together, once, in the worker's name."""
    working.execute("schema { define collection notes { text: String } }")
    job = ended(working, working.enqueue_job("note", {"text": "one"}))
    assert (job.status, job.result, job.attempt) == ("COMPLETED", "written", 1)
    (worker,) = working.execute("{ _workers { id pid } }")["_workers"]
    assert (worker["id"], worker["pid"]) == (job.worker, os.getpid())
    assert working.execute("{ notes { text } }") == {"notes": [{"text": "one"}]}
    (found,) = working.execute('{ _jobs(where: {type: "follow"}) { id max_retries } }')["_jobs"]
    # What its type says is known in the child, too.
    assert found["max_retries"] == 7
    assert ended(working, working.get_job(found["id"])).result == "ran in a thread"
    assert working.workers.stats().completed == 2


def test_a_block_left_by_an_exception_commits_nothing(working):
    working.execute("schema { define collection notes { text: String } }")
    job = working.enqueue_job("note", {"text": "one", "inside": True}, retries=1)
    assert ended(working, job).error == "ValueError: inside"
    assert working["notes"].count() == 0
    after = working.enqueue_job("note", {"text": "two", "after": True})
    assert ended(working, after).status == "COMPLETED"
    until(lambda: len(errors(working)) == 2, "the exception after the completion")
    assert [(one["error"], one["after_completion"]) for one in errors(working)] == [
        ("ValueError: inside", False),
        ("ValueError: after", True),
    ]


def test_a_registered_job_enqueues_in_the_child(working):
    """The module opened no database itself; the child's is used."""
    id = ended(working, working.enqueue_job("enqueue")).result
    assert ended(working, working.get_job(id)).result == "ran in a thread"


def test_instructions_pass_the_pipe(working):
    """Retry, Snooze, Cancel and Fail decide what becomes of the job."""
    jobs = {
        do: working.enqueue_job("say", {"do": do}) for do in ("retry", "snooze", "cancel", "fail")
    }
    done = {do: ended(working, job) for do, job in jobs.items()}
    assert {do: (job.status, job.retries) for do, job in done.items()} == {
        "retry": ("COMPLETED", 1),
        "snooze": ("COMPLETED", 0),
        "cancel": ("CANCELLED", 0),
        "fail": ("FAILED", 1),
    }
    assert (done["cancel"].error, done["fail"].error) == ("no need", "never")


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("raises", "ZeroDivisionError: division by zero"),
        ("exits", "SystemExit: 3"),
        ("interrupts", "KeyboardInterrupt"),
        ("recurses", "RecursionError"),
        ("odd", "Odd: (its message cannot be shown)"),
        ("result", "ValidationError: the handler's result"),
    ],
)
def test_a_handler_that_breaks_fails_its_attempt_only(working, how, error):
    """The child goes on: the next job has the same one."""
    before = ended(working, working.enqueue_job("where")).result["pid"]
    failed = ended(working, working.enqueue_job("break", {"how": how}))
    assert failed.status == "FAILED"
    assert failed.error.startswith(error)
    assert (failed.retries, failed.crashes) == (1, 0)
    assert ("at_work.py" in errors(working)[0]["traceback"]) == (how != "result")
    assert ended(working, working.enqueue_job("where")).result["pid"] == before


@pytest.mark.parametrize(
    ("how", "what"), [("killed", "signal 9"), ("segfault", "signal 11"), ("exit", "exit code 3")]
)
def test_a_child_that_dies_three_times_fails_the_job(working, how, what, capfd):
    """Counted as crashes, not as failures; each is kept; jobs beside it run on."""
    beside = [working.enqueue_job("where") for _ in range(5)]
    failed = ended(working, working.enqueue_job("die", {"how": how}))
    assert failed.error == f"worker died 3 times running this ({what})"
    assert (failed.status, failed.crashes, failed.retries, failed.attempt) == ("FAILED", 3, 0, 3)
    assert [one["error"] for one in errors(working)] == [
        f"worker died running this ({what})",
        f"worker died running this ({what})",
        f"worker died 3 times running this ({what})",
    ]
    assert [ended(working, job).status for job in beside] == ["COMPLETED"] * 5
    assert all(working.get_job(job.id).crashes == 0 for job in beside)
    # Where it happened is said.
    assert ("at_work.py" in capfd.readouterr().err) == (how == "segfault")


def test_a_child_that_dies_twice_has_its_third_run(working):
    done = ended(working, working.enqueue_job("die", {"how": "killed", "times": 2}))
    assert (done.status, done.result, done.crashes, done.attempt) == ("COMPLETED", "alive", 2, 3)


def test_an_idle_child_that_was_killed_costs_no_job_anything(working):
    pid = ended(working, working.enqueue_job("where")).result["pid"]
    os.kill(pid, 9)
    until(lambda: gone(pid), "its end")
    done = ended(working, working.enqueue_job("where"))
    assert done.crashes == 0
    assert done.result["pid"] != pid


def test_a_signal_of_somebody_else_does_not_end_a_handler(working):
    """Who stops a service signals all of its processes; the parent decides."""
    assert ended(working, working.enqueue_job("swallow", {})).result == "went on"


def test_a_handler_that_floods_output_and_log(working, capfd):
    """Both go where the parent's go, and hold up nothing."""
    assert ended(working, working.enqueue_job("flood")).result == "said"
    output, said = capfd.readouterr()
    assert output == "and prints\n"
    assert said.count("\n") == 20_000


def test_a_handler_whose_error_is_a_flood(working):
    failed = ended(working, working.enqueue_job("flood_error"))
    assert failed.error.startswith("RuntimeError: xxx")
    assert len(failed.error) < 2_100


def test_a_payload_of_megabytes_passes_the_pipe(working):
    done = ended(working, working.enqueue_job("big", {"text": "x" * 5_000_000}))
    assert done.result == "x" * 10_000_000


def test_a_handler_that_takes_too_long_is_terminated_and_cleans_up(late, clock, tmp_path):
    """SIGTERM raises SystemExit in it; the error is the timeout, the traceback where it was."""
    file = tmp_path / "began"
    job = late.enqueue_job("hang", {"file": str(file)})
    until(file.exists, "the handler to begin")
    clock.advance(59)
    assert late.get_job(job.id).status == "RUNNING"
    clock.advance(2)
    failed = wait_for(late, job, "FAILED")
    assert failed.error == "Timeout: the attempt took longer than 60 s"
    assert (failed.retries, failed.crashes) == (1, 0)
    assert "time.sleep(GUARD)" in errors(late)[0]["traceback"]
    assert file.with_suffix(".cleaned").read_text() == "True"
    assert ended(late, late.enqueue_job("where")).result["pid"] != int(file.read_text())


def test_a_handler_that_is_deaf_to_the_signal_is_killed(late, clock, tmp_path):
    file = tmp_path / "began"
    job = late.enqueue_job("hang", {"file": str(file), "deaf": True})
    until(file.exists, "the handler to begin")
    clock.advance(61)
    until(lambda: any(one.fate for one in late.workers._pump.slots._attempts.values()), "the limit")
    assert not file.with_suffix(".cleaned").exists()
    clock.advance(slots.GRACE)
    failed = wait_for(late, job, "FAILED")
    assert failed.error == "Timeout: the attempt took longer than 60 s"
    assert failed.crashes == 0
    pid = int(file.read_text())
    until(lambda: gone(pid), "its end")
    assert ended(late, late.enqueue_job("where")).result["pid"] != pid


def test_stop_ends_children_and_gives_their_jobs_back_uncounted(path, tmp_path):
    """A busy one is terminated after the timeout, a deaf one is killed; idle ones leave."""
    with Aurora(path, workers_enabled=True, worker_threads=3, jobs=at_work.jobs) as db:
        idle = ended(db, db.enqueue_job("where")).result["pid"]
        files = [tmp_path / "soft", tmp_path / "deaf"]
        jobs = [
            db.enqueue_job("hang", {"file": str(file), "deaf": file.name == "deaf"})
            for file in files
        ]
        until(lambda: all(file.exists() for file in files), "both to begin")
        db.workers.stop(timeout=0.05)
        back = [db.get_job(job.id) for job in jobs]
    assert [(one.status, one.retries, one.crashes, one.attempt) for one in back] == [
        ("PENDING", 0, 0, 1),
        ("PENDING", 0, 0, 1),
    ]
    assert files[0].with_suffix(".cleaned").read_text() == "True"
    assert all(gone(int(file.read_text())) for file in files)
    assert gone(idle)


def test_stop_waits_for_a_child_that_ends_in_time(path, tmp_path):
    """What runs may end; it is settled before the worker leaves."""
    file = tmp_path / "go-on"
    with Aurora(path, workers_enabled=True, jobs=at_work.jobs) as db:
        job = db.enqueue_job("stages", {"file": str(file)})
        until(lambda: db.get_job(job.id).progress is not None, "the handler to begin")
        file.touch()
        db.workers.stop(timeout=GUARD)
        assert db.get_job(job.id).result == "returned"


# --- what may be registered ------------------------------------------------------------------


async def asynchronous():
    """Not for a child."""


def test_what_a_child_could_not_import_is_refused_at_registration():
    """The error names the type and says how."""

    def inside():
        pass

    jobs = Jobs()
    for function, why in (
        (inside, "is defined inside another function"),
        (lambda: None, "is a lambda"),
        (functools.partial(math.floor, 1.0), "is no function of a module"),
    ):
        with pytest.raises(JobError) as error:
            jobs.job("crunch", process=True)(function)
        assert (
            error.value.message
            == f"the handler of 'crunch' {why}, so no child process can import it"
        )
        assert "at the top of a module" in error.value.hint
    with pytest.raises(JobError, match="'crunch' is async, and a child process has no event loop"):
        jobs.job("crunch", process=True)(asynchronous)
    assert jobs.types() == ()


def run(*arguments, code=None, cwd):
    """A Python program of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments], input=code, capture_output=True, text=True, timeout=GUARD,
        cwd=cwd, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


SCRIPT = """
import sys, time
from aurora_db import Aurora

db = Aurora(sys.argv[1], workers_enabled=True)

@db.job("crunch", process=True)
def crunch(payload):
    return [__name__, payload * 2, len(db.execute("{ _workers { id } }")["_workers"])]

if __name__ == "__main__":
    job = db.enqueue_job("crunch", 21)
    while db.get_job(job.id).finished_at is None:
        time.sleep(0.002)
    print(db.get_job(job.id).result, db.get_job(job.id).error)
    db.close()
"""


def test_a_handler_in_a_script(tmp_path):
    """The child imports it under another name: only the parent runs its main part, or workers."""
    script = tmp_path / "worker"
    script.write_text(SCRIPT)
    assert run("worker", "shop.db", cwd=tmp_path) == "['__mp_main__', 42, 1] None\n"


def test_a_handler_in_a_module_that_is_run(tmp_path):
    """`python -m worker`: the child imports the module by its name."""
    (tmp_path / "worker.py").write_text(SCRIPT)
    assert run("-m", "worker", "shop.db", cwd=tmp_path) == "['worker', 42, 1] None\n"


def test_a_handler_that_was_typed_in_is_refused(tmp_path):
    code = """
from aurora_db import JobError, Jobs
def crunch(): pass
try:
    Jobs().job("crunch", process=True)(crunch)
except JobError as error:
    print(error.message)
"""
    said = "the handler of 'crunch' was typed in, and stands in no file, so no child process can import it\n"
    assert run("-", code=code, cwd=tmp_path) == said
    assert run("-c", code, cwd=tmp_path) == said


def test_a_script_that_runs_its_workers_without_a_guard_is_told(tmp_path):
    """The child would run them too; its job fails with what to write."""
    script = tmp_path / "worker.py"
    script.write_text(
        SCRIPT.replace('if __name__ == "__main__":', "if True:").replace(
            "    job = db.enqueue_job",
            "    if __name__ != '__main__': db.workers.run()\n    job = db.enqueue_job",
        ).replace("process=True)", "process=True, retries=1)")
    )  # fmt: skip
    said = run("worker.py", "shop.db", cwd=tmp_path)
    assert "a child process that imports a job handler cannot run workers itself" in said
    assert said.startswith("None JobError: the handler 'crunch' of '__mp_main__' could not be")


def test_a_handler_whose_module_cannot_be_imported_in_the_child(tmp_path):
    """An ordinary failure, which says what the import raised."""
    (tmp_path / "broken.py").write_text(
        "import os\n"
        "from aurora_db import Jobs\n"
        "jobs = Jobs()\n"
        "if os.getpgrp() == os.getpid(): raise RuntimeError('only in a child')\n"
        "@jobs.job('crunch', process=True, retries=1)\n"
        "def crunch(): pass\n"
    )
    code = """
import time
from aurora_db import Aurora
import broken
with Aurora("shop.db", workers_enabled=True, jobs=broken.jobs) as db:
    job = db.enqueue_job("crunch")
    while db.get_job(job.id).finished_at is None:
        time.sleep(0.002)
    print(db.get_job(job.id).error)
"""
    assert run("-c", code, cwd=tmp_path).endswith(
        "could not be imported in a child process: RuntimeError: only in a child\n"
    )


def test_a_database_in_memory_has_children_too():
    """They open the private file behind it."""
    with Aurora(":memory:", workers_enabled=True, jobs=at_work.jobs) as db:
        db.execute("schema { define collection notes { text: String } }")
        job = db.enqueue_job("note", {"text": "one"})
        assert ended(db, job).result == "written"
        assert db.execute("{ notes { text } }") == {"notes": [{"text": "one"}]}


def test_as_many_children_run_at_once_as_there_are_slots(path, tmp_path):
    """Two slots, two processes at the same time."""
    with Aurora(path, workers_enabled=True, worker_threads=2, jobs=at_work.jobs) as db:
        files = [tmp_path / name for name in "ab"]
        jobs = [db.enqueue_job("hang", {"file": str(file)}) for file in files]
        until(lambda: all(file.exists() for file in files), "both to run at once")
        assert len({file.read_text() for file in files}) == 2
        assert threading.active_count() < 20
        for job in jobs:
            assert db.cancel_job(job.id)
        assert [wait_for(db, job, "CANCELLED").result for job in jobs] == [None, None]


@pytest.mark.parametrize("completing", [False, True])
def test_progress_passes_the_pipe(working, tmp_path, completing):
    """What was said last shows while the handler runs, and stays when it has ended."""
    file = tmp_path / "go-on"
    job = working.enqueue_job("stages", {"file": str(file), "completing": completing})

    def said():
        found = working.get_job(job.id)
        return (found.progress, found.progress_note)

    until(lambda: said() == (0.5, "cutting"), "the progress")
    assert working.get_job(job.id).status == "RUNNING"
    file.touch()
    done = ended(working, job)
    assert (done.status, done.result) == ("COMPLETED", "completed" if completing else "returned")
    assert said() == (0.75, "pasting")


def test_steps_and_sleeps_in_a_child(working):
    """What a step has done before the child died is not done again; a sleep holds no slot."""
    working.execute("schema { define collection notes { text: String } }")
    job = working.enqueue_job("steps", {})
    sleeping = wait_for(working, job, "SCHEDULED")
    assert (sleeping.attempt, sleeping.crashes, sleeping.retries) == (2, 1, 0)
    assert working.execute("{ notes { text } }") == {"notes": [{"text": "one"}]}
    # To the microsecond, for a next attempt must find it over.
    (row,) = working.execute('{ _job_steps(where: {name: "pause"}) { sleep_until } }')["_job_steps"]
    assert row["sleep_until"] == sleeping.run_at
    assert working.workers.stats().running == 0
