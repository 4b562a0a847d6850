"""Documents: insert one and many, get by id, an indexed query of ten."""

from __future__ import annotations

import json
from time import perf_counter

from aurora_db.base.ids import new_id
from benchmarks.measure import Figure, bare, database, document, median

ONE, MANY, READS = 1_000, 20_000, 5_000

INSERT = "INSERT INTO docs (id, n, grp, name, email, age, score, active, tags, addr, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
GET = "SELECT id, n, grp, name, email, age, score, active, tags, addr, at FROM docs WHERE id = ?"
TEN = "SELECT id, n, grp, name, email, age, score, active, tags, addr, at FROM docs WHERE grp IS ? ORDER BY _n"
QUERY = "query ($g: Int!) { docs(where: {grp: $g}) { id n grp name email age score active tags addr at } }"


def row(i: int) -> tuple[object, ...]:
    """The columns of a document."""
    d = document(i)
    return (new_id(), *(json.dumps(v) if isinstance(v, (list, dict)) else v for v in d.values()))


def one_floor() -> float:
    """Single inserts a second, bare."""
    rows = [row(i) for i in range(ONE)]
    with bare() as connection:
        start = perf_counter()
        for values in rows:
            connection.execute(INSERT, values)
        return ONE / (perf_counter() - start)


def one_ours() -> float:
    """Single inserts a second, ours."""
    rows = [document(i) for i in range(ONE)]
    with database() as db:
        docs = db["docs"]
        start = perf_counter()
        for values in rows:
            docs.insert(values)
        return ONE / (perf_counter() - start)


def many_floor() -> float:
    """Documents a second in one transaction, bare."""
    rows = [row(i) for i in range(MANY)]
    with bare() as connection:
        start = perf_counter()
        with connection:
            connection.executemany(INSERT, rows)
        return MANY / (perf_counter() - start)


def many_ours() -> float:
    """Documents a second in one transaction, ours."""
    rows = [document(i) for i in range(MANY)]
    with database() as db:
        start = perf_counter()
        db["docs"].insert_many(rows)
        return MANY / (perf_counter() - start)


def reads() -> list[Figure]:
    """Microseconds of a get and of an indexed query, on one filled file."""
    import apsw  # noqa: PLC0415 - the floor

    with database() as db:
        ids = db["docs"].insert_many(document(i) for i in range(MANY))
        docs = db["docs"]
        connection = apsw.Connection(db.config.path.__fspath__())
        connection.execute("PRAGMA cache_size = -65536")

        def timed(what: object, keys: list[object]) -> float:
            start = perf_counter()
            for key in keys:
                what(key)  # type: ignore[operator]
            return (perf_counter() - start) / len(keys) * 1e6

        some: list[object] = [ids[i * 7919 % MANY] for i in range(READS)]
        groups: list[object] = [i * 7919 % (MANY // 10) for i in range(READS // 5)]
        names = ("id", "n", "grp", "name", "email", "age", "score", "active", "tags", "addr", "at")

        def as_document(r: tuple[object, ...]) -> dict[str, object]:
            made = dict(zip(names, r, strict=True))
            made["active"], made["tags"], made["addr"] = (
                bool(r[7]),
                json.loads(str(r[8])),
                json.loads(str(r[9])),
            )
            return made

        def floor_ten(g: object) -> None:
            list(map(as_document, connection.execute(TEN, (g,)).fetchall()))

        made = [
            Figure(
                "get by id", "µs",
                median(lambda: timed(lambda key: as_document(connection.execute(GET, (key,)).fetchall()[0]), some)),
                median(lambda: timed(docs.get, some)),
            ),
            Figure(
                "indexed query, 10 documents", "µs",
                median(lambda: timed(floor_ten, groups)),
                median(lambda: timed(lambda g: db.execute(QUERY, {"g": g}), groups)),
            ),
        ]  # fmt: skip
        connection.close()
        return made


def figures() -> list[Figure]:
    """All of them."""
    return [
        Figure("insert one", "/s", median(one_floor), median(one_ours)),
        Figure("insert many", "/s", median(many_floor), median(many_ours)),
        *reads(),
    ]
