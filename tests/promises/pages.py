"""Runs the code blocks of a documentation page, in order, in one namespace.

A line that ends with `# -> value` is compared: with the value of the expression on it, or with
what it printed. Blocks of AQL run through the page's `db`; a `json` block after one is its result.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language line, its text, and where it begins."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page."""
    text = page.read_text()
    return [
        Block(m.group(1).strip(), m.group(2), text.count("\n", 0, m.start()) + 2)
        for m in FENCE.finditer(text)
    ]


def run(page: Path) -> int:
    """Run a page; returns how many blocks ran."""
    names: dict[str, Any] = {"__name__": "__main__"}
    ran = 0
    result: object = None
    for block in blocks(page):
        match block.language:
            case "python":
                run_python(block, names, str(page))
            case "aql":
                result = names["db"].execute(block.text)
            case "json":
                assert json.loads(block.text) == result, f"{page.name}:{block.line}"
            case "python no-run":
                compile(block.text, str(page), "exec")
            case "text" | "sh" | "console" | "mermaid":
                continue
            case other:
                raise AssertionError(f"{page.name}:{block.line}: block of unknown kind {other!r}")
        ran += 1
    return ran


def run_python(block: Block, names: dict[str, Any], page: str) -> None:
    """Run one block, statement by statement, and compare its `# ->` lines."""
    lines = block.text.splitlines()
    for node in ast.parse(block.text).body:
        expected = _expected(node, lines)
        ast.increment_lineno(node, block.line - 1)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if expected is not None and isinstance(node, ast.Expr):
                code = compile(ast.Expression(node.value), page, "eval")
                value = eval(code, names)
            else:
                value = None
                exec(compile(ast.Module([node], []), page, "exec"), names)
        if expected is None:
            continue
        if value is None and printed.getvalue():
            # Handlers in other threads print too.
            assert expected in printed.getvalue().splitlines(), f"{page}:{node.lineno}"
        else:
            assert value == ast.literal_eval(expected), f"{page}:{node.lineno}: {value!r}"


def _expected(node: ast.stmt, lines: list[str]) -> str | None:
    last = lines[(node.end_lineno or node.lineno) - 1]
    _, arrow, text = last.rpartition("# -> ")
    return text.strip() if arrow else None
