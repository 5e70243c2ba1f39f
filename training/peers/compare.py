"""Whether one system is better than another on the same rows, or only luckier."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from .metrics import Flags, Ints, macro_f1

ROUNDS = 1_000
LEVEL = 0.05


def mcnemar(ours: Flags, theirs: Flags) -> float:
    """The two-sided mid-p value of McNemar's test on right and wrong (Fagerland et al. 2013)."""
    only_ours = int(np.sum(ours & ~theirs))
    only_theirs = int(np.sum(theirs & ~ours))
    fewer, both = min(only_ours, only_theirs), only_ours + only_theirs
    return float(2 * binom.cdf(fewer, both, 0.5) - binom.pmf(fewer, both, 0.5))


@dataclass(frozen=True)
class Difference:
    """Ours less theirs, with the interval that holds 95 % of the resamples."""

    value: float
    low: float
    high: float


def macro_f1_difference(
    truth: Ints, ours: Ints, theirs: Ints, labels: int, seed: int = 0
) -> Difference:
    """Paired bootstrap: both systems are measured on the same rows, drawn again and again."""
    draw = np.random.default_rng(seed)
    differences = np.empty(ROUNDS)
    for i in range(ROUNDS):
        rows = draw.integers(len(truth), size=len(truth))
        t, o, p = truth[rows], ours[rows], theirs[rows]
        differences[i] = macro_f1(t, o, labels) - macro_f1(t, p, labels)
    low, high = np.quantile(differences, [LEVEL / 2, 1 - LEVEL / 2])
    whole = macro_f1(truth, ours, labels) - macro_f1(truth, theirs, labels)
    return Difference(whole, float(low), float(high))


def accuracy_verdict(ours: Flags, theirs: Flags) -> str:
    """`better`, `not beaten` or `beaten`, at 5 %."""
    if mcnemar(ours, theirs) >= LEVEL:
        return "not beaten"
    return "better" if ours.mean() > theirs.mean() else "beaten"


def interval_verdict(difference: Difference) -> str:
    """`better`, `not beaten` or `beaten`, by whether the interval leaves out zero."""
    if difference.low > 0:
        return "better"
    return "beaten" if difference.high < 0 else "not beaten"
