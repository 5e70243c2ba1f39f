"""What is measured: each function takes one system's answers to the same rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BINS = 15


def numbered(*columns: Sequence[str]) -> tuple[list[Ints], int]:
    """Labels as numbers, the same in all columns, and how many different ones there are."""
    places = {label: i for i, label in enumerate(sorted(set().union(*columns)))}
    return [np.array([places[label] for label in column]) for column in columns], len(places)


def macro_f1(truth: Ints, answers: Ints, labels: int) -> float:
    """The mean F1 over the labels that the tested rows have; `labels` is the number of all."""
    hits = np.bincount(truth[truth == answers], minlength=labels)
    there = np.bincount(truth, minlength=labels)
    said = np.bincount(answers, minlength=labels)
    present = there > 0
    return float(np.mean(2 * hits[present] / (there + said)[present]))


def coverage(right: Flags, confidence: Floats, precision: float = 0.95) -> float:
    """The largest share of most confident answers of which `precision` are right.

    Answers of equal confidence are taken together or not at all.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    taken = np.arange(1, len(order) + 1)
    last_of_equals = np.append(ranked[1:] != ranked[:-1], True)
    good = last_of_equals & (np.cumsum(right[order]) / taken >= precision)
    return float(taken[good].max(initial=0) / len(order))


def calibration_error(right: Flags, confidence: Floats, bins: int = BINS) -> float:
    """Expected calibration error (Guo et al. 2017) over bins of equal width.

    The mean distance between how often answers are right and how sure they were, weighed by the
    number of answers in a bin.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def auroc(inside: Floats, outside: Floats) -> float:
    """How often a row of a known label has more confidence than one of none; a draw is a half."""
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, side="left")
    at_most = np.searchsorted(ordered, inside, side="right")
    return float((below + at_most).mean() / (2 * len(outside)))


def outside_recall(inside: Floats, outside: Floats, kept: float = 0.95) -> float:
    """The share of rows of no label that fall below the bar which `kept` of the others pass."""
    passing = int(np.ceil(kept * len(inside)))
    bar = np.sort(inside)[len(inside) - passing]
    return float(np.mean(outside < bar))
