"""Conditions of event handlers: the same where, as pure SQL that other programs run too."""

from __future__ import annotations

import pytest

from aurora_db.aql import plan
from aurora_db.aql.conditions import resolve_where
from aurora_db.sql.where import needs_worker

SCHEMA = """schema {
  define collection d @flexible {
    name: String n: Int tags: [String] nums: [Int] lines: [{ q: Int s: String }] box: { a: Int } any: JSON role: Enum("x", "y")
    team: ID @relation(to: "teams")
  }
  define collection teams { name: String }
}"""

#: As another program inserts them; `_extra` holds the undeclared fields.
ROWS = """
    INSERT INTO d (id, name, n, tags, nums, lines, box, role, "any", _extra) VALUES
        ('1', 'Ada', 1, '["red","blue"]', '[1,null]', '[{"q":1,"s":"a"},{"q":5}]', '{"a":3}', 'x', '[1,{"k":2}]', '{"free":[{"k":1},"text"]}'),
        ('2', 'Bob''s', 2, '[]', NULL, '[]', '{}', 'y', '"text"', '{"free":7}'),
        ('3', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        ('4', 'É', -1, '["red"]', '[]', '["no object", 5]', NULL, NULL, 'null', '{"free":"7"}');
"""

WHERES = [
    ('{name: "Bob\'s"}', "2"), ('{name: {ne: "Ada"}}', "234"), ("{n: {between: [0, 2]}}", "12"), ("{n: {nin: [1, null]}}", "24"),
    ("{n: {in: [2, null]}}", "23"), ('{name: {startsWith: "A"}}', "1"), ('{name: {endsWith: "\'s"}}', "2"), ('{name: {contains: "d"}}', "1"),
    ('{tags: {contains: "red"}}', "14"), ('{tags: {containsAny: ["blue", "x"]}}', "1"), ('{tags: {containsAll: ["red"]}}', "14"),
    ("{tags: {containsAll: []}}", "124"), ("{nums: {contains: null}}", "1"), ("{tags: {size: {gte: 1}}}", "14"), ("{tags: {size: 0}}", "2"),
    ("{not: {tags: {size: {gte: 1}}}}", "23"), ("{lines: {some: {q: {gt: 3}}}}", "1"), ("{lines: {every: {q: {gt: 0}}}}", "123"),
    ('{lines: {none: {s: "a"}}}', "234"), ("{lines: {some: {q: null}}}", "4"), ('{not: {lines: {some: {q: 1, s: "a"}}}}', "234"),
    ("{box: {a: 3}}", "1"), ("{box: {contains: {a: 3}}}", "1"), ("{any: {some: {k: 2}}}", "1"), ('{any: "text"}', "2"), ("{any: null}", "34"),
    ("{any: {size: 2}}", "1"), ("{free: {some: {k: 1}}}", "1"), ("{free: 7}", "2"), ('{free: {in: ["7", 8]}}', "4"), ("{free: {containsAll: [{k: 1}]}}", "1"),
    ("{role: {in: [x]}}", "1"), ("{or: []}", ""), ("{or: [{n: 1}, {not: {n: {gte: 0}}}]}", "134"), ("{not: {or: [{n: 1}, {name: {isNull: true}}]}}", "24"),
]  # fmt: skip


def test_another_program_fires_by_the_same_where(db, other_program):
    """Insert, update and delete by the sqlite3 program; a query finds the same documents."""
    db.execute(SCHEMA)
    events = '["insert:d", "update:d", "delete:d"]'
    for n, (where, _) in enumerate(WHERES):
        job = f'enqueueJob(type: "{n}", payload: {{op: $event, id: "${{id}}"}})'
        db.execute(f'define handler "h{n}" {{ on: {events} where: {where} action: {{ {job} }} }}')
    other_program(ROWS)
    found = [db.execute(f"{{ d(where: {where}) {{ id }} }}")["d"] for where, _ in WHERES]
    other_program("UPDATE d SET n = n; DELETE FROM d;")
    fired: dict[tuple[str, str], str] = {}
    for job in db.execute("{ _jobs(orderBy: {payload: {id: ASC}}) { type payload } }")["_jobs"]:
        key = job["type"], job["payload"]["op"]
        fired[key] = fired.get(key, "") + job["payload"]["id"]

    for n, (where, wanted) in enumerate(WHERES):
        assert "".join(row["id"] for row in found[n]) == wanted, where
        for op in ("insert", "update", "delete"):
            assert fired.get((str(n), op), "") == wanted, (op, where)


def test_the_condition_may_read_the_values_before(db):
    """`old.` in quantifiers and sizes is the row before the update."""
    db.execute(SCHEMA)
    db.execute(
        'define handler "h" { on: "update:d" where: {"old.lines": {some: {q: 1}}, lines: {none: {q: 1}}, "old.tags": {size: 1}} '
        'action: { enqueueJob(type: "t", payload: "${id}") } }'
    )
    db["d"].insert_many([
        {"id": "a", "lines": [{"q": 1}], "tags": ["x"]}, {"id": "b", "lines": [{"q": 2}], "tags": ["x"]}, {"id": "c", "lines": [{"q": 1}]},
    ])  # fmt: skip
    db["d"].update({}, {"lines": [], "tags": []}, all=True)
    assert [job["payload"] for job in db.execute("{ _jobs { payload } }")["_jobs"]] == ["a"]


@pytest.mark.parametrize(
    ("where", "worker"),
    [
        ({"name": {"eq": "x"}}, False), ({"n": {"between": [1, 2]}}, False), ({"tags": {"size": {"gt": 1}}}, False),
        ({"lines": {"some": {"q": 1}}}, False), ({"not": {"or": [{"tags": {"containsAny": ["a"]}}]}}, False), ({"team": "t1"}, False),
        ({"name": {"ieq": "x"}}, True), ({"name": {"matches": "x"}}, True), ({"lines": {"some": {"s": {"icontains": "x"}}}}, True),
        ({"not": {"and": [{"team": {"name": "x"}}]}}, True),
    ],
)  # fmt: skip
def test_which_conditions_need_a_worker(db, where, worker):
    """Those that need our own functions or other documents; all others run in triggers."""
    db.execute(SCHEMA)
    catalog = db._engine.catalog
    assert needs_worker(resolve_where(catalog.collections["d"], where, catalog)) == worker


def test_documents_that_refer_here_need_a_worker(db):
    """A trigger of one collection does not look into another one."""
    db.execute(SCHEMA)
    catalog = db._engine.catalog
    teams = catalog.collections["teams"]
    assert needs_worker(resolve_where(teams, {"d": {"some": {"n": 1}}}, catalog))
    assert needs_worker(plan.Not(plan.WhereVariable("w", teams)))
