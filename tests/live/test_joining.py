"""The moment in which a subscription joins the tailer."""

from __future__ import annotations

import threading

from aurora_db.live.feed import Feed
from aurora_db.live.subscription import Stream

GUARD = 30.0


def test_who_takes_while_it_joins_misses_nothing(db, monkeypatch):
    """A change that was committed before the tailer took the subscription in is not counted as had."""
    committed, joined, taken = threading.Event(), threading.Event(), threading.Event()
    look, admit = Feed._look, Stream.admit

    def looks_late(feed):
        assert committed.wait(GUARD)
        look(feed)

    def admits_slowly(stream, missed):
        found = admit(stream, missed)
        joined.set()
        assert taken.wait(GUARD)
        return found

    monkeypatch.setattr(Feed, "_look", looks_late)
    monkeypatch.setattr(Stream, "admit", admits_slowly)
    db.define("notes", {"n": "Int"})
    with db.listen("notes") as changes:
        db["notes"].insert({"n": 1})
        committed.set()
        assert joined.wait(GUARD)
        try:
            first = changes.next(0)
        except TimeoutError:
            first = None
        taken.set()

        assert (first or changes.next(GUARD)).new["n"] == 1
