"""The command line: `aurora`, or `python -m aurora_db`. What it needs beyond the library is an extra."""

from __future__ import annotations

import sys


def main() -> None:
    """Run one command; the exit code is 0 ok, 1 the operation failed, 2 wrong usage."""
    try:
        from aurora_db.cli import app  # noqa: PLC0415 - optional
    except ImportError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.stderr.write(
            f"error: the command line needs {error.name}, which is not installed\n"
            "  hint: pip install 'aurora-db[cli]'\n"
        )
        sys.exit(1)
    app(prog_name="aurora")


if __name__ == "__main__":
    main()
