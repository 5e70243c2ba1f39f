"""The labelled sets, and the rule that splits them into rows to train on and rows to test on."""

import hashlib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

SEED = 20
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Row:
    """A labelled text; `date` (ISO 8601) is empty where the set has none."""

    id: str
    subject: str
    body: str
    label: str
    date: str = ""

    @property
    def text(self) -> str:
        """What the peers read: subject and body, one below the other."""
        return f"{self.subject}\n{self.body}".strip()


@dataclass(frozen=True)
class Split:
    """Rows to train on and to test on; `outside` are test rows that belong to no label."""

    train: list[Row]
    test: list[Row]
    outside: list[Row]


@dataclass(frozen=True)
class LabelledSet:
    """A set by name, how it is split in a sentence, and what reads and splits it."""

    name: str
    about: str
    load: Callable[[Path], Split]


def read(
    path: Path, label: str, body: str = "text", subject: str | None = None, date: str | None = None
) -> list[Row]:
    """The rows of a JSON lines file that have a text and a label; the other arguments are keys."""
    rows = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            values = json.loads(line)
            row = Row(
                id=str(values["id"]),
                subject=values[subject] if subject else "",
                body=values[body],
                label=str(values[label]).strip(),
                date=values[date] if date else "",
            )
            if row.text and row.label:
                rows.append(row)
    return rows


def normalised(text: str) -> str:
    """The text's words in one spelling: NFKC, lower case, every number 0, no punctuation."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())
    return " ".join(re.sub(r"\d+", "0", word) for word in words)


def by_hash(rows: Iterable[Row], seed: int = SEED) -> Split:
    """Label by label, the fifth of the texts with the smallest hashes is for testing.

    Rows with the same normalised text stay on one side; a text with several labels goes with the
    first of them by name. The order of the rows does not matter for who stands where.
    """
    texts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        texts[normalised(row.text)].append(row)
    labels: dict[str, list[tuple[bytes, list[Row]]]] = defaultdict(list)
    for text, group in texts.items():
        key = hashlib.sha256(f"{seed}\0{text}".encode()).digest()
        labels[min(row.label for row in group)].append((key, group))
    split = Split([], [], [])
    for _, groups in sorted(labels.items()):
        groups.sort(key=lambda keyed: keyed[0])
        held_out = int(len(groups) * TEST_SHARE + 0.5)
        for i, (_, group) in enumerate(groups):
            (split.test if i < held_out else split.train).extend(group)
    return split


def by_date(rows: Iterable[Row]) -> Split:
    """The latest days, with a fifth of the rows, are for testing; a day is not divided.

    Texts that were seen earlier, by their normalised form, are not tested.
    """
    ordered = sorted(rows, key=lambda row: (row.date, row.id))
    first_day = ordered[int(len(ordered) * (1 - TEST_SHARE))].date
    train = [row for row in ordered if row.date < first_day]
    seen = {normalised(row.text) for row in train}
    test = [r for r in ordered if r.date >= first_day and normalised(r.text) not in seen]
    return Split(train, test, [])


def _intents(data: Path) -> Split:
    folder = data / "intents-out-of-scope"
    train, test, outside = (
        read(folder / f"{part}.jsonl", "intent") for part in ("train", "test", "oos_test")
    )
    return Split(train, test, outside)


def _it_fields(label: str) -> Callable[[Path], Split]:
    file = Path("it-fields", "tickets.jsonl")
    return lambda data: by_hash(read(data / file, label, body="body", subject="subject"))


def _korean_topics(data: Path, date: str | None) -> list[Row]:
    return read(data / "korean-topics/titles.jsonl", "category", date=date)


_HASH = "a fifth by the text's hash"

SETS = [
    LabelledSet(
        "it-topics", _HASH, lambda data: by_hash(read(data / "it-topics/tickets.jsonl", "category"))
    ),
    LabelledSet("it-fields-service", f"business service; {_HASH}", _it_fields("business_service")),
    LabelledSet("it-fields-category", f"category; {_HASH}", _it_fields("category")),
    LabelledSet("intents", "the official test part", _intents),
    # Without dates, as whoever is told them prepares for tickets that come later.
    LabelledSet("korean-topics", _HASH, lambda data: by_hash(_korean_topics(data, None))),
    LabelledSet(
        "korean-topics-date",
        "the latest fifth by date",
        lambda data: by_date(_korean_topics(data, "date")),
    ),
    LabelledSet(
        "korean-intents",
        _HASH,
        lambda data: by_hash(read(data / "korean-intents/train.jsonl", "intent")),
    ),
]


def write(rows: Iterable[Row], path: Path) -> None:
    """Writes the rows as labelled tickets that `triaged` reads.

    The id is the row's place: ids in the sets need not be unique. What else a ticket must have, and
    the row does not, says nothing.
    """
    lines = []
    for place, row in enumerate(rows):
        ticket = {
            "ticket_id": str(place),
            "subject": row.subject,
            "body": row.body,
            "created_at": f"{row.date or '2000-01-01'}T00:00:00Z",
            "requester": None,
            "source": None,
            "label": row.label,
        }
        lines.append(json.dumps(ticket, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
