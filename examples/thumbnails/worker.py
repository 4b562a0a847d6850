"""A worker process: makes the thumbnails of products until it is told to stop.

python -m examples.thumbnails.worker shop.db thumbnails/
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

from aurora_db import Aurora, JobContext, Jobs

SIZES = (64, 160, 320)


@dataclass
class Picture:
    """The payload: which product, and where its picture lies."""

    product_id: str
    path: str


def handlers(folder: Path) -> Jobs:
    """The job handlers, writing into `folder`."""
    jobs = Jobs()

    @jobs.job("process_image")
    def process_image(picture: Picture, job: JobContext) -> None:
        with Image.open(picture.path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        # The work: slow, harmless to do twice. The files have one name each, so twice is once.
        made = [
            _thumbnail(image, size, folder / f"{picture.product_id}-{size}.jpg") for size in SIZES
        ]
        # Its effects, its result and its end are one commit.
        with job.completing() as tx:
            tx["thumbnails"].insert_many({"product": picture.product_id, **one} for one in made)
            tx.result({"sizes": list(SIZES)})

    return jobs


def _thumbnail(image: Image.Image, size: int, path: Path) -> dict[str, object]:
    # From twice the size, smoothed: slower and better than in one step.
    large = ImageOps.contain(image, (4 * size, 4 * size), Image.Resampling.LANCZOS)
    small = ImageOps.contain(
        large.filter(ImageFilter.GaussianBlur(1.2)), (size, size), Image.Resampling.LANCZOS
    )
    small.filter(ImageFilter.UnsharpMask(1.0, 80, 2)).save(path, quality=88)
    return {"size": size, "path": str(path), "width": small.width, "height": small.height}


def main(database: str, folder: str) -> None:
    """Work until SIGTERM or SIGINT."""
    with Aurora(
        database, workers_enabled=True, worker_threads=2, jobs=handlers(Path(folder))
    ) as db:
        db.workers.run()


if __name__ == "__main__":
    main(*sys.argv[1:3])
