"""Cases with exact results, written in Markdown: `cases/*.md`, one file a topic.

    ## 017 or keeps its siblings
    ```aql                      operations; the blocks of a case share one fresh database
    ```aql vars={"t": 1}        with variables; or error=unknown_field at="usernam" for a refusal
    ```json                     exactly what the block before returned, keys in order
    ```sqlite                   the statements of the block before, one a line
    ```plan                     its plan, as explain prints it
    ```stream                   opens a stream of the text; with name=a, where a case has several
    ```events                   exactly what it has said since the block before, one JSON after the other; of=a

Options of a stream besides: `vars=`, `since=` (`"<id:1>"` is what stood there before), `operation=`, `auth=`,
or error= and at= for a refusal.

Options of an aql block besides: `operation=`, `auth=` (JSON), `clock=` (an instant). Results are
compared after the codec made JSON of them. `"<any>"`, `"<uuid>"`, `"<time>"` match by kind; `"<id:1>"` binds
whatever stands there first and must repeat.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "cases"

_TITLE = re.compile(r"^## (\d{3} .+)$")
_FENCE = re.compile(r"^```(aql|json|plan|sqlite|postgres|stream|events)\b(.*)$")
_OPTION = re.compile(r"\s*(\w+)=")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_KNOWN = frozenset(("vars", "error", "at", "operation", "auth", "clock", "name", "of", "since"))


@dataclass
class Block:
    """One fenced block, `line` counted from 1."""

    kind: str
    text: str
    line: int
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Case:
    """One case: its number and title, and its blocks in order."""

    title: str
    blocks: list[Block]


def read(path: Path) -> list[Case]:
    """The cases of a file; what is not understood is an error."""
    cases: list[Case] = []
    block: Block | None = None
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if block is not None:
            if line == "```":
                block = None
            else:
                block.text += line + "\n"
        elif title := _TITLE.match(line):
            if any(one.title[:3] == title[1][:3] for one in cases):
                raise ValueError(f"{path.name}:{number}: the number {title[1][:3]} stands twice")
            cases.append(Case(title[1], []))
        elif line.startswith("```"):
            fence = _FENCE.match(line)
            if fence is None or not cases:
                raise ValueError(f"{path.name}:{number}: a block that no case knows: {line}")
            block = Block(fence[1], "", number, options(fence[2]))
            cases[-1].blocks.append(block)
    return cases


def options(text: str) -> dict[str, Any]:
    """`name=value …`; a value is JSON, or a bare word."""
    found: dict[str, Any] = {}
    decoder = json.JSONDecoder()
    at = 0
    while match := _OPTION.match(text, at):
        if match[1] not in _KNOWN:
            raise ValueError(f"no option named {match[1]!r}")
        at = match.end()
        word = re.compile(r"[A-Za-z_]\w*(?=\s|$)").match(text, at)
        if word and word[0] not in ("true", "false", "null"):
            found[match[1]], at = word[0], word.end()
        else:
            found[match[1]], at = decoder.raw_decode(text, at)
    if text[at:].strip():
        raise ValueError(f"not an option: {text[at:]!r}")
    return found


def matches(wanted: Any, got: Any, bound: dict[str, Any]) -> bool:
    """Whether a result is what a case wants, keys in their order."""
    match wanted:
        case dict():
            return (
                isinstance(got, dict)
                and list(wanted) == list(got)
                and all(matches(one, got[key], bound) for key, one in wanted.items())
            )
        case list():
            return (
                isinstance(got, list)
                and len(wanted) == len(got)
                and all(matches(a, b, bound) for a, b in zip(wanted, got, strict=True))
            )
        case "<any>":
            return True
        case "<uuid>":
            return isinstance(got, str) and bool(_UUID.fullmatch(got))
        case "<time>":
            return isinstance(got, str) and bool(_TIME.fullmatch(got))
        case str() if wanted.startswith("<id:") and wanted.endswith(">"):
            return bound.setdefault(wanted, got) == got
        case _:
            return type(wanted) is type(got) and wanted == got
