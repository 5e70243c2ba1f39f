"""A system's answers to the tested rows, and how they are kept between runs."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .metrics import Floats


@dataclass(frozen=True)
class Answers:
    """One label for each row, in the rows' order, and how sure the system is of it.

    `confidence` ranks the answers; it need not be a probability. `known` ranks the rows by how much
    they look like one of the labels at all. `seconds` is the time for training, reading the texts
    included.
    """

    labels: list[str]
    confidence: Floats
    known: Floats
    probability: bool
    seconds: float


def save(answers: Answers, key: str, path: Path) -> None:
    """Keeps the answers; `key` says what they depend on."""
    kept = {
        "key": key,
        "probability": answers.probability,
        "seconds": answers.seconds,
        "labels": answers.labels,
        "confidence": answers.confidence.tolist(),
        "known": answers.known.tolist(),
    }
    path.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")


def load(key: str, path: Path) -> Answers | None:
    """The kept answers, or nothing where there are none that were made with the same key."""
    if not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["key"] != key:
        return None
    confidence, known = (np.array(kept[ranks], dtype=float) for ranks in ("confidence", "known"))
    return Answers(kept["labels"], confidence, known, kept["probability"], kept["seconds"])
