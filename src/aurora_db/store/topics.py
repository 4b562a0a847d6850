"""Topics: their names and patterns, and publishing within a transaction.

A durable message is a row of the feed, so it is seen if its transaction commits and can be read
later. An ephemeral one waits in the port until the commit and is then handed on by `store/post.py`;
nothing of it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import msgspec

from aurora_db.base.codec import encode, timestamp
from aurora_db.base.errors import TooLarge, ValidationError
from aurora_db.store import changes, positions
from aurora_db.store.port import Port

#: Characters of a topic or a pattern, at most.
LONGEST: Final = 255
#: Bytes of an ephemeral payload as JSON, at most: it travels as one datagram.
LARGEST: Final = 64 * 1024
#: Bytes of a durable payload as JSON, at most.
LARGEST_DURABLE: Final = 16 * 1024 * 1024

#: A level of a pattern that stands for any one level, and one for any number of them, also none.
ONE: Final = "*"
ANY: Final = "**"
#: What the wildcards are elsewhere.
FOREIGN: Final = {"#": ANY, ">": ANY, "+": ONE, "%": ONE, "?": ONE}

APPEND = """
    INSERT INTO _changes (collection, op, id, after, at) VALUES (?, 'insert', ?, ?, ?) RETURNING seq
"""


class Posted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An ephemeral message: its topic, and its payload as JSON text."""

    topic: str
    payload: str


async def publish(port: Port, topic: object, payload: object, durable: bool) -> str | None:
    """Publish in the port's transaction: if it is rolled back, nobody ever sees the message.

    Returns the position of a durable message, None for an ephemeral one.

    Raises:
        ValidationError: the topic is no topic, or the payload has no JSON form.
        TooLarge: the payload is larger than 64 KiB as JSON, or 16 MiB if durable.
    """
    message = posted(topic, payload, durable=durable)
    if durable:
        return await append(port, message)
    port.post(message)
    return None


def posted(topic: object, payload: object, *, durable: bool = False) -> Posted:
    """A message to be sent, checked.

    Raises:
        ValidationError, TooLarge: as `publish`.
    """
    checked = topic_of(topic)
    text = encode(payload)
    size = size_of(text)
    if size > (LARGEST_DURABLE if durable else LARGEST):
        raise _too_large(checked, size, durable=durable)
    return Posted(checked, text)


def size_of(text: str) -> int:
    """The bytes of a text."""
    return len(text) if text.isascii() else len(text.encode())


async def append(port: Port, message: Posted) -> str:
    """Write a message into the feed; its position."""
    # The images of the feed are objects, so that conditions can be asked of every one of them.
    image = f'{{"topic":{encode(message.topic)},"payload":{message.payload}}}'
    row = await port.row(APPEND, (changes.TOPICS, message.topic, image, timestamp(port.now())))
    assert row is not None, "an insert that succeeds returns its row"
    return positions.token(await changes.database_id(port), row[0])


def topic_of(topic: object) -> str:
    """A topic, checked: levels with dots between them, such as "chat.room1".

    Raises:
        ValidationError: it is none.
    """
    for level in _levels(topic, "topic"):
        if ONE in level:
            raise _refused(
                f"the topic {topic!r} has a '*', which stands for others only in patterns",
                "publish to one topic, and let subscribers use the pattern", "topic", topic,
            )  # fmt: skip
    return cast("str", topic)


def pattern_of(pattern: object) -> str:
    """A pattern, checked: a topic in which a level may be "*" or "**".

    Raises:
        ValidationError: it is none.
    """
    levels = _levels(pattern, "pattern")
    for n, level in enumerate(levels):
        meant = FOREIGN.get(level)
        if meant is not None:
            meant = ".".join([*levels[:n], meant, *levels[n + 1 :]])
            raise _refused(
                f"the pattern {pattern!r} has the level '{level}', which is no wildcard here",
                f"did you mean '{meant}'?", "pattern", pattern,
            )  # fmt: skip
        if ONE in level and level not in (ONE, ANY):
            raise _refused(
                f"in the pattern {pattern!r} the level '{level}' mixes '*' with other characters",
                "'*' stands for one whole level and '**' for any number of levels, as in 'chat.*'",
                "pattern", pattern,
            )  # fmt: skip
    return cast("str", pattern)


def matching(pattern: str) -> Callable[[str], bool] | None:
    """Whether a topic matches a checked pattern; None where only the topic of that name does.

    "*" matches exactly one level, "**" any number of levels and also none: "chat.**" matches "chat".
    """
    levels = pattern.split(".")
    if ONE not in levels and ANY not in levels:
        return None
    return lambda topic: _match(levels, topic.split("."))


def _match(pattern: list[str], topic: list[str]) -> bool:
    """Greedy, with one place to come back to: no pattern takes longer than both lengths multiplied."""
    p = t = 0
    back: tuple[int, int] | None = None
    while t < len(topic):
        if p < len(pattern) and pattern[p] == ANY:
            p += 1
            back = (p, t)
        elif p < len(pattern) and pattern[p] in (ONE, topic[t]):
            p, t = p + 1, t + 1
        elif back is not None:
            # The last "**" takes one level more.
            back = (back[0], back[1] + 1)
            p, t = back
        else:
            return False
    return all(level == ANY for level in pattern[p:])


def _levels(name: object, word: str) -> list[str]:
    if not isinstance(name, str):
        raise _refused(
            f"a {word} is a text, not {type(name).__name__}",
            f"give levels with dots between them, such as 'chat.room1', as {word}", word, name,
        )  # fmt: skip
    if len(name) > LONGEST:
        raise _refused(
            f"the {word} has {len(name)} characters, at most {LONGEST} are allowed",
            "put what is long into the payload", word, name,
        )  # fmt: skip
    levels = name.split(".")
    if "" in levels:
        whole = ".".join(filter(None, levels)) or "chat.room1"
        raise _refused(
            f"the {word} {name!r} has an empty level", f"write it as '{whole}'", word, name
        )
    if not name.isprintable():
        raise _refused(
            f"the {word} {name!r} has a character that cannot be printed",
            "use letters, digits and signs", word, name,
        )  # fmt: skip
    return levels


def _refused(message: str, hint: str, field: str, value: object) -> ValidationError:
    return ValidationError(message, hint=hint, field=field, rule="topic", value=value)


def _too_large(topic: str, size: int, *, durable: bool) -> TooLarge:
    most = LARGEST_DURABLE if durable else LARGEST
    hint = (
        "insert a document and publish its id"
        if durable
        else "durable=True takes up to 16 MiB; or insert a document and publish its id"
    )
    return TooLarge(
        f"the payload for '{topic}' has {size:,} bytes as JSON, at most {most:,} are published",
        hint=hint,
    )
