"""The example as its users run it, with small pictures instead of fetched ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

from aurora_db import Aurora

ROOT = Path(__file__).parents[2]


def test_a_flow_goes_on_after_all_its_workers_were_killed_and_does_nothing_twice(
    tmp_path: Path,
) -> None:
    """Ten pictures in three sizes, one broken picture, one collage, the end told once."""
    images = tmp_path / "images"
    images.mkdir()
    for n in range(10):
        Image.effect_mandelbrot((900, 600), (-2, -1.2, 1, 1.2), 20 + n).save(
            images / f"p{n:02}.png"
        )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "examples.media.demo", "--images", images, "--out", out],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with Image.open(out / "collage.jpg") as drawn:
        assert drawn.size == (800, 320)
    with Aurora(out / "album.db", read_only=True) as db:
        sizes = db.execute("{ sizes { groupBy(field: size) { key count } } }")
        assert sizes == {
            "sizes": {
                "groupBy": [
                    {"key": 96, "count": 10},
                    {"key": 320, "count": 10},
                    {"key": 800, "count": 10},
                ]
            }
        }
        rows = db.execute("{ _jobs { type status result } }")["_jobs"]
        ended = sorted({(row["type"], row["status"]) for row in rows})
        assert ended == [
            ("collage", "COMPLETED"),
            ("look", "COMPLETED"),
            ("look", "FAILED"),
            ("size", "CANCELLED"),
            ("size", "COMPLETED"),
            ("told", "COMPLETED"),
        ]
        (told,) = [row["result"] for row in rows if row["type"] == "told"]
        assert told["counts"] == {"total": 45, "completed": 41, "failed": 1, "cancelled": 3}
        assert db.check() == []
