"""From answers to numbers: each system on a set, and ours against the best peer of each metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from . import compare, metrics
from .answers import Answers
from .compare import Difference
from .metrics import Ints
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
class AccuracyContest:
    """Ours against the peer that has the most answers right."""

    peer: str
    p: float
    verdict: str


@dataclass(frozen=True)
class MacroF1Contest:
    """Ours against the peer with the highest macro-F1."""

    peer: str
    difference: Difference
    verdict: str


@dataclass(frozen=True)
class Contests:
    """Ours against the best peer of each metric; coverage is compared by its numbers alone."""

    accuracy: AccuracyContest
    macro_f1: MacroF1Contest
    coverage_peer: str


@dataclass(frozen=True)
class Measured:
    """A set with the numbers of every system, by name, and the contests if ours took part."""

    name: str
    about: str
    train: int
    test: int
    outside: int
    labels: int
    systems: dict[str, Numbers]
    contests: Contests | None


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


def best_peer(peers: Mapping[str, Numbers], get: Callable[[Numbers], float]) -> str:
    """The peer with the highest number; of equals the first."""
    return max(peers, key=lambda name: get(peers[name]))


def contests(
    split: Split, ours: Answers, theirs: Mapping[str, Answers], peers: Mapping[str, Numbers]
) -> Contests:
    """Ours against the best peer of each metric on the tested rows."""
    truth = [row.label for row in split.test]

    def rows(peer: str) -> tuple[list[Ints], int]:
        given = (ours.labels[: len(truth)], theirs[peer].labels[: len(truth)])
        return metrics.numbered(truth, *given)

    by_accuracy = best_peer(peers, lambda n: n.accuracy)
    (true, our, their), _ = rows(by_accuracy)
    accuracy = AccuracyContest(
        peer=by_accuracy,
        p=compare.mcnemar(our == true, their == true),
        verdict=compare.accuracy_verdict(our == true, their == true),
    )
    by_macro_f1 = best_peer(peers, lambda n: n.macro_f1)
    (true, our, their), labels = rows(by_macro_f1)
    difference = compare.macro_f1_difference(true, our, their, labels)
    macro_f1 = MacroF1Contest(by_macro_f1, difference, compare.interval_verdict(difference))
    return Contests(accuracy, macro_f1, best_peer(peers, lambda n: n.coverage))
