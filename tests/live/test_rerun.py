"""Queries that look further than one document: read again by key, or whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.live.following import HANG, Followed

from aurora_db import Unsupported
from aurora_db.live import keyed
from aurora_db.live.rerun import Kept, Rerun

if TYPE_CHECKING:
    from aurora_db import Aurora

BLOG = """
    schema {
        define collection users { name: String }
        define collection posts { title: String  author: ID @relation(to: "users", onDelete: SET_NULL) }
        define collection notes { post: ID  text: String }
    }
"""


@pytest.fixture
def blog(db: Aurora) -> Aurora:
    """Two authors, and one post with a note."""
    db.execute(BLOG)
    db["users"].insert_many([{"id": "u1", "name": "Ada"}, {"id": "u2", "name": "Bob"}])
    db["posts"].insert({"id": "p1", "title": "one", "author": "u1"})
    db["notes"].insert({"id": "n1", "post": "p1", "text": "good"})
    return db


def test_a_relation_is_followed(blog: Aurora):
    """The query shows what the related document has become, and the one that came in its place."""
    live = Followed(blog, "{ posts { title author { name } } }")
    assert isinstance(live.root, Kept)
    assert live.take() == [{"title": "one", "author": {"name": "Ada"}}]

    blog["users"].update("u1", {"name": "Ann"})
    assert live.take() == [{"title": "one", "author": {"name": "Ann"}}]

    blog["posts"].update("p1", {"author": "u2"})
    assert live.take() == [{"title": "one", "author": {"name": "Bob"}}]

    blog["users"].delete("u2")
    assert live.take() == [{"title": "one", "author": None}]


def test_a_relation_is_followed_from_its_other_side(blog: Aurora):
    """Documents that come, go, and move from one to another."""
    live = Followed(blog, "{ users { name posts { title } } }")
    assert live.take() == [
        {"name": "Ada", "posts": [{"title": "one"}]},
        {"name": "Bob", "posts": []},
    ]

    blog["posts"].update("p1", {"author": "u2"})
    assert live.take() == [
        {"name": "Ada", "posts": []},
        {"name": "Bob", "posts": [{"title": "one"}]},
    ]

    blog["posts"].delete("p1")
    assert live.take() == [{"name": "Ada", "posts": []}, {"name": "Bob", "posts": []}]


def test_a_lookup_is_followed_through_several_collections(blog: Aurora):
    """A note changes what is shown of the author of its post."""
    lookup = 'lookup(collection: "notes" localField: "id" foreignField: "post") { text }'
    live = Followed(blog, f"{{ users {{ name posts {{ {lookup} }} }} }}")
    assert live.take()[0] == {"name": "Ada", "posts": [{"lookup": [{"text": "good"}]}]}

    blog["notes"].update("n1", {"text": "bad"})

    assert live.take()[0] == {"name": "Ada", "posts": [{"lookup": [{"text": "bad"}]}]}


def test_only_what_was_touched_is_read_again(blog: Aurora):
    """A change elsewhere brings the ids of the documents that lead there, not all."""
    live = Followed(blog, "{ users { name posts { title } } }")
    live.take()
    read: list[list[str]] = []
    snapshots = live.root._snapshots
    among = snapshots.among

    async def noted(port: Any, ids: Any) -> Any:
        read.append(list(ids))
        return await among(port, ids)

    snapshots.among = noted
    blog["posts"].update("p1", {"title": "two"})
    live.take()

    assert read == [["u1"]]


def test_a_change_of_a_field_that_is_not_read_is_no_reason_to_ask(blog: Aurora):
    """The collections and fields that a query looks into decide."""
    blog.execute("schema { alter collection users { add seen: Int } }")
    live = Followed(blog, "{ posts { author { name } } }")
    live.take()

    blog["users"].update("u1", {"seen": 1})
    blog["users"].update("u1", {"name": "Ann"})

    assert live.rest() == [[{"author": {"name": "Ann"}}]]


def test_more_than_a_thousand_touched_documents_are_read_at_once(blog: Aurora):
    """The query is run whole then, with the same result."""
    most = keyed.MOST
    blog["posts"].insert_many(
        [{"id": f"q{n}", "title": "t", "author": "u2"} for n in range(most + 1)]
    )
    live = Followed(blog, '{ posts(where: {author: {name: "Bob"}}) { author { name } } }')
    assert len(live.take()) == most + 1

    blog["users"].update("u2", {"name": "Rob"})

    assert live.take() == []


def test_events_over_relations(blog: Aurora):
    """A condition over a relation: documents enter and leave by changes elsewhere."""
    live = Followed(
        blog,
        """subscription { posts(where: {author: {name: "Ada"}} initial: true) {
            mutation id node { title author { name } } old { title } changed } }""",
    )
    assert [one["mutation"] for one in live.some(2)] == ["INITIAL", "READY"]

    blog["users"].update("u1", {"name": "Ann"})
    assert live.take() == {
        "mutation": "LEAVE", "id": "p1", "node": {"title": "one", "author": {"name": "Ann"}},
        "old": {"title": "one"}, "changed": ["author"],
    }  # fmt: skip

    blog["users"].update("u1", {"name": "Ada"})
    assert live.take() == {
        "mutation": "ENTER", "id": "p1", "node": {"title": "one", "author": {"name": "Ada"}},
        "old": None, "changed": [],
    }  # fmt: skip

    blog["posts"].insert({"id": "p2", "title": "two", "author": "u1"})
    assert live.take()["mutation"] == "INSERT"

    blog["posts"].update("p2", {"title": "three"})
    assert live.take() == {
        "mutation": "UPDATE", "id": "p2", "node": {"title": "three", "author": {"name": "Ada"}},
        "old": {"title": "two"}, "changed": ["title"],
    }  # fmt: skip

    blog["posts"].delete("p2")
    assert live.take() == {
        "mutation": "DELETE", "id": "p2", "node": None, "old": {"title": "three"}, "changed": [],
    }  # fmt: skip


def test_events_without_a_position_of_their_own_begin_anew(blog: Aurora):
    """What was said before a position is not known of a query over relations: RESET, then what matches."""
    text = 'subscription { posts(where: {author: {name: "Ada"}}) { mutation id position } }'
    live = Followed(blog, text)
    blog["posts"].update("p1", {"title": "two"})
    position = live.stream.position
    live.rest()
    live.stream.close()
    blog["posts"].insert({"id": "p2", "title": "two", "author": "u1"})

    again = Followed(blog, text, since=position)

    assert [one["mutation"] for one in again.some(4)] == ["RESET", "INITIAL", "INITIAL", "READY"]


def test_a_search_is_run_again(db: Aurora):
    """Its ranks depend on all documents."""
    db.execute("schema { define collection pages { body: String @search } }")
    db["pages"].insert({"id": "a", "body": "red apples"})
    live = Followed(db, '{ pages(search: {query: "red"}) { id } }')
    assert isinstance(live.root, Rerun)
    assert live.take() == [{"id": "a"}]

    db["pages"].insert({"id": "b", "body": "green"})
    db["pages"].insert({"id": "c", "body": "red"})

    assert live.rest()[-1] == [{"id": "c"}, {"id": "a"}]


def test_a_page_is_run_again(blog: Aurora):
    """With its counts."""
    live = Followed(blog, "{ users(first: 1) { nodes { name } totalCount } }")
    assert live.take() == {"nodes": [{"name": "Ada"}], "totalCount": 2}

    blog["users"].insert({"id": "u3", "name": "Cy"})

    assert live.take() == {"nodes": [{"name": "Ada"}], "totalCount": 3}


def test_jobs_are_followed_by_their_status(db: Aurora):
    """One that is enqueued, and one that is cancelled; all fields can be shown."""
    live = Followed(db, '{ _jobs(where: {type: "mail"}) { type status payload } }')
    assert isinstance(live.root, Kept)
    assert live.take() == []

    db.enqueue_job("other", {})
    job = db.enqueue_job("mail", {"to": "ada"})
    assert live.take() == [{"type": "mail", "status": "PENDING", "payload": {"to": "ada"}}]

    db.cancel_job(job.id)
    assert live.take() == [{"type": "mail", "status": "CANCELLED", "payload": {"to": "ada"}}]


def test_events_of_jobs(db: Aurora):
    """They come, change their status, and leave a condition on it."""
    live = Followed(
        db,
        'subscription { _jobs(where: {status: "PENDING"}) { mutation id node { status } old { status } } }',
    )

    job = db.enqueue_job("mail", {})
    assert live.take() == {
        "mutation": "INSERT", "id": job.id, "node": {"status": "PENDING"}, "old": None,
    }  # fmt: skip

    db.cancel_job(job.id)
    assert live.take() == {
        "mutation": "LEAVE", "id": job.id, "node": {"status": "CANCELLED"}, "old": {"status": "PENDING"},
    }  # fmt: skip


def test_a_collection_without_a_feed_is_asked_after_every_commit(working: Aurora):
    """Queues are paused without a change in the feed."""
    live = Followed(working, "{ _queues { name } }")
    assert live.take() == []

    working.workers.pause("mail")

    assert live.take() == [{"name": "mail"}]


def test_events_of_a_collection_without_a_feed(working: Aurora):
    """Their id is the name."""
    live = Followed(working, "subscription { _queues { mutation id node { name } } }")

    working.workers.pause("mail")

    assert live.take() == {"mutation": "ENTER", "id": "mail", "node": {"name": "mail"}}


def test_a_quiet_collection_is_refused(db: Aurora):
    """Also where it is only looked into."""
    db.execute("""
        schema {
            define collection logs @quiet { text: String }
            define collection users { log: ID @relation(to: "logs") }
        }
    """)

    for text in ("{ logs { text } }", "{ users { log { text } } }", "subscription { logs { id } }"):
        with pytest.raises(Unsupported, match="'logs' is @quiet"):
            Followed(db, text)


def test_altering_a_related_collection_begins_anew(blog: Aurora):
    """RESET for the definition, then what matches by the new one."""
    text = 'subscription { posts(where: {author: {name: "Ada"}}) { mutation node { author { name } } } }'
    live = Followed(blog, text)

    blog.execute("schema { alter collection users { add age: Int } }")

    assert live.some(3) == [
        {"mutation": "RESET", "node": None},
        {"mutation": "INITIAL", "node": {"author": {"name": "Ada"}}},
        {"mutation": "READY", "node": None},
    ]


def test_altering_what_a_query_does_not_look_into_changes_nothing(blog: Aurora):
    """It goes on as it was."""
    live = Followed(blog, "subscription { posts { mutation id } }")

    blog.execute("schema { alter collection notes { add age: Int } }")
    blog["posts"].update("p1", {"title": "two"})

    assert live.take() == {"mutation": "UPDATE", "id": "p1"}


def test_dropping_a_related_collection_ends_it_with_the_reason(blog: Aurora):
    """The text is refused now as it would be if it were new."""
    lookup = 'lookup(collection: "notes" localField: "id" foreignField: "post") { text }'
    live = Followed(blog, f"{{ posts {{ title {lookup} }} }}")
    live.take()

    blog.execute("schema { drop collection notes }")

    with pytest.raises(Exception, match="no collection named 'notes'"):
        live.take()


def test_roots_of_one_text_advance_together(blog: Aurora):
    """What one transaction writes comes at one position, however each root is kept."""
    stream = blog.stream("""{
        posts { title author { name } }
        users { name }
        count: users { aggregate { n: count } }
    }""")
    first = stream.next(timeout=HANG)
    assert first == {
        "posts": [{"title": "one", "author": {"name": "Ada"}}],
        "users": [{"name": "Ada"}, {"name": "Bob"}],
        "count": {"aggregate": {"n": 2}},
    }

    with blog.transaction() as tx:
        tx["users"].update("u1", {"name": "Ann"})
        tx["users"].insert({"id": "u3", "name": "Cy"})

    assert stream.next(timeout=HANG) == {
        "posts": [{"title": "one", "author": {"name": "Ann"}}],
        "users": [{"name": "Ann"}, {"name": "Bob"}, {"name": "Cy"}],
        "count": {"aggregate": {"n": 3}},
    }


def test_changing_a_result_changes_nobody_elses(blog: Aurora):
    """What was taken is the user's own."""
    live = Followed(blog, "{ users { name posts { title } } }")
    live.take()[0]["posts"].clear()

    blog["users"].update("u2", {"name": "Rob"})

    assert live.take() == [
        {"name": "Ada", "posts": [{"title": "one"}]},
        {"name": "Rob", "posts": []},
    ]


def test_a_query_that_fails_now_ends_its_stream_alone(db: Aurora):
    """A sum out of range is the failure of who asked for it; others go on."""
    db.execute('schema { define collection items { n: Int  of: ID @relation(to: "items") } }')
    db["items"].insert({"id": "a", "n": 2**62})
    bad = Followed(
        db, "{ items(where: {of: {n: {isNull: true}}}) { aggregate { s: sum(field: n) } } }"
    )
    good = Followed(db, "{ items { id of { id } } }")
    bad.take()
    good.take()

    db["items"].insert({"id": "b", "n": 2**62})

    with pytest.raises(Exception, match="outside the range of Int"):
        bad.take()
    assert good.take() == [{"id": "a", "of": None}, {"id": "b", "of": None}]
