"""`assert_enqueued`, `refute_enqueued`, `all_enqueued`: what they take for the same, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from aurora_db import ValidationError


@pytest.fixture
def queued(aurora, testing):
    """Three jobs: an urgent one with tags, a scheduled one in a queue, a plain one."""
    aurora.enqueue_job(
        "mail", {"to": "ada", "parts": [{"n": 1, "size": 2.5}]}, "HIGH", tags=["eu", "vip"]
    )
    aurora.enqueue_job("mail", {"to": "bob", "parts": []}, queue="slow", delay=90)
    aurora.enqueue_job("resize", {"path": "cat.jpg"})
    return testing


def message(call, *args, **named):
    with pytest.raises(AssertionError) as raised:
        call(*args, **named)
    return str(raised.value).splitlines()


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 2),
        ({"payload": {"to": "ada"}}, 1),
        ({"payload": {"parts": [{"n": 1}]}}, 1),
        ({"payload": {"parts": [{"size": pytest.approx(2.5)}], "to": mock.ANY}}, 1),
        ({"payload": {"parts": []}}, 1),
        ({"payload": {"parts": [{"n": 2}]}}, 0),
        ({"payload": {"to": "ada", "cc": None}}, 0),
        ({"queue": "slow"}, 1),
        ({"queue": "default"}, 1),
        ({"priority": "HIGH"}, 1),
        ({"priority": 0}, 1),
        ({"tags": ["vip"]}, 1),
        ({"tags": ["vip", "us"]}, 0),
        ({"within": 89}, 1),
        ({"within": timedelta(seconds=90)}, 2),
        ({"run_at": datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)}, 1),
        ({"run_at": datetime(2026, 1, 1, 0, 1, tzinfo=UTC)}, 0),
        ({"run_at": datetime(2026, 1, 1, 0, 1, tzinfo=UTC), "within": 30}, 1),
    ],
)
def test_what_is_taken_for_the_same(queued, wanted, count):
    """A part of the payload, tags among others, a time within seconds."""
    assert len(queued.all_enqueued("mail", **wanted)) == count
    if count:
        assert queued.assert_enqueued("mail", **wanted) == queued.all_enqueued("mail", **wanted)
        queued.assert_enqueued("mail", **wanted, count=count)
    else:
        queued.refute_enqueued("mail", **wanted)
        queued.assert_enqueued("mail", **wanted, count=0)


def test_any_type(queued):
    assert [job.type for job in queued.all_enqueued()] == ["mail", "mail", "resize"]
    assert [job.type for job in queued.assert_enqueued(queue="default")] == ["mail", "resize"]


def test_a_registered_function_and_a_record(aurora, testing, aurora_jobs):
    """The function stands for its type, a dataclass for its JSON."""

    @dataclass
    class Thumbnail:
        path: str

    @aurora_jobs.job("thumb")
    def thumb(payload):
        pass

    aurora.enqueue_job("thumb", Thumbnail("cat.jpg"))
    testing.assert_enqueued(thumb, payload=Thumbnail("cat.jpg"))
    testing.refute_enqueued(thumb, payload=Thumbnail("dog.jpg"))


def test_null_is_a_payload(aurora, testing):
    aurora.enqueue_job("mail")
    testing.assert_enqueued("mail", payload=None)
    aurora.enqueue_job("resize", {})
    testing.refute_enqueued("resize", payload=None)


def test_the_message_when_nothing_is_enqueued(testing):
    assert message(testing.assert_enqueued, "mail") == [
        "no such job is enqueued",
        "  wanted: type 'mail'",
        "  enqueued: nothing",
    ]


def test_the_message_lists_what_is_enqueued_instead(queued):
    """The nearest first, with what is different about it."""
    assert (
        message(queued.assert_enqueued, "mail", payload={"to": "eve"}, queue="slow")
        == """
no such job is enqueued
  wanted: type 'mail', payload {'to': 'eve'}, queue 'slow'
  enqueued: 3 jobs
    mail {'to': 'bob', 'parts': []}: SCHEDULED, NORMAL, queue 'slow', due in 90 s  <- payload.to is 'bob'
    mail {'to': 'ada', 'parts': [{'n': 1, 'size': 2.5}]}: PENDING, HIGH, tags ['eu', 'vip']  <- payload.to is 'ada'; queue is 'default'
    resize {'path': 'cat.jpg'}: PENDING, NORMAL
""".strip().splitlines()
    )


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"payload": {"parts": [{"n": 2}]}}, "payload.parts[0].n is 1"),
        ({"payload": {"parts": [{}, {}]}}, "payload.parts has 1 items"),
        ({"payload": {"cc": "eve"}}, "no payload.cc"),
        ({"payload": "ada"}, "payload is {'to': 'ada', 'parts': [{'n': 1, 'size': 2.5}]}"),
        ({"payload": {"to": {"name": "ada"}}}, "payload.to is 'ada'"),
        ({"priority": "LOW"}, "priority is HIGH"),
        ({"tags": ["vip", "us"]}, "tags lack ['us']"),
        ({"run_at": datetime(2026, 1, 1, 0, 1, tzinfo=UTC)}, "run_at is not set"),
    ],
)
def test_the_message_names_the_difference(queued, wanted, said):
    lines = message(queued.assert_enqueued, "mail", **wanted)
    assert any(
        line.startswith("    mail {'to': 'ada'") and line.endswith("<- " + said) for line in lines
    ), lines


def test_the_message_says_when_a_job_is_due_too_late(queued):
    lines = message(queued.assert_enqueued, "mail", queue="slow", within=60)
    assert lines[1] == "  wanted: type 'mail', queue 'slow', within 60 s"
    assert any(line.endswith("due in 90 s  <- is due in 90 s") for line in lines)


def test_the_message_says_what_has_run_already(aurora, testing):
    """A test may look too late."""
    aurora.enqueue_job("plain")
    aurora.enqueue_job("says", "cancel")
    testing.drain()
    assert message(testing.assert_enqueued, "plain")[-1] == "  no longer waiting: 1 COMPLETED"


def test_the_message_counts(queued):
    lines = message(queued.assert_enqueued, "mail", count=3)
    assert lines[:3] == [
        "2 jobs of this kind, not 3",
        "  wanted: type 'mail'",
        "  enqueued: 3 jobs",
    ]


def test_the_message_of_what_shall_not_be_there(queued):
    assert message(queued.refute_enqueued, "mail", priority="HIGH") == [
        "1 job of this kind is enqueued",
        "  refused: type 'mail', priority HIGH",
        "    mail {'to': 'ada', 'parts': [{'n': 1, 'size': 2.5}]}: PENDING, HIGH, tags ['eu', 'vip']",
    ]


def test_a_long_list_is_cut(aurora, testing):
    """Twenty jobs are enough to see what is the matter, and 200 characters of each."""
    aurora.enqueue_jobs("plain", ["x" * 500] * 25)
    lines = message(testing.assert_enqueued, "mail")
    assert len(lines) == 3 + 20 + 1
    assert lines[-1] == "    … and 5 more"
    assert all(len(line) < 260 for line in lines)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"tags": "vip"}, "'tags' is a list of texts, got 'vip'"),
        ({"priority": "SOON"}, "'SOON' is not a priority"),
        ({"within": -1}, "'within' is a duration in seconds from 0, got -1"),
        ({"run_at": datetime(2026, 1, 1)}, "'run_at' is an aware datetime"),
        ({"type": 3}, "'type' is a job type"),
    ],
)
def test_what_no_job_can_be_is_refused(testing, wanted, said):
    """Else a test that refutes it would always pass."""
    with pytest.raises(ValidationError) as raised:
        testing.refute_enqueued(**wanted)
    assert said in str(raised.value)


def test_an_unknown_word_is_refused(testing):
    with pytest.raises(TypeError, match="unexpected keyword argument 'payloads'"):
        testing.assert_enqueued("mail", payloads={})


def test_what_an_open_transaction_holds_is_not_enqueued_yet(aurora, testing):
    with aurora.transaction() as tx:
        tx.enqueue_job("mail")
        testing.refute_enqueued("mail")
    testing.assert_enqueued("mail")


async def test_an_asynchronous_database_expects_without_await(aurora_async):
    """An `await` that is forgotten would be a test that always passes."""
    await aurora_async.enqueue_job("mail", {"to": "ada"})
    aurora_async.jobs_testing.assert_enqueued("mail", payload={"to": "ada"})
    with pytest.raises(AssertionError, match="1 job of this kind is enqueued"):
        aurora_async.jobs_testing.refute_enqueued("mail")
