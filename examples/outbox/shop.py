"""The shop: orders, and the event handlers that tell the world of them.

They are part of the database: an order and the delivery of its event commit together, whoever
writes the order.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import msgspec

from aurora_db import Aurora, Fail, JobContext, Jobs

SCHEMA = """
schema {
  define collection orders { customer: String!  total: Float! @validate(min: 0)  status: String! = "new" }
  define collection deliveries { order: ID!  event: String!  posts: Int!  @@unique(fields: [order, event]) }
}
define handler "tell_of_new_orders" {
  on: "insert:orders"
  action: { enqueueJob(
    type: "deliver", queue: "webhooks", retries: 30, backoff: {kind: "exponential", base: 0.02, cap: 0.5},
    payload: { event: "order.${status}", order: "${id}", total: "${total}" }
  ) }
}
define handler "tell_of_changes" {
  on: "update:orders"
  fields: [status]
  action: { enqueueJob(
    type: "deliver", queue: "webhooks", retries: 30, backoff: {kind: "exponential", base: 0.02, cap: 0.5},
    payload: { event: "order.${status}", order: "${id}", total: "${total}" }
  ) }
}
"""


class Event(msgspec.Struct):
    """What a receiver is told."""

    event: str
    order: str
    total: float


def make(db: Aurora) -> None:
    """Define the collections and the event handlers; the same again changes nothing."""
    db.execute(SCHEMA)


def handlers(url: str) -> Jobs:
    """The registry of a worker that posts events to `url`."""
    jobs = Jobs()

    @jobs.job("deliver", timeout=5)
    def deliver(event: Event, job: JobContext) -> None:
        """Post one event, and keep that it was delivered.

        A post may arrive whose answer does not: then the next attempt posts the same again. The id of
        the job is the same for all of them, so the receiver can tell by its header.
        """
        post(url, job.id, msgspec.to_builtins(event))
        with job.completing() as tx:
            kept = {"order": event.order, "event": event.event, "posts": job.attempt}
            tx["deliveries"].insert(kept)

    return jobs


def post(url: str, key: str, body: dict[str, object]) -> None:
    """Post `body` under an idempotency key.

    Raises:
        Fail: the receiver will never take it: another attempt would be in vain.
        OSError: it did not work this time.
    """
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=2):
            return
    except urllib.error.HTTPError as error:
        if 400 <= error.code < 500 and error.code not in (408, 429):
            raise Fail(f"the receiver refused it: {error.code} {error.reason}") from error
        raise
