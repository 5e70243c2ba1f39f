"""The day's stream of synthetic tickets: what the known-request model that ships recognises."""

import argparse
import json
import subprocess
from collections import Counter

from .report import share, table

SHOWN = 20
Row = dict[str, str]


def why(row: Row) -> str:
    """What a wrong answer has in common with a request."""
    if row.get("label_near"):
        kind = row["label_near_kind"].replace("_", " ")
        return f"a near miss ({kind}): it has the words of `{row['label_near']}`, and does not ask for it"
    if "label_request" in row:
        return f"it asks for `{row['label_request']}`"
    return f"an ordinary ticket of {row['label_category']}"


def day(options: argparse.Namespace) -> str:
    """Makes the stream, asks the model, and says what came of it."""
    folder = options.work / "day"
    subprocess.run(
        [options.corpus, "--out", folder, "--seed", "7", "--requests", "day"], check=True
    )
    text = (folder / "day.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.removesuffix("\n").split("\n")]
    command = [options.known, options.model, folder / "day.jsonl"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    answers = [json.loads(line) for line in done.stdout.removesuffix("\n").split("\n")]
    both = list(zip(rows, answers))

    def line(title: str, some: list[tuple[Row, Row]], taken: list[tuple[Row, Row]]) -> list[str]:
        right = sum(row.get("label_request") == a["request"] for row, a in some)
        precise = sum(row.get("label_request") == a["request"] for row, a in taken)
        precision = share(precise / len(taken)) if taken else ""
        return [title, f"{len(some):,}", share(right / len(some)), f"{len(taken):,}", precision]

    requests = [(row, a) for row, a in both if "label_request" in row]
    taken = [(row, a) for row, a in both if a["request"]]
    lines = [line("all requests", requests, taken)]
    resolvable = [(row, a) for row, a in requests if "label_slot" in row]
    lines.append(line("resolvable: name the account, desktop or printer", resolvable, taken))
    for name in sorted({row["label_request"] for row, _ in requests}):
        some = [(row, a) for row, a in requests if row["label_request"] == name]
        lines.append(line(f"`{name}`", some, [t for t in taken if t[1]["request"] == name]))
    for tag in ("en", "ko"):
        some = [(row, a) for row, a in requests if row.get("language") == tag]
        tagged = [(row, a) for row, a in taken if row.get("language") == tag]
        lines.append(line(f"tagged `{tag}`", some, tagged))
    near = [(row, a) for row, a in both if "label_near" in row]
    wrong = [(row, a) for row, a in taken if row.get("label_request") != a["request"]]
    wrong.sort(key=lambda pair: -pair[1]["confidence"])
    missed = [(row, a) for row, a in requests if row["label_request"] != a["request"]]
    doubts = Counter(a["doubt"] or "another request" for _, a in missed)
    reasons = ", ".join(f"{n:,} {doubt}" for doubt, n in doubts.most_common())
    shown = [
        [
            f"`{row['ticket_id']}`",
            f"`{a['request']}`",
            share(a["confidence"]),
            " ".join(f"{row['subject']}: {row['body']}".split())[:110].replace("|", "/"),
            why(row),
        ]
        for row, a in wrong[:SHOWN]
    ]
    head = ["", "tickets", "recognised", "names given", "precision"]
    parts = [
        "### A day's stream\n",
        f"{len(rows):,} synthetic tickets (`--requests day` of the [corpus](../training/corpus/README.md)), "
        f"{len(requests):,} of them one of four requests, {len(near):,} near misses, the rest ordinary. "
        "The requests and near misses are written in sentences that no training ticket has. Asked is "
        "`models/requests`, with its own threshold. Recognition alone: no guard and no playbook looks on. "
        "**This is no blind test.** The authors of these wordings wrote those of the training too, and "
        "looked at this stream's outcome while they added training wordings, chose how many training "
        "tickets and words there are and that others share one label, and gave near misses the subjects "
        "of ordinary tickets in place of those of requests. Before that it recognised far less "
        "([0010](decisions/0010-known-requests.md)). Expect less on a desk's own tickets.\n",
        table(head, lines),
        f"Requests that were not recognised, by doubt: {reasons}. {len(wrong)} names are wrong; "
        f"{sum('label_near' in row for row, _ in wrong)} of those tickets are near misses, of which "
        f"there are {len(near)}. The surest {len(shown)}:\n",
        table(["ticket", "taken for", "confidence", "begins", "what it is"], shown, 5),
        "The model adds up words: it cannot read who an account belongs to or what a \"not\" refers "
        "to. A playbook's own words to avoid, its required fields and its dry run are there for these.",
    ]
    return "\n".join(parts)
