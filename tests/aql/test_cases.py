"""Runs `cases/*.md`: what each sentence of the language promises, with exact results."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.aql import cases

from aurora_db import AqlError, AuroraError
from aurora_db.base.codec import encode

if TYPE_CHECKING:
    from aurora_db import Aurora
    from aurora_db.base.clock import ManualClock

CASES = [
    pytest.param(path.name, case, id=f"{path.stem}-{case.title}")
    for path in sorted(cases.FOLDER.glob("*.md"))
    for case in cases.read(path)
]


@pytest.mark.parametrize(("file", "case"), CASES)
def test_case(file: str, case: cases.Case, db: Aurora, clock: ManualClock):
    """Each block returns exactly what stands under it, or is refused as it says."""
    bound: dict[str, Any] = {}
    last: cases.Block | None = None
    got: Any = None
    for block in case.blocks:
        where = f"{file}:{block.line}"
        if block.kind == "aql":
            last, got = block, _execute(db, block, clock, where)
        elif block.kind == "json":
            wanted = json.loads(block.text)
            assert cases.matches(wanted, got, bound), f"{where}\nwanted {wanted}\ngot    {got}"
        else:
            assert last is not None, where
            explained = db.explain(last.text, last.options.get("vars"))
            printed = explained.plan if block.kind == "plan" else "\n".join(explained.sql)
            assert printed.strip() == block.text.strip(), where


def _execute(db: Aurora, block: cases.Block, clock: ManualClock, where: str) -> Any:
    options = dict(block.options)
    if "clock" in options:
        clock.advance(datetime.fromisoformat(options.pop("clock")) - clock.now())
    code, at = options.pop("error", None), options.pop("at", None)
    variables = options.pop("vars", None)
    if code is None:
        return json.loads(encode(db.execute(block.text, variables, **options)))
    with pytest.raises(AuroraError) as refused:
        db.execute(block.text, variables, **options)
    error = refused.value
    assert error.code == code, f"{where}: {error}"
    if at is not None:
        assert isinstance(error, AqlError), f"{where}: {error!r}"
        assert error.span is not None, f"{where}: no place in {error}"
        assert block.text[error.span.start : error.span.end] == at, f"{where}: {error}"
    return None
