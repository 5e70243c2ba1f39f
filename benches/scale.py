"""What training takes as tickets grow in number: seconds, CPU seconds and peak memory of
`triaged train` with the report, on synthetic tickets. `make scale` builds the binaries first."""

import argparse
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from support import page

CATEGORIES = 20
BYTES = 1_000
# What the model tells, and the columns that it learns it from.
TELLS = {
    "category": ["--impact-column=none", "--urgency-column=none"],
    "category, impact, urgency": [
        "--impact-column=label_impact",
        "--urgency-column=label_urgency",
    ],
}
# With more tickets the category alone is enough to see how costs grow.
MOST_WITH_ALL = 100_000


@dataclass(frozen=True)
class Cost:
    """What a process took; memory is the largest resident set."""

    seconds: float
    cpu_seconds: float
    mib: float


def run(*command: str | Path) -> Cost:
    """Runs a command to its end, its output thrown away."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"scale: {' '.join(map(str, command))} failed")
    seconds = time.perf_counter() - start
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--binaries", type=Path, default=Path("target/release"))
    parser.add_argument("--work", type=Path, default=Path("target/scale"))
    parser.add_argument("--write", action="store_true", help=f"rewrite the table in {page.PAGE}")
    options = parser.parse_args()

    corpus, triaged = options.binaries / "examples" / "corpus", options.binaries / "triaged"
    rows = []
    for tickets in options.tickets:
        folder = options.work / str(tickets)
        shape = [f"--categories={CATEGORIES}", f"--bytes={BYTES}", f"--count={tickets}", "--demo=0"]
        run(corpus, *shape, f"--out={folder}")
        data = folder / "tickets.jsonl"
        mean = data.stat().st_size / tickets
        for tells, columns in TELLS.items():
            if tells != "category" and tickets > MOST_WITH_ALL:
                continue
            columns = ["--id-column=ticket_id", "--category-column=label_category", *columns]
            cost = run(triaged, "train", f"--data={data}", f"--out={folder / 'model'}", *columns)
            row = [f"{tickets:,}", f"{mean:,.0f}", tells, f"{cost.seconds:,.1f}"]
            rows.append([*row, f"{cost.cpu_seconds:,.1f}", f"{cost.mib:,.0f}"])
            print(*rows[-1], flush=True)
        data.unlink()

    head = ["tickets", "bytes a ticket", "told", "seconds", "CPU seconds", "peak memory, MiB"]
    text = page.table(head, rows)
    print(text)
    if options.write:
        page.rewrite("scale", text)


if __name__ == "__main__":
    main()
