"""Merging changes: of each document one change, which does what all of them did."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_db import ValidationError
from aurora_db.live import holding
from aurora_db.live.holding import Hold
from aurora_db.store.changes import Changed

LIMIT = 5


def changed(seq, old, new):
    """One change of the feed, of a document or its absence before and after."""
    op = "insert" if old is None else "delete" if new is None else "update"
    images = [None if one is None else json.dumps(one) for one in (old, new)]
    id = (old or new)["id"]
    return Changed((seq, "t", op, id, *images, "2026-01-01T00:00:00Z", False))


def matching(document):
    return document is not None and document["n"] >= LIMIT


def heard(states):
    """Changes through these states of numbers, of document "a"; those that touch what is from 5 up."""
    documents = [None if n is None else {"id": "a", "n": n} for n in states]
    found = []
    for seq, (old, new) in enumerate(itertools.pairwise(documents), 1):
        before, after = matching(old), matching(new)
        if before or after:
            found.append((0, changed(seq, old, new), before, after))
    return found


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([None, 5, 6], ("insert", None, 6, False, True)),  # INSERT, UPDATE: INSERT of the new state
        ([None, 5, None], None),  # INSERT, DELETE: nothing
        ([5, 1, 6], ("update", 5, 6, True, True)),  # LEAVE, ENTER: UPDATE
        ([5, 1, 2, 7], ("update", 5, 7, True, True)),  # in between it was not even looked at
        ([1, 5, 2], None),  # ENTER, LEAVE: nothing
        ([5, 6, None], ("delete", 5, None, True, False)),  # UPDATE, DELETE: DELETE
        ([5, None, 6], ("update", 5, 6, True, True)),  # DELETE, INSERT again: UPDATE
        ([1, 5, 6], ("update", 1, 6, False, True)),  # ENTER, UPDATE: ENTER of the new state
    ],
)
def test_changes_of_one_document_become_one(states, said):
    """What several changes in a row are when they are told as one."""
    found = holding.merged(heard(states), 0, 9).get(0, [])
    if said is None:
        assert found == []
        return
    [(_, change, before, after)] = found
    old = None if change.old is None else change.old["n"]
    new = None if change.new is None else change.new["n"]
    assert (change.op, old, new, before, after) == said


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 9)), max_size=40))
def test_what_is_merged_does_what_all_of_it_did(steps):
    """Whoever applies the merged changes has the documents of whoever applied every single one."""
    now = {}
    changes = []
    for seq, (id, n) in enumerate(steps, 1):
        old, new = now.get(id), None if n is None else {"id": id, "n": n}
        if old is None and new is None:
            continue
        now[id] = new
        before, after = matching(old), matching(new)
        if before or after:
            changes.append((0, changed(seq, old, new), before, after))
    for start in range(len(changes) + 1):
        known = applied({}, changes[:start])
        last = applied(dict(known), changes[start:])
        found = holding.merged(changes[start:], 0, 100).get(0, [])
        assert applied(dict(known), found) == last
        order = list(dict.fromkeys(one[1].id for one in changes[start:]))
        told = [one[1].id for one in found]
        assert told == [id for id in order if id in told]
        assert len(set(told)) == len(told)


def applied(documents, changes):
    """The documents after the changes; each must fit what is there."""
    for _, change, before, after in changes:
        assert (change.id in documents) == before
        if after:
            documents[change.id] = change.new
        else:
            del documents[change.id]
    return documents


def test_only_the_last_of_them_stands_at_the_end():
    """Whoever goes on after one in the middle is told all of them again, and misses none."""
    changes = [*heard([None, 5, 6]), (0, changed(3, None, {"id": "b", "n": 7}), False, True)]
    found = holding.merged(changes, 0, 8)[0]
    assert [(one[1].id, one[1].seq) for one in found] == [("a", 0), ("b", 8)]


def test_a_debounce_waits_for_silence_but_not_for_ever():
    """Each change begins the silence anew, until ten times its seconds have passed since the first."""
    hold = Hold(debounce=2.0)
    assert hold.waits(0.0) is None
    hold.came(0.0)
    assert hold.waits(0.0) == 2.0
    hold.came(1.5)
    assert (hold.waits(2.0), hold.waits(3.5)) == (1.5, 0.0)
    for now in range(2, 20):
        hold.came(float(now))
    assert hold.waits(19.0) == 1.0
    hold.said(20.0)
    assert hold.waits(20.0) is None


def test_a_throttle_says_the_first_at_once_and_then_waits():
    """Between what is said and the next lie so many seconds at least."""
    hold = Hold(throttle=2.0)
    hold.came(0.0)
    assert hold.waits(0.0) == 0.0
    hold.said(0.0)
    hold.came(0.5)
    assert (hold.waits(0.5), hold.waits(2.5)) == (1.5, 0.0)


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_a_duration_is_a_number_from_0(seconds):
    """Anything else is refused, with what to write."""
    with pytest.raises(ValidationError, match="'debounce' is a duration of 0 seconds or more"):
        holding.hold(seconds, 0.0)
