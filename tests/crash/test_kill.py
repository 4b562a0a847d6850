"""SIGKILL at random moments: nothing acknowledged is lost, no effect happens twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import kill

#: `make crash` kills two hundred times.
KILLS = 20


@pytest.mark.crash
def test_a_killed_process_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """Two writers and three workers are killed 20 times; each product has its one effect."""
    report = kill.run(tmp_path / "kill.db", KILLS, seed=20261124)
    assert report.faults() == []
    assert report.acknowledged > KILLS
    assert sum(report.kills.values()) == KILLS + 2
    assert "Traceback" not in (tmp_path / "errors.txt").read_text()
