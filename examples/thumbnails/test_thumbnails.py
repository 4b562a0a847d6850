"""The example as its users run it, with small pictures instead of fetched ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]


def test_the_demo_makes_thumbnails_and_survives_a_kill(tmp_path: Path) -> None:
    """Every picture gets its three sizes, the two broken ones fail, the sheet is drawn."""
    images = tmp_path / "images"
    images.mkdir()
    for n in range(12):
        Image.effect_mandelbrot((1400, 1000), (-2, -1.2, 1, 1.2), 20 + n).save(
            images / f"p{n:02}.png"
        )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "examples.thumbnails.demo", "--images", images, "--out", out],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((out / "thumbnails").glob("*.jpg"))) == 36
    assert "corrupt.jpg" in done.stdout
    assert "FileNotFoundError" in done.stdout
    with Image.open(out / "contact-sheet.png") as drawn:
        assert drawn.width > 1000
