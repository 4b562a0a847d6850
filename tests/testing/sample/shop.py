"""A shop: who orders gets a receipt, and the books count each order once."""

from typing import Any

from aurora_db import Aurora, JobContext, Jobs

SCHEMA = """
schema {
  define collection orders if not exists { customer: String! total: Float! paid: Boolean! = false }
  define collection books if not exists { order: ID! total: Float! }
}
define handler "count" if not exists {
  on: "insert:orders"
  action: { enqueueJob(type: "count_order", payload: { order: "${id}", total: "${total}" }) }
}
"""

jobs = Jobs()
#: Receipts that went out; a real shop sends mails.
sent: list[str] = []


def order(db: Aurora, customer: str, total: float) -> str:
    """Take an order; the receipt follows in the same commit."""
    with db.transaction() as tx:
        id = tx.insert_into("orders", {"customer": customer, "total": total})
        tx.enqueue_job("receipt", {"customer": customer}, queue="mail", delay=60)
    return id


@jobs.job("receipt", retries=5, backoff=30)
def receipt(payload: dict[str, str], job: JobContext) -> str:
    """Send a receipt. It may go out twice when a worker dies: a mail cannot be rolled back."""
    if not payload["customer"]:
        raise ValueError("nobody to write to")
    sent.append(payload["customer"])
    return f"attempt {job.attempt}"


@jobs.job("count_order")
def count_order(payload: dict[str, Any], job: JobContext) -> None:
    """Enter an order in the books: exactly once, for it commits together with the completion."""
    with job.completing() as tx:
        tx.insert_into("books", {"order": payload["order"], "total": payload["total"]})
