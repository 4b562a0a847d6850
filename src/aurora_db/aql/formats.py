"""The forms of texts: addresses, numbers of telephones, and what `@validate(format: …)` names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

#: A dot-atom and a name of hosts with a top level. Source: RFC 5322, section 3.4.1, without quoted
#: local parts and literal addresses, which nobody has.
_EMAIL: Final = (
    r"(?=.{3,254}\Z)(?=[^@]{1,64}@)"
    r"[^@\s\"(),:;<>\[\\\].]+(?:\.[^@\s\"(),:;<>\[\\\].]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(?:[A-Za-z]{2,63}|xn--[A-Za-z0-9-]{1,59})"
)
#: A scheme, `://`, a host, maybe a user and a port. Source: RFC 3986, section 3.
_URL: Final = (
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^\s/?#@]*@)?"
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|[^\s/?#@:\[\]\"<>\\^`{|}]+)(?::(?P<port>[0-9]{1,5}))?(?:[/?#][^\s\"<>\\^`{|}]*)?"
)
#: A plus and up to fifteen digits. Source: ITU-T E.164.
_PHONE: Final = r"\+[1-9][0-9]{1,14}"
_UUID: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_SLUG: Final = r"[a-z0-9]+(?:-[a-z0-9]+)*"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # On first use: compiling all of them would be a part of every import.
    return re.compile(pattern)


def _fits(pattern: str, text: str) -> re.Match[str] | None:
    return _compiled(pattern).fullmatch(text)


def is_email(text: str) -> bool:
    """Whether it is an address of mail."""
    return _fits(_EMAIL, text) is not None


def is_url(text: str) -> bool:
    """Whether it is an absolute URL with a host."""
    found = _fits(_URL, text)
    if found is None or (found["six"] is not None and not is_ipv6(found["six"])):
        return False
    return found["port"] is None or int(found["port"]) <= 65_535


def is_phone(text: str) -> bool:
    """Whether it is an international number, as '+4912345'."""
    return _fits(_PHONE, text) is not None


def is_uuid(text: str) -> bool:
    """Whether it is a UUID in its usual spelling, of any case."""
    return _fits(_UUID, text) is not None


def is_slug(text: str) -> bool:
    """Whether it is made of lower-case words and digits with single hyphens between them."""
    return _fits(_SLUG, text) is not None


def is_ipv4(text: str) -> bool:
    """Whether it is an address of four numbers without leading zeros."""
    from ipaddress import IPv4Address  # noqa: PLC0415 - few schemas need it

    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def is_ipv6(text: str) -> bool:
    """Whether it is an address of IPv6, short or long, without a zone."""
    from ipaddress import IPv6Address  # noqa: PLC0415 - few schemas need it

    try:
        return IPv6Address(text).scope_id is None
    except ValueError:
        return False


#: What `@validate(format: …)` may say.
FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "email": is_email, "url": is_url, "uuid": is_uuid, "phone": is_phone, "ipv4": is_ipv4,
    "ipv6": is_ipv6, "slug": is_slug,
}  # fmt: skip
