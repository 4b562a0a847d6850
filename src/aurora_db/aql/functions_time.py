"""The functions on time, conversions, and the rest, in Python.

Instants are their stored text, `YYYY-MM-DDTHH:MM:SS.ffffffZ`, days `YYYY-MM-DD`; all is UTC.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from calendar import monthrange
from functools import lru_cache
from typing import Any, Final

import msgspec

from aurora_db.aql import types
from aurora_db.aql.catalog import Type
from aurora_db.aql.comparing import WrongValue, text_of, truth
from aurora_db.aql.functions_text import text, whole
from aurora_db.base.codec import encode, timestamp
from aurora_db.base.errors import AuroraError

#: Seconds of the units that are always as long.
SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
UNITS: Final = ("millisecond", *SECONDS, *MONTHS)
_DAYS: Final = frozenset(("day", "week", *MONTHS))
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NUMBER: Final = re.compile(r"[+-]?[0-9]+")
_REAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

_MONTH_NAMES: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
                "October", "November", "December")  # fmt: skip
_DAY_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TOKEN: Final = re.compile(
    r"\[([^\]]*)\]|YYYY|yyyy|YY|yy|MMMM|MMM|MM|M|DD|D|dddd|ddd|dd|HH|H|hh|h|mm|m|SSS|ss|s|A|a|%[YmdHMSfjyBbAaIp%]"
)


def unit_of(value: Any) -> str:
    """A unit by its name, singular or plural.

    Raises:
        WrongValue: there is none of this name.
    """
    name = text(value).lower()
    name = name if name in UNITS else name.removesuffix("s")
    if name not in UNITS:
        raise WrongValue
    return name


def moment(value: Any) -> dt.datetime:
    """The instant of a text: RFC 3339, without an offset UTC, or a day."""
    found = dt.datetime.fromisoformat(text(value))
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


def _is_day(value: str) -> bool:
    return len(value) == 10


def _like(value: str, made: dt.datetime) -> str:
    """The result in the form of the argument: a day of a day."""
    return made.date().isoformat() if _is_day(value) else timestamp(made)


def date_add(value: Any, amount: Any, unit: Any) -> str:
    """So many units later; of a day, only days and longer."""
    start, count, name = moment(value), whole(amount), unit_of(unit)
    if _is_day(value) and name not in _DAYS:
        raise WrongValue
    return _like(value, _later(start, count, name))


def _later(start: dt.datetime, count: int, name: str) -> dt.datetime:
    if name in MONTHS:
        months = start.year * 12 + start.month - 1 + count * MONTHS[name]
        year, month = divmod(months, 12)
        day = min(start.day, monthrange(year, month + 1)[1])
        return start.replace(year=year, month=month + 1, day=day)
    if name == "millisecond":
        return start + dt.timedelta(milliseconds=count)
    return start + dt.timedelta(seconds=count * SECONDS[name])


def date_diff(one: Any, other: Any, unit: Any) -> int:
    """Whole units from the second to the first; negative where the first is earlier."""
    after, before, name = moment(one), moment(other), unit_of(unit)
    if after < before:
        return -date_diff(other, one, unit)
    if name not in MONTHS:
        micros = (after - before) // dt.timedelta(microseconds=1)
        size = 1_000 if name == "millisecond" else SECONDS[name] * 1_000_000
        return micros // size
    months = (after.year - before.year) * 12 + after.month - before.month
    if _later(before, months, "month") > after:
        months -= 1
    return months // MONTHS[name]


def year(value: Any) -> int:
    """The year."""
    return moment(value).year


def month(value: Any) -> int:
    """The month, 1 to 12."""
    return moment(value).month


def day(value: Any) -> int:
    """The day of the month, from 1."""
    return moment(value).day


def weekday(value: Any) -> int:
    """The day of the week, Monday 1 to Sunday 7."""
    return moment(value).isoweekday()


def _clock(value: Any) -> dt.time | dt.datetime:
    try:
        return moment(value)
    except ValueError:
        return dt.time.fromisoformat(value)


def hour(value: Any) -> int:
    """The hour, 0 to 23."""
    return _clock(value).hour


def minute(value: Any) -> int:
    """The minute."""
    return _clock(value).minute


def second(value: Any) -> int:
    """The second."""
    return _clock(value).second


def start_of(value: Any, unit: Any) -> str:
    """The beginning of the unit that the instant lies in; weeks begin on Monday."""
    found, name = moment(value), unit_of(unit)
    if name == "millisecond":
        made = found.replace(microsecond=found.microsecond // 1_000 * 1_000)
    elif name in ("second", "minute", "hour"):
        made = found - (found - _EPOCH) % dt.timedelta(seconds=SECONDS[name])
    else:
        made = found.replace(hour=0, minute=0, second=0, microsecond=0)
        if name == "week":
            made -= dt.timedelta(days=made.weekday())
        elif name in MONTHS:
            step = MONTHS[name]
            made = made.replace(month=(made.month - 1) // step * step + 1, day=1)
    return _like(value, made)


def format_date(value: Any, pattern: Any) -> str:
    """The date in words of the pattern: YYYY MM DD HH mm ss and others, or %Y %m %d …."""
    found = moment(value)
    return _TOKEN.sub(lambda match: _written(found, match), text(pattern))


def _written(at: dt.datetime, match: re.Match[str]) -> str:
    token = match[0]
    if match[1] is not None:
        return match[1]
    twelve = at.hour % 12 or 12
    half = "AM" if at.hour < 12 else "PM"
    month_name, day_name = _MONTH_NAMES[at.month - 1], _DAY_NAMES[at.weekday()]
    return {
        "YYYY": f"{at.year:04}", "yyyy": f"{at.year:04}", "YY": f"{at.year % 100:02}",
        "yy": f"{at.year % 100:02}", "dd": f"{at.day:02}", "MMMM": month_name, "MMM": month_name[:3],
        "MM": f"{at.month:02}", "M": str(at.month), "DD": f"{at.day:02}", "D": str(at.day),
        "dddd": day_name, "ddd": day_name[:3], "HH": f"{at.hour:02}", "H": str(at.hour),
        "hh": f"{twelve:02}", "h": str(twelve), "mm": f"{at.minute:02}", "m": str(at.minute),
        "ss": f"{at.second:02}", "s": str(at.second), "SSS": f"{at.microsecond // 1_000:03}",
        "A": half, "a": half.lower(), "%Y": f"{at.year:04}", "%m": f"{at.month:02}",
        "%d": f"{at.day:02}", "%H": f"{at.hour:02}", "%M": f"{at.minute:02}", "%S": f"{at.second:02}",
        "%f": f"{at.microsecond:06}", "%j": f"{at.timetuple().tm_yday:03}", "%y": f"{at.year % 100:02}",
        "%B": month_name, "%b": month_name[:3], "%A": day_name, "%a": day_name[:3],
        "%I": f"{twelve:02}", "%p": half, "%%": "%",
    }[token]  # fmt: skip


# --- conversions ----------------------------------------------------------------------------


def to_string(value: Any) -> str:
    """The value as a text."""
    return text_of(value)


def to_int(value: Any) -> int:
    """A number without its fraction, or a text that is a whole number."""
    if isinstance(value, str):
        found = value.strip()
        if not _NUMBER.fullmatch(found) or len(found) > 32:
            raise WrongValue
        return int(found)
    return int(_number(value))


def to_float(value: Any) -> float:
    """A number, or a text that is one."""
    if isinstance(value, str):
        if not _REAL.fullmatch(value.strip()):
            raise WrongValue
        return float(value)
    return float(_number(value))


def _number(value: Any) -> Any:
    if not isinstance(value, (int, float)):
        raise WrongValue
    return value


def to_boolean(value: Any) -> bool:
    """The truth of a value; of a text, what it says: true, yes, on, 1 or false, no, off, 0."""
    if not isinstance(value, str):
        return truth(value)
    word = value.strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0", ""):
        return False
    raise WrongValue


def to_datetime(value: Any) -> str:
    """The instant of a text or a day, or of a number of seconds since 1970."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return timestamp(_EPOCH + dt.timedelta(seconds=value))
    return timestamp(moment(value))


def to_json(value: Any) -> str:
    """The JSON text of a value."""
    return encode(value)


def hashed(value: Any, algorithm: Any = "sha256") -> str:
    """The SHA-256 of a text, of other values of their JSON text, in hexadecimal."""
    if algorithm != "sha256":
        raise WrongValue
    whole_text = value if isinstance(value, str) else encode(value)
    return hashlib.sha256(whole_text.encode()).hexdigest()


def as_type(value: Any, type: Any) -> Any:
    """The value if it has the type (given as JSON), else null."""
    wanted = _type(type)
    try:
        return types.deep(wanted, value, "")
    except AuroraError:
        return None


@lru_cache(maxsize=256)
def _type(text: str) -> Type:
    return msgspec.json.decode(text, type=Type)
