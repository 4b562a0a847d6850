"""When cron is due on the days on which clocks move, in many zones, against a walk minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aurora_db.aql import timetable
from aurora_db.aql.catalog import Schedule

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def due(cron, zone, after, until):
    """All times in (after, until], by asking for the next one again and again."""
    schedule = Schedule(name="s", text="", digest="", cron=cron, timezone=zone)
    found = []
    while (after := timetable.next_due(schedule, after)) <= until:
        found.append(after)
    return found


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- by hand --------------------------------------------------------------------------------

#: Zone, cron, and the times that are due in two days of UTC from the first one given.
BY_HAND = [
    # Paris: 02:00 → 03:00, then 03:00 → 02:00.
    ("Europe/Paris", "30 2 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
    ("Europe/Paris", "0,30 2 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:00", "2026-03-30T00:30"]),
    ("Europe/Paris", "30 2 * * *", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
    ("Europe/Paris", "30 2 * * *", "2026-10-25T01:10", ["2026-10-26T01:30"]),
    ("Europe/Paris", "*/30 2 * * *", "2026-03-28T12:00", ["2026-03-30T00:00", "2026-03-30T00:30"]),
    ("Europe/Paris", "*/30 2 25 10 *", "2026-10-24T12:00", ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"]),
    ("Europe/Paris", "0 1-3 25 10 *", "2026-10-24T12:00", ["2026-10-24T23:00", "2026-10-25T00:00", "2026-10-25T02:00"]),
    ("America/New_York", "15 2 * * *", "2026-03-08T00:00", ["2026-03-08T07:00", "2026-03-09T06:15"]),
    ("America/New_York", "15 1 * * *", "2026-11-01T00:00", ["2026-11-01T05:15", "2026-11-02T06:15"]),
    # Lord Howe moves by half an hour: 02:00 → 02:30, 02:00 → 01:30.
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00", ["2026-04-04T14:45", "2026-04-05T15:15"]),
    ("Australia/Lord_Howe", "*/30 1 5 4 *", "2026-04-04T00:00", ["2026-04-04T14:00", "2026-04-04T14:30", "2026-04-04T15:00"]),
    # Dublin calls its winter time the daylight saving, and it is negative.
    ("Europe/Dublin", "30 1 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
    ("Europe/Dublin", "30 1 * * *", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
    # The southern hemisphere.
    ("Australia/Sydney", "30 2 * * *", "2026-10-03T00:00", ["2026-10-03T16:00", "2026-10-04T15:30"]),
    ("Australia/Sydney", "30 2 * * *", "2026-04-04T00:00", ["2026-04-04T15:30", "2026-04-05T16:30"]),
    # Troll moves by two hours: 01:00 → 03:00, 03:00 → 01:00.
    ("Antarctica/Troll", "30 1,2 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-29T23:30", "2026-03-30T00:30"]),
    ("Antarctica/Troll", "30 1,2 * * *", "2026-10-24T12:00", ["2026-10-24T23:30", "2026-10-25T00:30", "2026-10-26T01:30", "2026-10-26T02:30"]),
    # At midnight: the day begins at 01:00, or its last hour comes twice.
    ("Asia/Beirut", "0 0 * * *", "2026-03-28T12:00", ["2026-03-28T22:00", "2026-03-29T21:00"]),
    ("Asia/Beirut", "30 23 * * *", "2026-10-24T12:00", ["2026-10-24T20:30", "2026-10-25T21:30"]),
    ("America/Havana", "30 0 * * *", "2026-03-07T12:00", ["2026-03-08T05:00", "2026-03-09T04:30"]),
    ("America/Havana", "30 0 * * *", "2026-10-31T12:00", ["2026-11-01T04:30", "2026-11-02T05:30"]),
    ("America/Santiago", "15 0 * * *", "2026-09-05T12:00", ["2026-09-06T04:00", "2026-09-07T03:15"]),
    ("America/Santiago", "15 23 * * *", "2026-04-04T12:00", ["2026-04-05T02:15", "2026-04-06T03:15"]),
    # Apia crossed the date line: no 30 December 2011, so nothing is due on it.
    ("Pacific/Apia", "0 3 * * *", "2011-12-29T00:00", ["2011-12-29T13:00", "2011-12-30T13:00"]),
    ("Pacific/Apia", "0 3 30 12 *", "2011-12-29T00:00", []),
    # Kwajalein lost 21 August 1993.
    ("Pacific/Kwajalein", "0 12 * * *", "1993-08-20T12:00", ["1993-08-21T00:00", "1993-08-22T00:00"]),
    ("Asia/Kolkata", "30 2 * * *", "2026-03-28T12:00", ["2026-03-28T21:00", "2026-03-29T21:00"]),
    ("UTC", "30 2 * * *", "2026-03-28T12:00", ["2026-03-29T02:30", "2026-03-30T02:30"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "cron", "after", "wanted"), BY_HAND)
def test_the_days_on_which_clocks_move(zone, cron, after, wanted):
    """What falls into a skipped hour is due right after it, what falls into a repeated one once."""
    start = utc(after)
    found = due(cron, zone, start, start + timedelta(days=2))
    assert [f"{one:%Y-%m-%dT%H:%M}" for one in found] == wanted


# --- the oracle -----------------------------------------------------------------------------


def walked(minutes, hours, days, zone, start, until, *, fixed):
    """What cron(8) would run in (start, until], one minute after the other, as its main loop does.

    `virtual` is the time on the wall up to which fixed times were seen; it waits when the clock goes back.
    """
    wall = _wall(zone, start)
    virtual = wall
    found = []
    now = start
    while (now := now + MINUTE) <= until:
        before, wall = wall, _wall(zone, now)
        jump = wall - before - MINUTE
        if abs(jump) >= 3 * HOUR:
            virtual = wall - MINUTE
        if not fixed:
            ran = _matches(wall, minutes, hours, days)
        else:
            ran = False
            while virtual < wall:
                virtual += MINUTE
                ran = _matches(virtual, minutes, hours, days) or ran
        if ran:
            found.append(now)
    return found


@cache
def _wall(zone, now):
    return now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _matches(wall, minutes, hours, days):
    return wall.minute in minutes and wall.hour in hours and wall.weekday() in days


@cache
def changes(zone, year):
    """The hours before which the offset changes in a year."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + HOUR * n for n in range(366 * 24)]
    at = ZoneInfo(zone)
    return [b for a, b in pairwise(hours) if _offset(at, a) != _offset(at, b)]


def _offset(at, now):
    return now.astimezone(at).utcoffset()


ALL_DAYS = range(7)
#: The text, and what it means: minutes, hours, days of the week from Monday.
CRONS = [
    ("30 2 * * *", {30}, {2}, ALL_DAYS),
    ("0 2 * * *", {0}, {2}, ALL_DAYS),
    ("15,45 1-3 * * *", {15, 45}, {1, 2, 3}, ALL_DAYS),
    ("0 0 * * *", {0}, {0}, ALL_DAYS),
    ("20 0,23 * * *", {20}, {0, 23}, ALL_DAYS),
    ("5 0-23 * * *", {5}, range(24), ALL_DAYS),
    ("0 3 * * SUN", {0}, {3}, {6}),
    ("0 * * * *", {0}, range(24), ALL_DAYS),
    ("*/20 * * * *", {0, 20, 40}, range(24), ALL_DAYS),
    ("*/30 2 * * *", {0, 30}, {2}, ALL_DAYS),
    ("* 1 * * SAT,SUN", range(60), {1}, {5, 6}),
    ("10 */2 * * *", {10}, range(0, 24, 2), ALL_DAYS),
]
ZONES = [
    "Europe/Paris", "Europe/Dublin", "America/New_York", "America/Havana", "America/Santiago", "America/Sao_Paulo",
    "America/St_Johns", "Asia/Beirut", "Asia/Gaza", "Asia/Tehran", "Australia/Lord_Howe", "Australia/Sydney",
    "Africa/Casablanca", "Antarctica/Troll", "Antarctica/Casey", "Pacific/Apia", "Pacific/Chatham",
]  # fmt: skip
YEARS = (2010, 2011, 2025, 2026)


def is_fixed(cron):
    minute, hour, *_ = cron.split()
    return not minute.startswith("*") and not hour.startswith("*")


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_of_clocks_is_as_a_walk_minute_by_minute(zone):
    """A day before to a day after each of them, for fixed times and for those with a star."""
    seen = 0
    for change in [one for year in YEARS for one in changes(zone, year)]:
        start, until = change - 24 * HOUR, change + 27 * HOUR
        for cron, minutes, hours, days in CRONS:
            wanted = walked(minutes, hours, days, zone, start, until, fixed=is_fixed(cron))
            assert due(cron, zone, start, until) == wanted, (cron, change)
            seen += len(wanted)
    assert seen > 0


def _field(draw, most):
    """A field of cron and what it means."""
    kind = draw(st.sampled_from(("star", "step", "one", "list", "range")))
    first = draw(st.integers(0, most))
    match kind:
        case "star":
            return "*", range(most + 1)
        case "step":
            step = draw(st.integers(7, most + 1))
            return f"*/{step}", range(0, most + 1, step)
        case "one":
            return str(first), {first}
        case "list":
            others = draw(st.lists(st.integers(0, most), min_size=1, max_size=3))
            return ",".join(map(str, [first, *others])), {first, *others}
        case _:
            last = draw(st.integers(first, min(most, first + 3)))
            return f"{first}-{last}", range(first, last + 1)


@st.composite
def situations(draw):
    """Any cron of minutes and hours, any zone, any of its changes."""
    minute, minutes = _field(draw, 59)
    hour, hours = _field(draw, 23)
    zone = draw(st.sampled_from(sorted(available_timezones() - {"Factory", "localtime"})))
    found = changes(zone, draw(st.integers(1975, 2035)))
    assume(found)
    back = timedelta(minutes=draw(st.integers(0, 300)), seconds=draw(st.integers(0, 59)))
    return f"{minute} {hour} * * *", minutes, hours, zone, draw(st.sampled_from(found)), back


@given(situations())
def test_any_cron_in_any_zone_is_as_a_walk_minute_by_minute(situation):
    """From wherever one asks, the answers are the times of the same walk."""
    cron, minutes, hours, zone, change, back = situation
    start, until = change - 12 * HOUR, change + 14 * HOUR
    assume(all(_offset(ZoneInfo(zone), one).seconds % 60 == 0 for one in (start, until)))
    wanted = walked(minutes, hours, ALL_DAYS, zone, start, until, fixed=is_fixed(cron))
    assert due(cron, zone, start, until) == wanted
    after = change - back
    assert due(cron, zone, after, until) == [one for one in wanted if one > after]


# --- every, jitter, what is upcoming --------------------------------------------------------


def test_every_counts_from_its_anchor():
    """However late a time was fired, the next one stays on the grid."""
    anchor = utc("2026-01-01T00:00:10")
    schedule = Schedule(name="s", text="", digest="", every=300.0, anchor=anchor)
    assert timetable.next_due(schedule, anchor) == utc("2026-01-01T00:05:10")
    assert timetable.next_due(schedule, utc("2026-01-01T00:05:10")) == utc("2026-01-01T00:10:10")
    assert timetable.next_due(schedule, utc("2026-01-01T00:12:00")) == utc("2026-01-01T00:15:10")
    assert timetable.next_due(schedule, utc("2031-01-01T00:00:09")) == utc("2031-01-01T00:00:10")


@given(st.integers(0, 10**6), st.floats(1, 3600))
def test_jitter_is_the_same_wherever_it_is_asked(minute, jitter):
    """It depends on the name and the time alone, and stays below what was said."""
    at = utc("2026-01-01T00:00:00") + minute * MINUTE
    schedule = Schedule(name="s", text="", digest="", cron="* * * * *", jitter=jitter)
    again = Schedule(name="s", text="x", digest="y", every=60.0, jitter=jitter)
    fires = timetable.fires_at(schedule, at)
    assert fires == timetable.fires_at(again, at)
    assert timedelta(0) <= fires - at < timedelta(seconds=jitter)


def test_jitter_keeps_the_order_of_the_times():
    """A later time is never fired before an earlier one, though their jitters overlap."""
    schedule = Schedule(name="s", text="", digest="", cron="* * * * *", jitter=600.0)
    fires = timetable.first_of(schedule, utc("2026-01-01T00:00:00"), 200)
    assert list(fires) == sorted(fires)
    assert len(set(fires)) > 40


@given(st.integers(0, 60 * 24 * 60), st.sampled_from(["* * * * *", "0 3 * * *", "30 2 1 * *"]))
def test_the_last_missed_time_is_found_from_the_end(minutes, cron):
    """After a downtime the last time is the one that walking through all of them would find."""
    schedule = Schedule(name="s", text="", digest="", cron=cron, timezone="Europe/Paris")
    first = timetable.next_due(schedule, utc("2026-03-01T00:00:00"))
    now = first + minutes * MINUTE
    last = first
    while (following := timetable.next_due(schedule, last)) <= now and minutes <= 3000:
        last = following
    if minutes <= 3000:
        assert timetable.last_due(schedule, first, now) == last
    else:
        found = timetable.last_due(schedule, first, now)
        assert first <= found <= now < timetable.next_due(schedule, found)
