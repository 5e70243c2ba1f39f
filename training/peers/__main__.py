"""The command: splits each set, asks every system, measures, and writes the report."""

import argparse
import dataclasses
import hashlib
import json
import sys
from pathlib import Path

from . import answers, measure, report, sets
from .answers import Answers
from .ours import Failed, Triaged
from .sets import LabelledSet, Split
from .systems import PEERS, Peer

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="peers", description=sys.modules["peers"].__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the sets")
    parser.add_argument(
        "--work", type=Path, default=Path("target/quality"), help="for what it makes"
    )
    parser.add_argument("--binary", type=Path, default=Path("target/release/triaged"))
    parser.add_argument("--recipe", type=Path, default=Path("training/default.toml"))
    parser.add_argument("--report", type=Path, default=Path("docs/quality.md"))
    parser.add_argument("--refresh", action="store_true", help="ask the peers again too")
    parser.add_argument(
        "--peers-only", action="store_true", help="leave out triaged and the report"
    )
    return parser.parse_args()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def peers_answers(split: Split, folder: Path, refresh: bool) -> dict[str, Answers]:
    """What the peers answer, kept from an earlier run where nothing has changed since."""
    texts, labels = [row.text for row in split.train], [row.label for row in split.train]
    asked = [row.text for row in split.test + split.outside]
    rows = json.dumps([texts, labels, asked])
    versions = REQUIREMENTS.read_text(encoding="utf-8")

    def one(peer: Peer) -> Answers:
        key = hashlib.sha256(f"{rows}\n{peer.settings}\n{versions}".encode()).hexdigest()
        file = folder / f"{peer.name.replace(', ', '-').replace(' ', '-')}.json"
        kept = None if refresh else answers.load(key, file)
        if kept:
            say(f"  {peer.name}: kept from an earlier run")
            return kept
        fresh = peer.answer(texts, labels, asked)
        answers.save(fresh, key, file)
        say(f"  {peer.name}: trained in {fresh.seconds:.1f} s")
        return fresh

    return {peer.name: one(peer) for peer in PEERS}


def run(one: LabelledSet, options: argparse.Namespace, ours: Triaged | None) -> measure.Measured:
    """Splits and measures one set."""
    split = one.load(options.data)
    say(f"{one.name}: {len(split.train)} rows to train on, {len(split.test)} to test on")
    folder = options.work / one.name
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": split.train, "test": split.test, "outside": split.outside}
    files = {part: folder / f"{part}.jsonl" for part in parts}
    for part, file in files.items():
        sets.write(parts[part], file)
    given = peers_answers(split, folder, options.refresh)
    peers = {name: measure.numbers(split, a) for name, a in given.items()}
    systems, contests = peers, None
    if ours:
        asked = [files["test"], files["outside"]]
        answer = ours.answer(files["train"], asked, folder / "model")
        say(f"  {ours.name}: trained in {answer.seconds:.1f} s")
        systems = {ours.name: measure.numbers(split, answer)} | peers
        contests = measure.contests(split, answer, given, peers)
    return measure.Measured(
        name=one.name,
        about=one.about,
        train=len(split.train),
        test=len(split.test),
        outside=len(split.outside),
        labels=len({row.label for row in split.train + split.test}),
        systems=systems,
        contests=contests,
    )


def main() -> int:
    options = arguments()
    ours = None if options.peers_only else Triaged(options.binary, options.recipe)
    try:
        version = ours.version() if ours else ""
        measured = [run(one, options, ours) for one in sets.SETS]
    except (Failed, OSError) as error:
        say(f"peers: {error}")
        return 1
    results = [dataclasses.asdict(m) for m in measured]
    file = options.work / "results.json"
    file.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if ours:
        text = report.write(measured, ours.name, version, options.recipe)
        options.report.write_text(text, encoding="utf-8")
        say(f"written: {options.report}, {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
