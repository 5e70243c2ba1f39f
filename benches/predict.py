"""How many tickets a CPU second decides: triaged beside fastText and scikit-learn, on the same
English tickets of about 1 KB, each on one thread. `make predict` builds the binaries first."""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from statistics import median

from peers.systems import FastText, svm, words, words_tfidf
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import make_pipeline

from support import page

OURS = "triaged, with the explanation"
CATEGORIES = 20
BYTES = 1_000
# CPU time of a peer is measured over at least so long, as triaged's is.
SECONDS = 2.0


@dataclass(frozen=True)
class Tickets:
    """English tickets, in a file as triaged reads them and as texts for the peers."""

    file: Path
    texts: list[str]
    labels: list[str]


def english(source: Path, skip: int, count: int, file: Path) -> Tickets:
    """Some of the tickets of a file that are in ASCII, which no Korean ticket is."""
    with source.open(encoding="utf-8") as lines:
        ascii_only = (line for line in lines if line.isascii())
        chosen = list(islice(ascii_only, skip, skip + count))
    if len(chosen) < count:
        raise SystemExit(f"predict: {source} has too few English tickets")
    file.write_text("".join(chosen), encoding="utf-8")
    tickets = [json.loads(line) for line in chosen]
    texts = [f"{ticket['subject']}\n{ticket['body']}" for ticket in tickets]
    return Tickets(file, texts, [ticket["label_category"] for ticket in tickets])


def per_cpu_second(answer: Callable[[], object], tickets: int) -> float:
    """Tickets by CPU second of this process."""
    answered, seconds, start = 0, 0.0, time.process_time()
    while seconds < SECONDS:
        answer()
        answered += tickets
        seconds = time.process_time() - start
    return answered / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=10_000, help="tickets to learn from")
    parser.add_argument("--ask", type=int, default=2_000, help="tickets to decide")
    parser.add_argument("--rounds", type=int, default=5, help="in which all take turns")
    parser.add_argument("--binaries", type=Path, default=Path("target/release"))
    parser.add_argument("--work", type=Path, default=Path("target/predict"))
    parser.add_argument("--write", action="store_true", help=f"rewrite the table in {page.PAGE}")
    options = parser.parse_args()
    work = options.work

    def tool(*command: str | Path) -> str:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
        return done.stdout

    # About half of the corpus is English.
    shape = [f"--categories={CATEGORIES}", f"--bytes={BYTES}", "--demo=0"]
    count = f"--count={(options.train + options.ask) * 5 // 2}"
    tool(options.binaries / "examples" / "corpus", *shape, count, f"--out={work}")
    train = english(work / "tickets.jsonl", 0, options.train, work / "train.jsonl")
    ask = english(work / "tickets.jsonl", options.train, options.ask, work / "ask.jsonl")

    columns = ["--id-column=ticket_id", "--category-column=label_category"]
    # The category alone, as the others: the tickets' own impact and urgency are not learnt.
    columns += ["--impact-column=none", "--urgency-column=none"]
    binary = options.binaries / "triaged"
    tool(binary, "train", f"--data={train.file}", f"--out={work / 'model'}", *columns)
    fast = FastText(rate=0.5).train(train.texts, train.labels)
    machine = make_pipeline(words_tfidf(), CalibratedClassifierCV(svm()))
    machine.fit(train.texts, train.labels)

    def judge() -> float:
        judge = options.binaries / "examples" / "judge"
        judged, seconds = map(float, tool(judge, work / "model", ask.file).split())
        return judged / seconds

    prepared = [words(text) for text in ask.texts]
    peers: dict[str, Callable[[], object]] = {
        "fastText, prepared lines": lambda: fast.predict(prepared),
        "fastText, from the ticket": lambda: fast.predict([words(text) for text in ask.texts]),
        "scikit-learn, calibrated linear SVM": lambda: machine.predict_proba(ask.texts),
    }
    measured: dict[str, list[float]] = {OURS: [], **{name: [] for name in peers}}
    for _ in range(options.rounds):
        measured[OURS].append(judge())
        for name, answer in peers.items():
            measured[name].append(per_cpu_second(answer, options.ask))
        print({name: round(each[-1]) for name, each in measured.items()}, flush=True)

    ours = median(measured[OURS])
    rows = []
    for name, each in measured.items():
        middle, ends = median(each), f"{min(each):,.0f} to {max(each):,.0f}"
        rows.append([name, f"{middle:,.0f}", ends, f"{ours / middle:.1f}"])
    mean = sum(len(text.encode()) for text in ask.texts) / len(ask.texts)
    versions = ", ".join(f"{name} {version(name)}" for name in ("fasttext-wheel", "scikit-learn"))
    text = (
        f"{options.ask:,} English tickets of {mean:,.0f} bytes on average, models trained on "
        f"{options.train:,} with {CATEGORIES} categories, median of {options.rounds} rounds in "
        f"which all take turns ({versions}):\n\n"
    )
    head = ["", "tickets a CPU second", "least and most", "triaged has so many times that"]
    text += page.table(head, rows)
    print(text)
    if options.write:
        page.rewrite("predict", text)


if __name__ == "__main__":
    main()
