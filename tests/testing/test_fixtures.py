"""The fixtures of the plug-in: what they open, and how a test says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aurora_db import AsyncAurora, Aurora, DatabaseClosed, Jobs, ManualClock, SystemClock

mine = Jobs()
mine.job("mine")(lambda: "ran")

opened = []


def test_aurora_is_in_memory(aurora, aurora_clock, aurora_jobs):
    """A blocking database, empty, with the clock and the registry of the fixtures."""
    assert isinstance(aurora, Aurora)
    assert aurora.config.path == ":memory:"
    assert aurora.config.clock is aurora_clock is aurora.jobs_testing.clock
    assert isinstance(aurora_clock, ManualClock)
    assert aurora._jobs is aurora_jobs
    assert aurora.execute("{ _jobs { id } }") == {"_jobs": []}
    opened.append(aurora)


def test_aurora_file_is_a_file(aurora_file, tmp_path):
    """Another process opens it, too."""
    assert aurora_file.config.path == tmp_path / "aurora.db"
    code = "import sys; from aurora_db import Aurora; Aurora(sys.argv[1]).enqueue_job('far')"
    subprocess.run([sys.executable, "-c", code, tmp_path / "aurora.db"], check=True, timeout=60)
    aurora_file.jobs_testing.assert_enqueued("far", count=1)
    opened.append(aurora_file)


async def test_aurora_async_serves_coroutines(aurora_async):
    assert isinstance(aurora_async, AsyncAurora)
    job = await aurora_async.enqueue_job("plain", 3)
    assert (await aurora_async.jobs_testing.drain()).completed == 1
    assert (await aurora_async.get_job(job.id)).result == 3
    opened.append(aurora_async)


def test_all_of_them_are_closed_at_the_end():
    """The databases of the tests above take no verb any more."""
    assert len(opened) == 3
    for db in opened:
        with pytest.raises(DatabaseClosed):
            db._engine.data_version()


@pytest.mark.aurora(jobs=mine, worker_threads=2, feed_retention=60)
def test_the_marker_says_registry_and_options(aurora):
    assert aurora.config.worker_threads == 2
    assert aurora.config.feed_retention == 60
    aurora.enqueue_job("mine")
    assert aurora.jobs_testing.drain().completed == 1


@pytest.mark.aurora(mode="inline")
def test_the_marker_says_the_mode(aurora, aurora_file):
    for db in (aurora, aurora_file):
        job = db.enqueue_job("plain", 1)
        assert db.get_job(job.id).status == "COMPLETED"


@pytest.mark.aurora(mode="inline", raises=True)
class TestClass:
    def test_a_class_may_have_the_marker(self, aurora):
        with pytest.raises(ValueError, match="attempt 1"):
            aurora.enqueue_job("fails", {"times": 1})

    @pytest.mark.aurora(mode="manual")
    def test_the_nearest_marker_counts(self, aurora):
        job = aurora.enqueue_job("fails", {"times": 1})
        assert aurora.get_job(job.id).status == "PENDING"


class TestOptions:
    @pytest.fixture
    def aurora_options(self):
        return {"worker_threads": 3, "clock": SystemClock()}

    def test_a_fixture_may_say_options(self, aurora):
        assert aurora.config.worker_threads == 3
        assert isinstance(aurora.config.clock, SystemClock)

    @pytest.mark.aurora(worker_threads=5)
    def test_the_marker_counts_before_it(self, aurora):
        assert aurora.config.worker_threads == 5


@pytest.mark.aurora(workers_enabled=True, clock=SystemClock())
def test_real_workers_can_be_asked_for(aurora):
    """Then jobs run by themselves."""
    import threading

    ran = threading.Event()
    aurora.job("rings")(ran.set)
    aurora.enqueue_job("rings")
    assert ran.wait(30)


def test_a_registry_of_a_module_serves_one_test_after_the_other():
    """A database that is closed is no longer one of those that use it."""
    for _ in range(3):
        db = Aurora(":memory:", jobs=mine)
        assert mine.database() is db
        db.close()


def test_a_registry_of_a_module_keeps_no_closed_database_alive():
    import gc
    import weakref

    db = Aurora(":memory:", jobs=mine)
    engine = weakref.ref(db._engine)
    db.close()
    del db
    gc.collect()
    assert engine() is None
    mine.job(f"later {id(engine)}")(lambda: None)
