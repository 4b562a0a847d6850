"""The answers are those that the standard library's sqlite3 gives of the same files by itself."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aurora_db import Aurora
from examples.flights import ask, load

ROWS = {"airlines": 16, "airports": 1_458, "planes": 3_322}
SIZES = {1: {"flights": 27_004, "weather": 2_226}, 12: {"flights": 336_776, "weather": 26_115}}


class Independent:
    """The same files in a database of another kind, in memory."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._db = sqlite3.connect(":memory:")
        for table, path in files.items():
            with path.open(newline="") as file:
                rows = csv.reader(file)
                names = next(rows)
                # NUMERIC makes numbers of texts that are numbers.
                columns = ", ".join(f'"{name}" NUMERIC' for name in names)
                self._db.execute(f"CREATE TABLE {table} ({columns})")
                holes = ", ".join("?" * len(names))
                cells = ([None if cell in ("", "NA") else cell for cell in row] for row in rows)
                self._db.executemany(f"INSERT INTO {table} VALUES ({holes})", cells)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a statement gives."""
        return self._db.execute(sql).fetchall()

    def close(self) -> None:
        """Forget it."""
        self._db.close()


#: The database, the other one, and the months that both have.
Both = tuple[Aurora, Independent, int]


@pytest.fixture(
    scope="module", params=[1, pytest.param(12, marks=pytest.mark.long)], ids=["January", "2013"]
)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    """The database, and the other one."""
    folder = tmp_path_factory.mktemp("flights")
    files = load.load(folder / "flights.db", folder, request.param)
    other = Independent(files)
    with Aurora(folder / "flights.db", read_only=True) as db:
        yield db, other, request.param
    other.close()


def asked(db: Aurora, name: str) -> Any:
    (answer,) = db.execute(ask.TEXT, operation=name).values()
    return answer


def close(value: float | None) -> Any:
    return None if value is None else pytest.approx(value, rel=1e-9)


def test_everything_is_imported(both: Both) -> None:
    """Each line of the five files is a document, and each relation holds."""
    db, other, months = both
    for table, count in {**ROWS, **SIZES[months]}.items():
        assert db[table].count() == count == other.rows(f"SELECT count(*) FROM {table}")[0][0]
    missing = db["flights"].count({"dep_time": {"isNull": True}})
    assert missing == other.rows("SELECT count(*) FROM flights WHERE dep_time IS NULL")[0][0]


def test_the_questions_are_ten() -> None:
    """Every question has its sentence and its test below."""
    assert len(ask.QUESTIONS) == 10
    assert {f"test_{name}" for name in ask.QUESTIONS} <= set(globals())


def test_busiest_airlines(both: Both) -> None:
    db, other, _ = both
    wanted = other.rows(
        "SELECT carrier, count(*) AS n, avg(dep_delay) FROM flights GROUP BY carrier ORDER BY n DESC LIMIT 5"
    )
    assert asked(db, "busiest_airlines")["groupBy"] == [
        {"key": key, "count": n, "delay": {"avg": close(mean)}} for key, n, mean in wanted
    ]


def test_airports_by_delay(both: Both) -> None:
    db, other, _ = both
    wanted = other.rows(
        "SELECT origin, count(*), avg(dep_delay), max(dep_delay) FROM flights "
        "WHERE dep_delay IS NOT NULL GROUP BY origin ORDER BY origin"
    )
    assert asked(db, "airports_by_delay")["groupBy"] == [
        {"key": key, "count": n, "delay": {"avg": close(mean), "max": most}}
        for key, n, mean, most in wanted
    ]


def test_cancelled(both: Both) -> None:
    db, other, _ = both
    (wanted,) = other.rows(
        "SELECT count(*), count(DISTINCT carrier) FROM flights WHERE dep_time IS NULL"
    )
    assert asked(db, "cancelled") == {"aggregate": {"count": wanted[0], "airlines": wanted[1]}}


def test_latest_arrivals(both: Both) -> None:
    db, other, _ = both
    wanted = other.rows(
        "SELECT f.month, f.day, f.flight, o.name, f.dest, f.arr_delay, a.name FROM flights AS f "
        "JOIN airlines AS a ON a.carrier = f.carrier JOIN airports AS o ON o.faa = f.origin "
        "WHERE f.arr_delay IS NOT NULL ORDER BY f.arr_delay DESC, f.flight LIMIT 5"
    )
    assert asked(db, "latest_arrivals") == [
        {
            "month": month, "day": day, "flight": flight, "origin": {"name": origin}, "dest": dest,
            "arr_delay": delay, "carrier": {"name": name},
        }
        for month, day, flight, origin, dest, delay, name in wanted
    ]  # fmt: skip


def test_from_jfk(both: Both) -> None:
    db, other, _ = both
    wanted = other.rows(
        "SELECT dest, count(*) AS n FROM flights WHERE origin = 'JFK' GROUP BY dest ORDER BY n DESC, dest LIMIT 5"
    )
    assert asked(db, "from_jfk")["groupBy"] == [{"key": key, "count": n} for key, n in wanted]


def test_by_month(both: Both) -> None:
    db, other, _ = both
    wanted = other.rows(
        "SELECT month, count(*), avg(arr_delay) FROM flights GROUP BY month ORDER BY month"
    )
    assert asked(db, "by_month")["groupBy"] == [
        {"key": key, "count": n, "delay": {"avg": close(mean)}} for key, n, mean in wanted
    ]


def test_longest_routes(both: Both) -> None:
    db, other, _ = both
    wanted = other.rows(
        "SELECT carrier, max(distance) FROM flights GROUP BY carrier ORDER BY carrier"
    )
    assert asked(db, "longest_routes")["groupBy"] == [
        {"key": key, "far": {"max": most}} for key, most in wanted
    ]


def test_made_up_time(both: Both) -> None:
    db, other, _ = both
    wanted = other.rows(
        "SELECT flight, dest, dep_delay - arr_delay FROM flights WHERE dep_delay - arr_delay >= 60 "
        "ORDER BY air_time, flight, month, day LIMIT 5"
    )
    assert asked(db, "made_up_time") == [
        {"flight": flight, "dest": dest, "minutes": minutes} for flight, dest, minutes in wanted
    ]


def test_largest_planes(both: Both) -> None:
    db, other, _ = both
    planes = other.rows(
        "SELECT tailnum, model, seats FROM planes WHERE seats >= 400 ORDER BY seats DESC, tailnum"
    )
    wanted: list[dict[str, Any]] = []
    for tailnum, model, seats in planes:
        flown = other.rows(
            f"SELECT month, day, dest FROM flights WHERE tailnum = '{tailnum}' ORDER BY month, day, dep_time LIMIT 1"
        )
        first = [{"month": month, "day": day, "dest": dest} for month, day, dest in flown]
        wanted.append({"tailnum": tailnum, "model": str(model), "seats": seats, "flown": first})
    assert asked(db, "largest_planes") == wanted
    assert wanted


def test_windiest(both: Both) -> None:
    db, other, _ = both
    wanted = other.rows(
        "SELECT origin, time_hour, wind_speed FROM weather WHERE wind_speed BETWEEN 35 AND 200 "
        "ORDER BY wind_speed DESC, time_hour, origin LIMIT 5"
    )
    assert [
        (
            one["origin"]["faa"],
            f"{one['time_hour']:%Y-%m-%dT%H:%M:%SZ}",
            one["wind_speed"],
            one["knots"],
        )
        for one in asked(db, "windiest")
    ] == [(origin, hour, speed, round(speed * 0.868976, 1)) for origin, hour, speed in wanted]
