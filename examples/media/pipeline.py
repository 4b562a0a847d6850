"""The jobs of the pipeline, and the flow that puts them in order.

    look (one a photograph)  →  size (three a photograph)  →  collage (one, after all sizes)

`look` finds the mean colour, `size` makes one size, `collage` puts all of them into one picture.
"""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image, ImageOps

from aurora_db import Aurora, JobContext, Jobs

SIZES = (96, 320, 800)
SCHEMA = """
schema {
  define collection photos { name: String! @unique  path: String!  hue: Float  width: Int  height: Int }
  define collection sizes {
    photo: ID! @relation(to: "photos", onDelete: CASCADE)
    size: Int!  path: String!  bytes: Int!
    @@unique(fields: [photo, size])
  }
}
"""


class Photo(msgspec.Struct):
    """Which photograph."""

    photo: str
    path: str


class Size(msgspec.Struct):
    """Which photograph, and how large its longer side shall be."""

    photo: str
    path: str
    size: int


class Collage(msgspec.Struct):
    """Where the collage goes."""

    path: str


def handlers(folder: Path) -> Jobs:
    """The job handlers, writing into `folder`."""
    jobs = Jobs()

    @jobs.job("look")
    def look(photo: Photo, job: JobContext) -> None:
        with Image.open(photo.path) as opened:
            width, height = opened.size
            red, green, blue = opened.convert("RGB").resize((1, 1)).getpixel((0, 0))
        hue = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[0]
        with job.completing() as tx:
            tx["photos"].update(photo.photo, {"hue": hue, "width": width, "height": height})

    @jobs.job("size")
    def size(wanted: Size, job: JobContext) -> None:
        with Image.open(wanted.path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        small = ImageOps.contain(image, (wanted.size, wanted.size), Image.Resampling.LANCZOS)
        # One name for all attempts: a second one writes the same file again.
        path = folder / f"{wanted.photo}-{wanted.size}.jpg"
        small.save(path, quality=88)
        row = {"photo": wanted.photo, "size": wanted.size, "path": str(path)}
        with job.completing() as tx:
            tx["sizes"].insert({**row, "bytes": path.stat().st_size})
            tx.result(str(path))

    @jobs.job("collage")
    def collage(wanted: Collage, job: JobContext) -> dict[str, Any]:
        # What the jobs before it returned, by their names in the flow; None where one failed.
        made = {name: path for name, path in job.results().items() if path is not None}
        tiles = [path for name, path in made.items() if name.endswith(":320")]
        draw(tiles, Path(wanted.path))
        return {"tiles": len(tiles), "path": wanted.path}

    return jobs


def draw(tiles: list[str], path: Path) -> None:
    """A grid of square tiles, in the order of their names."""
    side, columns = 160, 5
    lines = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (side * columns, side * lines), "#202020")
    for number, tile in enumerate(sorted(tiles)):
        with Image.open(tile) as opened:
            square = ImageOps.fit(opened, (side, side), Image.Resampling.LANCZOS)
        sheet.paste(square, (number % columns * side, number // columns * side))
    sheet.save(path, quality=90)


def start(db: Aurora, pictures: list[Path], out: Path) -> str:
    """Put photographs into the database and their flow into the queue, in one transaction.

    Returns the id of the flow.
    """
    with db.transaction() as tx:
        rows = [{"name": path.name, "path": str(path)} for path in pictures]
        ids = tx["photos"].insert_many(rows)
        with tx.flow("album", on_complete=("told", {"album": out.name})) as flow:
            # It is named before the jobs that it waits for: the order of writing does not count.
            needed = [f"{path.name}:{size}" for path in pictures for size in SIZES]
            flow.job(
                "collage", "collage", {"path": str(out / "collage.jpg")},
                after=needed, on_dependency_failure="run",
            )  # fmt: skip
            for id, path in zip(ids, pictures, strict=True):
                payload = {"photo": id, "path": str(path)}
                flow.job(path.name, "look", payload, retries=2, backoff=0.2)
                for size in SIZES:
                    flow.job(
                        f"{path.name}:{size}", "size", {**payload, "size": size}, after=[path.name]
                    )
    return flow.id
