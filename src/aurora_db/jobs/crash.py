"""Crash points: places in the code of workers where a test lets the process die.

`hook` is None unless somebody armed it; then each point calls it with its name and its engine. In
process (`Armed`) it raises `Crashed`, and every later write of that engine is refused until the worker is
gone, so that the file is what a kill would leave. In a process of its own (`from_environment`) it sends
SIGKILL to the process itself.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from aurora_db.aql import suggest
from aurora_db.base.errors import ValidationError
from aurora_db.store.engine import Engine

#: Where a process can die, and what is true there.
POINTS: Final[Mapping[str, str]] = MappingProxyType({
    "after_claim": "the job is claimed, its handler has not begun",
    "before_commit": "the handler has returned, and how it ended is not committed",
    "after_commit_before_ack": "how it ended is committed, and the worker does not know that yet",
    "in_completing_before_commit": "the block of `job.completing()` has ended and is not committed",
    "between_steps": "a step is committed, the next one has not begun",
})  # fmt: skip

#: The variable that lets a worker process die: a point, or `point:n` for the nth time it is reached.
VARIABLE: Final = "AURORA_CRASH_AT"

#: What a crash point calls, with its name; None unless a test armed it.
hook: Callable[[str, Engine], None] | None = None


class Crashed(BaseException):
    """The worker has died here, as far as the database can tell. `point` says where."""

    def __init__(self, point: str) -> None:
        super().__init__(f"the worker died at '{point}': {POINTS[point]}")
        self.point = point


class Armed:
    """Raises `Crashed` when a worker of `engine` is at `point` for the `nth` time."""

    def __init__(self, point: str, engine: Engine, nth: int = 1) -> None:
        self.point = known(point)
        self.fired = False
        self.engine = engine
        self._left = nth
        self._thaw: Callable[[], None] | None = None

    def __call__(self, point: str, engine: Engine) -> None:
        """The worker of an engine is at a point."""
        if engine is not self.engine:
            return
        if self.fired and self._thaw is not None:
            # A handler caught the first one; the dead go no further.
            raise Crashed(self.point)
        if point == self.point:
            self._left -= 1
            if self._left == 0:
                self.fired = True
                self._thaw = engine.freeze()
                raise Crashed(point)

    @property
    def dead(self) -> bool:
        """Whether the worker has died and is not gone yet."""
        return self._thaw is not None

    def gone(self) -> None:
        """Nothing of the dead worker runs any more: others may write. Twice is no error."""
        thaw, self._thaw = self._thaw, None
        if thaw is not None:
            thaw()


def killed(engine: Engine) -> Armed | None:
    """What killed the worker of `engine` in this process, until that is gone; else None."""
    armed = hook
    return armed if isinstance(armed, Armed) and armed.dead and armed.engine is engine else None


def known(point: str) -> str:
    """The name of a crash point.

    Raises:
        ValidationError: there is none of this name.
    """
    if point not in POINTS:
        raise ValidationError(
            f"no crash point named '{point}'",
            hint=suggest.hint(point, POINTS, f"the points are {', '.join(POINTS)}"),
            field="point",
            rule="crash_point",
            value=point,
        )
    return point


def from_environment() -> None:
    """Let this process die where the environment says; called when its workers start.

    Raises:
        ValidationError: the variable names no crash point.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted:
        global hook  # noqa: PLW0603 - what all points of the process look at
        hook = killer(wanted)


def killer(wanted: str) -> Callable[[str, Engine], None]:
    """A hook that kills this process at a point, or at `point:n` the nth time.

    Raises:
        ValidationError: there is no such point.
    """
    name, _, count = wanted.partition(":")
    known(name)
    if count and not (count.isdecimal() and int(count) > 0):
        raise ValidationError(
            f"'{VARIABLE}' is a point or 'point:n' with n from 1, not '{wanted}'",
            hint=f"{VARIABLE}={name}",
            field=VARIABLE,
            rule="crash_point",
            value=wanted,
        )
    left = int(count or 1)

    def kill(point: str, _engine: Engine) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return kill
