"""The seed guide works to the letter: its AQL verbatim, its Python in our names."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from aurora_db import Aurora, AuroraConfig, JobHandler

GUIDE = Path(__file__).with_name("seed-guide.aql").read_text()


def test_the_guides_aql_runs_as_it_stands(db):
    """The three statements run as one text: a job, a handler, and the look at failed jobs."""
    db.execute("schema { define collection products { name: String image_url: String } }")
    enqueued, defined, failed = db.execute(GUIDE)
    assert list(enqueued["enqueueJob"]) == ["jobId"]
    assert (defined["name"], defined["status"], defined["compiled"]) == (
        "auto_thumbnail",
        "registered",
        "TRIGGER",
    )
    assert failed == {"_jobs": []}
    job = db.get_job(enqueued["enqueueJob"]["jobId"])
    assert (job.type, job.payload, job.max_retries) == (
        "process_image",
        {"path": "/uploads/cat.jpg"},
        5,
    )


def test_the_guides_handler_enqueues_with_the_product(db):
    """A new product enqueues the thumbnail job of its own id and path."""
    db.execute("schema { define collection products { name: String image_url: String } }")
    db.execute(GUIDE)
    product = db.insert_into("products", {"name": "Cat", "image_url": "/uploads/dog.png"})
    last = db.execute("{ _jobs { type payload } }")["_jobs"][-1]
    assert last == {
        "type": "process_image",
        "payload": {"product_id": product, "path": "/uploads/dog.png"},
    }


@pytest.mark.parametrize("path", ["/uploads/dog.png"])
def test_the_guides_python(tmp_path, path):
    """Open with a config, register a class with an async handle, enqueue with priority 0."""
    seen: list[str] = []
    done = threading.Event()

    class ImageProcessor(JobHandler):
        async def handle(self, job):
            seen.append(job.payload["path"])
            done.set()

    config = AuroraConfig(path=tmp_path / "shop.db", workers_enabled=True, worker_threads=4)
    with Aurora.with_config(config) as db:
        db.workers().register_handler("process_image", ImageProcessor())
        job = db.enqueue_job("process_image", {"path": path}, 0)
        assert done.wait(30)
    assert seen == [path]
    with Aurora(tmp_path / "shop.db") as db:
        assert db.get_job(job.id).status == "COMPLETED"


def test_retries_end_as_failed(db, clock):
    """Failures count up; when they reach max_retries the job is FAILED and shows its error."""
    db.execute("schema { define collection products { name: String image_url: String } }")

    @db.job("process_image")
    def process_image(_payload):
        raise ValueError("broken")

    job = db.enqueue_job("process_image", {"path": "x"}, retries=3)
    waits = []
    for _ in range(3):
        db.jobs_testing.drain()
        now = db.get_job(job.id)
        if now.status == "SCHEDULED":
            waits.append((now.run_at - clock.now()).total_seconds())
            clock.advance(60)
    assert [round(wait / 5) for wait in waits] == [1, 2]
    failed = db.execute(GUIDE)[2]["_jobs"]
    assert [(row["id"], row["error"]) for row in failed] == [(job.id, "ValueError: broken")]
    assert failed[0]["last_retry"] is not None
