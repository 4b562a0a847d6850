"""`aurora work` and `aurora jobs`: every command, its answer, its exit code, and what a mistake is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from aurora_db import Aurora, Fail, ManualClock
from aurora_db.cli import app

GUARD = 60.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def aurora(tmp_path, monkeypatch):
    """Runs one command in the folder of the test; gives its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    # Without a terminal, nothing is cut; messages are not broken into lines.
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 250)

    def run(*words):
        done = CliRunner().invoke(app, words, prog_name="aurora")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
def program(tmp_path):
    """The same in a process of its own, for what imports modules."""

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-m", "aurora_db", *words],
            cwd=tmp_path, check=False, capture_output=True, text=True, timeout=GUARD,
            env={**ENVIRONMENT, "COLUMNS": "250"},
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def shop(tmp_path, claim_one):
    """A database with a job of each kind, by name."""
    with Aurora(tmp_path / "shop.db", clock=ManualClock()) as db:
        jobs = {"done": db.enqueue_job("mail", {"to": "ada"})}
        claim_one(db).complete('{"sent":1}')
        jobs["failed"] = db.enqueue_job("mail", {"to": "bob"}, retries=5)
        claim_one(db).fail(Fail("no such [address]\nof \x1b[31mhis"))
        jobs["later"] = db.enqueue_job("mail", {"to": "cyd"}, "HIGH", delay=60, queue="slow")
        jobs["waiting"] = db.enqueue_job("resize", {"path": "x"}, queue="media", tags=["a"])
        return {name: job.id for name, job in jobs.items()}


def words(text):
    """The cells of the first table row after its head."""
    return [line.split() for line in text.splitlines()]


# --- jobs: look -----------------------------------------------------------------------------


def test_list_shows_the_newest_first(aurora, shop):
    """One line a job, with its error's first line; nothing in it is taken for markup or for a command."""
    code, out, error = aurora("jobs", "shop.db", "list")
    assert (code, error) == (0, "")
    head, *rows = words(out)
    assert head == ["id", "status", "type", "queue", "failures", "when", "error"]
    assert [row[:5] for row in rows] == [
        [shop["waiting"], "PENDING", "resize", "media", "0/3"],
        [shop["later"], "SCHEDULED", "mail", "slow", "0/3"],
        [shop["failed"], "FAILED", "mail", "default", "1/5"],
        [shop["done"], "COMPLETED", "mail", "default", "0/3"],
    ]
    assert out.splitlines()[3].endswith("no such [address]")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--status", "FAILED"], ["failed"]),
        (["-s", "failed", "-s", "completed"], ["failed", "done"]),
        (["--type", "mail", "--queue", "slow"], ["later"]),
        (["--where", '{"payload.to": "ada"}'], ["done"]),
        (["--limit", "2"], ["waiting", "later"]),
    ],
)
def test_list_chooses(aurora, shop, options, names):
    """By status, type, queue or any condition."""
    code, out, _ = aurora("jobs", "shop.db", "list", *options, "--json")
    assert (code, out.count("\n")) == (0, 1)
    assert [one["id"] for one in json.loads(out)] == [shop[name] for name in names]


def test_list_says_that_there_are_more_or_none(aurora, shop):
    """A list that was cut does not look whole."""
    assert aurora("jobs", "shop.db", "list", "-n", "2")[1].splitlines()[-1] == (
        "the newest 2; --limit shows more"
    )
    assert aurora("jobs", "shop.db", "list", "--type", "nothing") == (0, "no jobs\n", "")
    assert aurora("jobs", "shop.db", "list", "--type", "nothing", "--json") == (0, "[]\n", "")


def test_show_tells_all_of_a_job(aurora, shop):
    """Its fields, and why it is as it is."""
    code, out, _ = aurora("jobs", "shop.db", "show", shop["waiting"])
    assert code == 0
    assert ["payload", '{"path":"x"}'] in words(out)
    assert ["tags", '["a"]'] in words(out)
    assert "PENDING: no worker is alive" in out
    code, out, _ = aurora("jobs", "shop.db", "show", shop["failed"], "--json")
    told = json.loads(out)
    assert (told["status"], told["priority"], told["payload"]) == (
        "FAILED",
        "NORMAL",
        {"to": "bob"},
    )
    assert told["why"].startswith("FAILED: attempt 1 failed for good")


def test_why(aurora, shop):
    """The sentences of db.why."""
    code, out, _ = aurora("jobs", "shop.db", "why", shop["waiting"])
    assert (code, out.splitlines()[0]) == (
        0,
        "PENDING: no worker is alive: start one, by `aurora work` or workers_enabled=True.",
    )
    assert (
        json.loads(aurora("jobs", "shop.db", "why", shop["done"], "--json")[1])["id"]
        == shop["done"]
    )


def test_errors_shows_tracebacks_and_nothing_that_moves_the_cursor(aurora, shop):
    """Of one job all of it, of all jobs a line each."""
    code, out, _ = aurora("jobs", "shop.db", "errors", shop["failed"])
    assert code == 0
    assert out.startswith("attempt 1, 2026-01-01T00:00:00Z: no such [address]\nof \ufffd[31mhis\n")
    assert "aurora_db.jobs.handlers.Fail" in out
    code, out, _ = aurora("jobs", "shop.db", "errors")
    assert words(out)[1][:3] == [shop["failed"], "1", "2026-01-01T00:00:00Z"]
    assert (
        json.loads(aurora("jobs", "shop.db", "errors", "--json")[1])[0]["job_id"] == shop["failed"]
    )
    assert aurora("jobs", "shop.db", "errors", shop["done"]) == (0, "no failures\n", "")


# --- jobs: change ---------------------------------------------------------------------------


def status(aurora, id):
    return json.loads(aurora("jobs", "shop.db", "show", id, "--json")[1])["status"]


def test_retry_of_one_and_of_many(aurora, shop):
    """One that has not ended is told, by exit code 1; many are the FAILED ones unless a status is named."""
    assert aurora("jobs", "shop.db", "retry", shop["failed"]) == (
        0,
        f"{shop['failed']}: run again\n",
        "",
    )
    code, out, _ = aurora("jobs", "shop.db", "retry", shop["failed"], shop["done"], "--json")
    assert (code, json.loads(out)) == (
        1,
        {"changed": [shop["done"]], "unchanged": [shop["failed"]]},
    )
    assert aurora("jobs", "shop.db", "retry", "--type", "mail") == (0, "0 jobs run again\n", "")
    assert aurora("jobs", "shop.db", "cancel", "--type", "mail") == (0, "3 jobs cancelled\n", "")
    again = ("jobs", "shop.db", "retry", "--type", "mail", "--status", "cancelled")
    assert aurora(*again, "--json") == (0, '{"count":3}\n', "")


def test_cancel_of_one_and_of_many(aurora, shop):
    """What has ended already is told, by exit code 1."""
    assert aurora("jobs", "shop.db", "cancel", shop["done"]) == (
        1,
        f"{shop['done']}: has ended already\n",
        "",
    )
    assert aurora("jobs", "shop.db", "cancel", "--queue", "media") == (0, "1 job cancelled\n", "")
    assert status(aurora, shop["waiting"]) == "CANCELLED"
    assert aurora("jobs", "shop.db", "cancel", "--all") == (0, "1 job cancelled\n", "")


def test_pause_and_resume(aurora, shop):
    """Twice is told, and no error."""
    assert aurora("jobs", "shop.db", "pause", "media") == (0, "queue 'media' paused\n", "")
    assert aurora("jobs", "shop.db", "pause", "media") == (
        0,
        "queue 'media' was paused already\n",
        "",
    )
    assert "queue 'media' was paused" in aurora("jobs", "shop.db", "why", shop["waiting"])[1]
    assert aurora("jobs", "shop.db", "resume", "media", "--json") == (
        0,
        '{"queue":"media","changed":true}\n',
        "",
    )
    assert aurora("jobs", "shop.db", "resume", "media") == (0, "queue 'media' was not paused\n", "")


def test_prune(aurora, shop):
    """By age and by status."""
    assert aurora("jobs", "shop.db", "prune", "--older-than", "5200w") == (0, "0 jobs pruned\n", "")
    assert aurora("jobs", "shop.db", "prune", "--older-than", "1s", "-s", "failed") == (
        0,
        "1 job pruned\n",
        "",
    )
    assert aurora("jobs", "shop.db", "prune", "--older-than", "1s", "--json") == (
        0,
        '{"count":1}\n',
        "",
    )
    assert len(json.loads(aurora("jobs", "shop.db", "list", "--json")[1])) == 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            ["retry"],
            "say what to retry: ids of jobs, or --type, --queue, --status or --where, or --all",
        ),
        (["cancel", "x", "--all"], "ids of jobs and conditions are two ways to cancel; take one"),
        (["prune", "--older-than", "7x"], "'7x' is no age; write --older-than 7d"),
        (["prune"], "Missing option '--older-than'"),
        (["list", "--status", "lost"], "'lost' is not one of 'scheduled', 'blocked', 'pending'"),
        (["list", "--where", "5"], "not an object"),
        (["list", "--limit", "0"], "greater than or equal to 1"),
        (["lsit"], "No such command 'lsit'"),
        (["why"], "Missing argument 'ID'"),
        ([], "Missing command"),
    ],
)
def test_wrong_usage(aurora, shop, given, says):
    """Exit code 2, and what is wanted."""
    assert shop
    code, out, error = aurora("jobs", "shop.db", *given)
    assert (code, out) == (2, "")
    assert says in error


def test_what_is_not_there(aurora, shop, tmp_path):
    """Exit code 1; no file is made, and as JSON the error is JSON, too."""
    assert shop
    code, _, error = aurora("jobs", "shop.db", "cancel", "nobody")
    assert (code, error) == (
        1,
        "error: no job with the id 'nobody'\n  hint: aurora jobs FILE list shows ids; old jobs are pruned\n",
    )
    code, _, error = aurora("jobs", "shop.db", "why", "nobody", "--json")
    assert (code, json.loads(error)["error"]["code"]) == (1, "not_found")
    assert aurora("jobs", "none.db", "list")[0] == 1
    assert not (tmp_path / "none.db").exists()


COMMANDS = ["list", "show", "why", "errors", "retry", "cancel", "pause", "resume", "prune"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(aurora, command):
    """`--help` shows how it is typed; no file is needed for it."""
    code, out, _ = aurora("jobs", "none.db", command, "--help")
    assert code == 0
    assert f"Example: aurora jobs shop.db {command}" in out


def test_the_help_of_the_group_and_of_work(aurora):
    """All commands are named."""
    code, out, _ = aurora("jobs", "--help")
    assert code == 0
    assert all(f" {command} " in out for command in COMMANDS)
    assert "Example: aurora work shop.jobs:db" in aurora("work", "--help")[1]


# --- work -----------------------------------------------------------------------------------

TASKS = """
from aurora_db import {kind}, Jobs
db = {made}
@db.job("mail")
def mail(payload):
    return payload
@db.job("resize", queue="media")
{how} resize(payload):
    return "small"
"""
KINDS = {
    "Aurora": ("Aurora", 'Aurora("shop.db")', "def"),
    "working": ("Aurora", 'Aurora("shop.db", workers_enabled=True, worker_threads=2)', "def"),
    "AsyncAurora": ("AsyncAurora", 'AsyncAurora("shop.db")', "async def"),
    "Jobs": ("Aurora", "Jobs()", "def"),
}


@pytest.fixture
def worker(tmp_path):
    """Starts `aurora work`; gives the process and its first line."""
    started: list[subprocess.Popen[str]] = []

    def start(*given):
        child = subprocess.Popen(
            [sys.executable, "-m", "aurora_db", "work", *given],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT,
        )  # fmt: skip
        started.append(child)
        assert child.stdout is not None
        return child, child.stdout.readline()

    yield start
    for child in started:
        child.kill()
        child.wait(GUARD)
        assert child.stdout is not None
        child.stdout.close()


def a_module(tmp_path, kind):
    name, made, how = KINDS[kind]
    (tmp_path / "tasks.py").write_text(TASKS.format(kind=name, made=made, how=how))


@pytest.mark.parametrize("kind", KINDS)
def test_work_runs_jobs_until_it_is_told_to_stop(tmp_path, worker, kind):
    """Whatever the module has: a database, also one opened to enqueue only, or a registry and a file."""
    a_module(tmp_path, kind)
    more = ["--file", "shop.db"] if kind == "Jobs" else []
    with Aurora(tmp_path / "shop.db") as db:
        mail, resize = (
            db.enqueue_job("mail", {"to": "ada"}),
            db.enqueue_job("resize", {}, queue="media"),
        )
        child, line = worker("tasks:db", *more, "-c", "3")
        assert line == (
            "working on shop.db: 3 at once, types 'mail' and 'resize', all queues; Ctrl-C stops\n"
        )
        assert db.wait_job(mail.id, timeout=GUARD) == {"to": "ada"}
        assert db.wait_job(resize.id, timeout=GUARD) == "small"
        child.send_signal(signal.SIGTERM)
        assert child.wait(GUARD) == 0
        assert child.stdout.read().splitlines()[-1] == "stopped"
        assert db.execute("{ _workers { id } }") == {"_workers": []}


def test_work_serves_only_the_queues_that_were_named(tmp_path, worker):
    """The others wait, and why says so."""
    a_module(tmp_path, "working")
    with Aurora(tmp_path / "shop.db") as db:
        resize = db.enqueue_job("resize", {}, queue="media")
        child, line = worker("tasks", "--queues", "media, slow", "--json")
        assert json.loads(line) == {
            "file": "shop.db", "types": ["mail", "resize"], "queues": ["media", "slow"], "concurrency": 2,
            "pid": child.pid,
        }  # fmt: skip
        db.wait_job(resize.id, timeout=GUARD)
        later = db.enqueue_job("mail", {})
        assert "serves the queue 'default': worker '" in db.why(later.id)
        child.send_signal(signal.SIGINT)
        assert child.wait(GUARD) == 0
        assert db.get_job(later.id).status == "PENDING"


def test_a_running_job_may_end_and_a_second_signal_ends_at_once(tmp_path, worker):
    """What is left is said."""
    (tmp_path / "tasks.py").write_text("""
import time
from aurora_db import Aurora
db = Aurora("shop.db")
@db.job("slow")
def slow(payload):
    print("began", flush=True)
    time.sleep(600)
""")
    with Aurora(tmp_path / "shop.db") as db:
        job = db.enqueue_job("slow", {})
        child, _ = worker("tasks:db")
        assert child.stdout.readline() == "began\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == (
            "stopping: 0 completed, 0 failed, 1 running, for up to 30 s; once more ends at once\n"
        )
        child.send_signal(signal.SIGINT)
        assert child.wait(GUARD) == 128 + signal.SIGINT
        assert db.get_job(job.id).status == "RUNNING"


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        (["tasks:dbs"], 2, "module 'tasks' has no 'dbs'; did you mean 'tasks:db'?"),
        (
            ["tasks:mail"],
            2,
            "is of type 'RegisteredJob'; an Aurora, AsyncAurora or Jobs is wanted; 'tasks' has 'tasks:db'",
        ),
        (["tasks.py:db"], 2, "'tasks.py' is a path; name the module: aurora work tasks:db"),
        (["nothing:db"], 2, "there is no module 'nothing', seen from"),
        (
            ["two"],
            2,
            "say which of 'two' is the database: MODULE:DB; 'two' has 'two:a' and 'two:b'",
        ),
        (["two:a"], 2, "'two:a' is a registry without a database; say which: --file shop.db"),
        (["two:a", "--file", "shop.db"], 1, "'two:a' has no job handler"),
        (
            ["tasks:db", "--file", "x.db"],
            2,
            "'tasks:db' has its file already, 'shop.db'; leave --file out",
        ),
        (
            ["tasks:db", "--queues", "a,,b"],
            2,
            "'a,,b' is no list of queues; write --queues mail,media",
        ),
        (["tasks:db", "-c", "0"], 2, "greater than or equal to 1"),
        (["3 d:db"], 2, "'3 d' is no name of a module; write MODULE:DB"),
        (
            ["broken:db"],
            1,
            "error: the module 'broken' cannot be imported: ZeroDivisionError: division by zero",
        ),
        (["lost:db"], 1, "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ([], 2, "Missing argument 'MODULE:DB'"),
    ],
)
def test_what_work_cannot_do_is_said(program, tmp_path, given, code, says):
    """Wrong usage is 2; a module that raises is 1, with its traceback."""
    a_module(tmp_path, "Aurora")
    (tmp_path / "two.py").write_text("from aurora_db import Jobs\na, b = Jobs(), Jobs()\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "lost.py").write_text("import nowhere\n")
    found, out, error = program("work", *given)
    assert (found, out) == (code, "")
    assert says in error
    if code == 1 and "cannot be imported" in says:
        assert "Traceback" in error


def test_pause_starts_no_workers(aurora, tmp_path):
    """A person's command does not begin to run jobs, though event handlers wait for any worker."""
    with Aurora(tmp_path / "shop.db") as db:
        db.execute("schema { define collection a { n: Int } define collection b { n: Int } }")
        db.execute(
            'define handler "copy" { on: "insert:a" action: { insertInto(collection: "b", data: {n: "${n}"}) } }'
        )
        db.insert_into("a", {"n": 1})
        assert aurora("jobs", "shop.db", "pause", "media")[0] == 0
        assert db["b"].count() == 0
        assert db.execute("{ _jobs { attempt } }") == {"_jobs": [{"attempt": 0}]}
