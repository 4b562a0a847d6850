"""Asks the ten questions of questions.aql and prints the answers.

python -m examples.flights.ask flights.db [QUESTION]
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.json import JSON

from aurora_db import Aurora
from aurora_db.base.codec import encode

TEXT = (Path(__file__).parent / "questions.aql").read_text("utf-8")
#: The names of the questions and their sentences.
QUESTIONS = {name: title for title, name in re.findall(r"# \d+\. (.+)\nquery (\w+)", TEXT)}


def main() -> None:
    """Ask all of them, or the one that is named."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    console = Console()
    with Aurora(sys.argv[1], read_only=True) as db:
        for name in sys.argv[2:] or QUESTIONS:
            begun = time.perf_counter()
            answer = db.execute(TEXT, operation=name)
            took = time.perf_counter() - begun
            console.print(
                f"[bold]{QUESTIONS.get(name, name)}[/bold]  [dim]{took * 1000:.0f} ms[/dim]"
            )
            console.print(JSON(encode(answer)))


if __name__ == "__main__":
    main()
