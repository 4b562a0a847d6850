"""`make crash`: the kill test with two hundred kills, then five programs at once for half a minute.

    python tests/crash/long.py [--kills N] [--seconds S] [--seed N]

Ends with a table for each; the exit status is 1 if anything is not as it must be.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

import kill
import together

#: Seconds within which 99 of 100 rescues must be done.
RESCUE = 2.0


def killing(console: Console, kills: int, seed: int) -> list[str]:
    """The kill test, and its table; what is wrong."""
    with (
        tempfile.TemporaryDirectory(prefix="aurora-crash-") as folder,
        Progress(console=console, transient=True) as progress,
    ):
        task = progress.add_task("killing", total=kills)
        report = kill.run(
            Path(folder, "kill.db"), kills, seed, lambda n: progress.update(task, completed=n)
        )
        complaints = Path(folder, "errors.txt").read_text()
    faults = report.faults()
    p99 = report.rescue(0.99)
    if report.rescues and p99 >= RESCUE:
        faults.append(f"a rescue took longer than {RESCUE} s")
    if "Traceback" in complaints:
        faults.append(f"a program complained: {complaints[:2000]}")
    found = report.found
    table = Table("what", "figure", title=f"Killed, seed {seed}")
    by_role = ", ".join(f"{count} {role}" for role, count in sorted(report.kills.items()))
    for what, figure in (
        ("kills", f"{report.kills.total()} ({by_role})"),
        ("seconds", f"{report.seconds:.0f}"),
        ("products acknowledged", f"{report.acknowledged:,}"),
        ("… of which lost", f"{report.lost}"),
        ("products in the file", f"{found['products']:,}"),
        ("effects", f"{found['effects']:,}"),
        ("… made by a later attempt", f"{found['again']:,}"),
        ("products without effect, with two", f"{found['without']}, {found['twice']}"),
        ("jobs", f"{found['jobs']:,} {found['statuses']}"),
        ("rescues of workers that held jobs", f"{len(report.rescues)}"),
        (
            "rescue p50, p99, most",
            f"{report.rescue(0.5):.2f}, {p99:.2f}, {report.rescue(1.0):.2f} s",
        ),
        ("integrity", f"{found['integrity']}"),
    ):
        table.add_row(what, figure)
    console.print(table)
    return faults


def beside(console: Console, seconds: float) -> list[str]:
    """Five programs at once, and their table; what is wrong."""
    with (
        tempfile.TemporaryDirectory(prefix="aurora-crash-") as folder,
        console.status(f"five programs at once for {seconds:g} s"),
    ):
        report = together.run(Path(folder, "together.db"), seconds)
    table = Table("program", "products", "jobs by hand", "longest wait", "errors", title="At once")
    for name, said in report.by_name.items():
        errors = said["errors"]
        assert isinstance(errors, list)
        table.add_row(
            name, f"{said['products']:,}", f"{said['enqueued']:,}", f"{said['longest']:.2f} s",
            "; ".join(errors[:3]) or "none",
        )  # fmt: skip
    found = report.found
    table.add_section()
    table.add_row("in the file", f"{found['products']:,}", f"{found['counted']:,}")
    table.add_row("effects", f"{found['effects']:,}", "", f"drained in {report.drained:.1f} s")
    table.add_row("integrity", f"{found['integrity']}")
    console.print(table)
    return report.faults()


def main() -> int:
    """Run both."""
    parser = argparse.ArgumentParser(description="Kill processes, and let several run at once.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    console = Console()
    faults = killing(console, given.kills, given.seed) if given.kills else []
    if given.seconds:
        faults += beside(console, given.seconds)
    for fault in faults:
        console.print(f"[red]wrong:[/red] {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
