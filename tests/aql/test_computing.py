"""Aggregates, groups, samples and windows of random documents: what plain Python computes."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aurora_db.aql import intervals
from aurora_db.store.timezones import Buckets

SCHEMA = """schema { define collection m @flexible {
  i: Int  f: Float  s: String  b: Boolean  at: DateTime
} }"""

#: Quarters, so that sums are exact whatever their order.
quarters = st.integers(-40, 40).map(lambda n: n / 4)
instants = st.datetimes(
    dt.datetime(1969, 12, 1), dt.datetime(1970, 4, 1), timezones=st.just(dt.UTC)
)
documents = st.lists(
    st.fixed_dictionaries({
        "i": st.none() | st.integers(-5, 5),
        "f": st.none() | quarters,
        "s": st.none() | st.sampled_from(["", "a", "b", "é"]),
        "b": st.none() | st.booleans(),
        "at": st.none() | instants,
        "x": st.none() | st.integers(-2, 2) | quarters | st.sampled_from(["1", "a", True, False]),
    }),
    max_size=12,
)  # fmt: skip


def fill(db, documents):
    db.execute(SCHEMA)
    db.execute('mutation { deleteFrom(collection: "m", all: true) { affected } }')
    made = [{"id": f"{n:02}", **one} for n, one in enumerate(documents)]
    db["m"].insert_many(made)
    return made


def known(documents, field):
    return [one[field] for one in documents if one[field] is not None]


def numbers(documents, field):
    return [one for one in known(documents, field) if type(one) in (int, float)]


def mean(values):
    return sum(values) / len(values) if values else None


ALL = """{ m { aggregate {
  count  ci: count(field: "i")  cx: count(field: "x")
  si: sum(field: "i")  sf: sum(field: "f")  sx: sum(field: "x")
  ai: avg(field: "i")  af: avg(field: "f")
  ls: min(field: "s")  hs: max(field: "s")  la: min(field: "at")  ha: max(field: "at")
  lb: min(field: "b")  hx: max(field: "x")
  di: countDistinct(field: "i")  dx: countDistinct(field: "x")
} } }"""


def distinct(values):
    """Numbers by value, everything else by its type too."""
    return len({(type(one) in (int, float), type(one) is bool, one) for one in values})


@given(documents=documents)
def test_aggregates(db, documents):
    """Every function gives what Python does, with the type of its values."""
    made = fill(db, documents)
    got = db.execute(ALL)["m"]["aggregate"]
    assert got == {
        "count": len(made), "ci": len(known(made, "i")), "cx": len(known(made, "x")),
        "si": sum(known(made, "i")), "sf": sum(known(made, "f")), "sx": sum(numbers(made, "x")),
        "ai": mean(known(made, "i")), "af": mean(known(made, "f")),
        "ls": min(known(made, "s"), default=None), "hs": max(known(made, "s"), default=None),
        "la": min(known(made, "at"), default=None), "ha": max(known(made, "at"), default=None),
        "lb": min(known(made, "b"), default=None), "hx": max(numbers(made, "x"), default=None),
        "di": len(set(known(made, "i"))), "dx": distinct(known(made, "x")),
    }  # fmt: skip
    assert (type(got["si"]), type(got["sf"])) == (int, float)


def grouped(documents, field):
    """Keys with their documents: null, then numbers, then anything else."""
    found = {}
    for one in documents:
        value = one[field]
        number = type(value) in (int, float)
        found.setdefault((value is not None, not number, type(value) is bool, value), []).append(
            one
        )
    return [(place[3], inside) for place, inside in found.items()]


GROUPS = """query ($field: String!, $limit: Int) { m { groupBy(field: $field) {
  key count nodes(orderBy: {f: DESC}, limit: $limit) { id }
  stats: aggregate { sum(field: "i") top: max(field: "s") }
} } }"""


@given(
    documents=documents,
    field=st.sampled_from(["i", "f", "s", "b", "x"]),
    limit=st.none() | st.integers(0, 3),
)
def test_groups(db, documents, field, limit):
    """Each group has its key as it is stored, its count, its aggregates and its first documents."""
    made = fill(db, documents)
    got = db.execute(GROUPS, {"field": field, "limit": limit})["m"]["groupBy"]
    wanted = []
    for key, inside in grouped(made, field):
        first = sorted(inside, key=lambda one: (one["f"] is None, -(one["f"] or 0), one["id"]))
        wanted.append({
            "key": key, "count": len(inside), "nodes": [{"id": one["id"]} for one in first[:limit]],
            "stats": {"sum": sum(known(inside, "i")), "top": max(known(inside, "s"), default=None)},
        })  # fmt: skip
    by_text = {repr(one["key"]): one for one in wanted}
    assert len(got) == len(wanted)
    for one in got:
        # 1 and 1.0 are one key; either may stand for it.
        same = by_text.get(repr(one["key"])) or next(w for w in wanted if w["key"] == one["key"])
        assert one == same
    ordered = [one["key"] for one in got if type(one["key"]) in (int, float)]
    assert ordered == sorted(ordered)
    if None in [one["key"] for one in got]:
        assert got[0]["key"] is None


lengths = st.sampled_from(
    ["7s", "1m", "45m", "1h", "5h", "1d", "3d", "1w", "month", "2month", "year"]
)
zones = st.sampled_from(
    ["UTC", "Europe/Paris", "Asia/Kolkata", "America/Havana", "Australia/Lord_Howe"]
)


@given(documents=documents, length=lengths, zone=zones)
def test_samples(db, documents, length, zone):
    """Each bucket has the documents of its time, whatever the zone."""
    made = [one for one in fill(db, documents) if one["at"] is not None]
    got = db.execute(
        """query ($length: String!, $zone: String) { m {
             downsample(interval: $length, timezone: $zone, time: "at", field: "f", aggregation: sum)
             first: downsample(interval: $length, timezone: $zone, time: "at", field: "f", aggregation: first)
             groupBy(field: "at", interval: $length, timezone: $zone, having: {count: {gte: 1}}) { key count }
           } }""",
        {"length": length, "zone": zone},
    )["m"]
    interval, place = intervals.interval(length), zoneinfo.ZoneInfo(zone)
    buckets = {}
    for one in sorted(made, key=lambda one: (one["at"], one["id"])):
        buckets.setdefault(interval.start(one["at"], place), []).append(one)
    assert got["downsample"] == [
        {"timestamp": start, "count": len(inside), "f": sum(known(inside, "f"))}
        for start, inside in sorted(buckets.items())
    ]
    assert [one["f"] for one in got["first"]] == [
        next(iter(known(inside, "f")), None) for _, inside in sorted(buckets.items())
    ]
    groups = {one["key"]: one["count"] for one in got["groupBy"]}
    groups.pop(None, None)
    assert groups == {start: len(inside) for start, inside in buckets.items()}


@given(
    instant=st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)),
    length=st.sampled_from(["15m", "45m", "50m", "1h", "2h", "5h", "1d", "2w", "month", "5month", "year"]),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)  # fmt: skip
def test_buckets_divide_time(instant, length, zone):
    """An instant is in exactly one bucket, which begins where the one before ends."""
    interval, place = intervals.interval(length), intervals.zone(zone)
    start = interval.start(instant, place)
    end = interval.end(start, place)
    assert start <= instant < end
    assert interval.start(start, place) == start
    assert interval.start(end, place) == end
    assert interval.start(end - dt.timedelta(microseconds=1), place) == start


@given(
    days=st.integers(-400, 400), hours=st.lists(st.integers(0, 2000), min_size=1, max_size=20),
    length=st.sampled_from(["30m", "1h", "45m", "1d", "month"]),
)  # fmt: skip
def test_the_function_keeps_no_wrong_bucket(days, hours, length):
    """The function of the connection gives the same for instants in any order, also when clocks change."""
    interval, place = intervals.interval(length), intervals.zone("Europe/Paris")
    function = Buckets()
    for hour in hours:
        instant = dt.datetime(2024, 6, 1, tzinfo=dt.UTC) + dt.timedelta(
            days=days, minutes=20 * hour
        )
        text = instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        wanted = interval.start(instant, place).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert function(text, interval.count, interval.unit, "Europe/Paris") == wanted


WINDOWS = """query ($size: Int!) { m(orderBy: {i: ASC}) {
  sum: windowFunc(field: "f", function: rollingSum, windowSize: $size) { id value }
  low: windowFunc(field: "f", function: rollingMin, windowSize: $size) { value }
  avg: windowFunc(field: "i", function: rollingAvg, windowSize: $size, partitionBy: "b") { value }
  lag: windowFunc(field: "x", function: lag, windowSize: $size) { value }
  lead: windowFunc(field: "s", function: lead) { value }
  row: windowFunc(function: rowNumber, partitionBy: ["b"], orderBy: {id: DESC}) { value }
  delta: windowFunc(field: "i", function: delta) { value }
} }"""


@given(documents=documents, size=st.integers(1, 4))
def test_windows(db, documents, size):
    """A window looks at the documents before, in the order of the query and inside of its part."""
    made = fill(db, documents)
    ordered = sorted(made, key=lambda one: (one["i"] is not None, one["i"] or 0, one["id"]))
    got = db.execute(WINDOWS, {"size": size})["m"]
    values = {key: [one["value"] for one in part] for key, part in got.items()}
    windows = [ordered[max(0, n - size + 1) : n + 1] for n in range(len(ordered))]
    assert [one["id"] for one in got["sum"]] == [one["id"] for one in ordered]
    assert values["sum"] == [sum(known(window, "f")) for window in windows]
    assert values["low"] == [min(known(window, "f"), default=None) for window in windows]
    parts = [
        [one for one in ordered[: n + 1] if one["b"] is ordered[n]["b"]][-size:]
        for n in range(len(ordered))
    ]
    assert values["avg"] == [mean(known(part, "i")) for part in parts]
    assert values["lag"] == [
        None if n < size else ordered[n - size]["x"] for n in range(len(ordered))
    ]
    assert values["lead"] == [one["s"] for one in ordered[1:]] + [None] * bool(ordered)
    by_id = sorted(made, key=lambda one: one["id"], reverse=True)
    row = {one["id"]: [o for o in by_id if o["b"] is one["b"]].index(one) + 1 for one in made}
    assert values["row"] == [row[one["id"]] for one in ordered]
    steps = [
        None if a["i"] is None or b["i"] is None else b["i"] - a["i"] for a, b in pairwise(ordered)
    ]
    assert values["delta"] == [None] * bool(ordered) + steps
