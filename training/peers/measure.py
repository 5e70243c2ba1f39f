"""From answers to numbers: each system on a set, and ours against the best peer."""

from dataclasses import dataclass

import numpy as np

from . import compare, metrics
from .answers import Answers
from .compare import Difference
from .sets import Split


@dataclass(frozen=True)
class Numbers:
    """One system on one set; what it cannot have or the set does not ask is nothing."""

    accuracy: float
    macro_f1: float
    coverage: float
    calibration_error: float | None
    outside_auroc: float | None
    outside_recall: float | None
    seconds: float


@dataclass(frozen=True)
class Contest:
    """Ours against the peer that has the most answers right."""

    peer: str
    p: float
    accuracy: str
    difference: Difference
    macro_f1: str


@dataclass(frozen=True)
class Measured:
    """A set with the numbers of every system, by name, and the contest if ours took part."""

    name: str
    about: str
    train: int
    test: int
    outside: int
    labels: int
    systems: dict[str, Numbers]
    contest: Contest | None


def numbers(split: Split, answers: Answers) -> Numbers:
    """What a system's answers to the tested rows, and to those outside after them, are worth."""
    truth = [row.label for row in split.test]
    if len(answers.labels) != len(truth) + len(split.outside):
        raise ValueError(f"{len(answers.labels)} answers to {len(truth) + len(split.outside)} rows")
    given = answers.labels[: len(truth)]
    confidence = answers.confidence[: len(truth)]
    inside, outside = np.split(answers.known, [len(truth)])
    right = np.array([t == g for t, g in zip(truth, given)])
    (true, said), labels = metrics.numbered(truth, given)
    return Numbers(
        accuracy=float(right.mean()),
        macro_f1=metrics.macro_f1(true, said, labels),
        coverage=metrics.coverage(right, confidence),
        calibration_error=(
            metrics.calibration_error(right, confidence) if answers.probability else None
        ),
        outside_auroc=metrics.auroc(inside, outside) if split.outside else None,
        outside_recall=metrics.outside_recall(inside, outside) if split.outside else None,
        seconds=answers.seconds,
    )


def best_peer(systems: dict[str, Numbers], ours: str) -> str:
    """The peer with the highest accuracy; of equals the one with the higher macro-F1."""
    peers = [name for name in systems if name != ours]
    return max(peers, key=lambda name: (systems[name].accuracy, systems[name].macro_f1))


def contest(split: Split, ours: Answers, theirs: Answers, peer: str) -> Contest:
    """Ours against one peer on the tested rows."""
    truth = [row.label for row in split.test]
    columns = (truth, ours.labels[: len(truth)], theirs.labels[: len(truth)])
    (true, our, their), labels = metrics.numbered(*columns)
    difference = compare.macro_f1_difference(true, our, their, labels)
    return Contest(
        peer=peer,
        p=compare.mcnemar(our == true, their == true),
        accuracy=compare.accuracy_verdict(our == true, their == true),
        difference=difference,
        macro_f1=compare.interval_verdict(difference),
    )
