"""The contact sheet: every thumbnail in a titled grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps

if TYPE_CHECKING:
    from aurora_db import Aurora

CELL, GAP, TITLE, COLUMNS = 200, 16, 28, 5
PAPER, INK, PALE = "#f6f4ef", "#2b2b2b", "#a33a2a"


def contact_sheet(db: Aurora, path: Path) -> Path:
    """Draw the catalogue as it is in the database; returns the path of the PNG."""
    products = db.execute("{ products(orderBy: {name: ASC}) { id name } }")["products"]
    rows = db.execute("{ thumbnails(where: {size: 320}) { product path } }")["thumbnails"]
    found = {row["product"]: row["path"] for row in rows}
    lines = -(-len(products) // COLUMNS)
    sheet = Image.new(
        "RGB", (COLUMNS * (CELL + GAP) + GAP, lines * (CELL + TITLE + GAP) + GAP), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=15)
    for n, product in enumerate(products):
        x = GAP + n % COLUMNS * (CELL + GAP)
        y = GAP + n // COLUMNS * (CELL + TITLE + GAP)
        picture = found.get(product["id"])
        if picture is None:
            draw.rectangle((x, y, x + CELL, y + CELL), outline=PALE, width=2)
            draw.text((x + CELL / 2, y + CELL / 2), "failed", PALE, font, anchor="mm")
        else:
            with Image.open(picture) as opened:
                small = ImageOps.contain(opened, (CELL, CELL))
            sheet.paste(small, (x + (CELL - small.width) // 2, y + (CELL - small.height) // 2))
        draw.text((x + CELL / 2, y + CELL + TITLE / 2), product["name"], INK, font, anchor="mm")
    sheet.save(path)
    return path
