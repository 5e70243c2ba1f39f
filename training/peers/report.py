"""The report, docs/quality.md: every number and every sentence comes from what was measured."""

import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .compare import ROUNDS
from .measure import Contests, Measured, Numbers

# The calibration error that is aimed at.
CALIBRATED = 0.03
PACKAGES = ["scikit-learn", "numpy", "scipy", "fasttext-wheel"]

Value = float | None


@dataclass(frozen=True)
class Metric:
    """What a table shows: its title, where the number is, and which end is the good one."""

    title: str
    get: Callable[[Numbers], Value]
    best: Callable[[Iterable[float]], float]


METRICS = [
    Metric("Accuracy", lambda n: n.accuracy, max),
    Metric("Macro-F1", lambda n: n.macro_f1, max),
    Metric("Coverage at 95 % precision", lambda n: n.coverage, max),
    Metric("Calibration error", lambda n: n.calibration_error, min),
]

HOW = """\
# Quality

How often `triaged`'s trained models are right, beside what a data scientist would try first. This
file is written by `make quality`; nothing in it is typed in by hand.

## How it was measured

- **The same rows for all.** Every system learns from the same training rows and answers the same
  test rows, of sets of real texts that are not part of this project. `triaged` holds back some of
  its training rows to choose, calibrate and test its model, and then fits it again on all of them,
  as it does for its users. So all learn from all training rows.
- **Splits by a rule that was fixed beforehand.** *By hash:* label by label, the fifth of the
  texts with the smallest hashes is tested; texts with the same words in the same order (whatever
  the case, punctuation and numbers) stay on one side. *By date:* the latest days, with a fifth of
  the rows, are tested, without texts that were there before. *Official:* as its authors published
  it.
- **Nothing is tuned to a set.** `triaged` is trained with one recipe (`{recipe}`). The peers have
  their libraries' settings, but for: TF-IDF with sublinear counts; words are 1- and 2-grams,
  characters are 2- to 5-grams within words that stand in two texts or more, "both" is both; SVM
  is `LinearSVC`, calibrated by sigmoids on five folds; multinomial naive Bayes has plain counts;
  fastText has word pairs, 25 epochs and one thread.
- **Versions:** {versions}.

What the numbers mean: *macro-F1* is the mean F1 over the labels of the test rows. *Coverage* is
the largest share of most confident answers of which 95 % are right. *Calibration error* is the
expected one, over 15 bins of equal width. An SVM that is not calibrated has no probability: its
margin between the two best labels ranks its answers, and it has no calibration error. The *best
peer* of a set is chosen for each metric: the one with the highest number on the set's test rows,
with hindsight, which favours the peers. *Better* and *beaten* are differences that chance would
show less than once in 20 times: by McNemar's mid-p test for accuracy, by a paired bootstrap
({rounds} resamples, 95 % interval) for macro-F1. The rest is *not beaten*. Coverage is compared
without a test. Averages give every set the same weight.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table; the columns after the first `texts` are right-aligned."""
    lines = [head, ["---"] * texts + ["---:"] * (len(head) - texts), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def share(value: Value) -> str:
    """Three decimals without the zero before the point; a minus only where it is seen."""
    if value is None:
        return ""
    text = f"{value:.3f}"
    sign = "-" if text.startswith("-") and float(text) != 0 else ""
    return sign + text.lstrip("-").removeprefix("0")


def chance(p: float) -> str:
    """A p value to three decimals."""
    return share(p) if p >= 0.001 else "<.001"


def counted(names: Sequence[str]) -> str:
    """How many sets, and which."""
    return f"{len(names)} ({', '.join(names)})" if names else "none"


def mean(values: Sequence[Value]) -> Value:
    """Over all sets, or nothing where a set has no value."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def averages(measured: Sequence[Measured], get: Callable[[Numbers], Value]) -> dict[str, Value]:
    """Each system's mean over the sets."""
    systems = measured[0].systems
    return {name: mean([get(m.systems[name]) for m in measured]) for name in systems}


def by_system(measured: Sequence[Measured], metric: Metric) -> str:
    """A metric: a row for each system, a column for each set and one for the average."""
    columns = [{name: metric.get(n) for name, n in m.systems.items()} for m in measured]
    columns.append(averages(measured, metric.get))

    def cell(name: str, column: dict[str, Value]) -> str:
        value = column[name]
        top = metric.best(v for v in column.values() if v is not None)
        return f"**{share(value)}**" if value == top else share(value)

    rows = [[name, *(cell(name, column) for column in columns)] for name in columns[0]]
    return table(["", *(m.name for m in measured), "average"], rows)


def seconds(measured: Sequence[Measured]) -> str:
    """What training took, a row for each system."""
    rows = [
        [name, *(f"{m.systems[name].seconds:.1f}" for m in measured)]
        for name in measured[0].systems
    ]
    return table(["", *(m.name for m in measured)], rows)


def contested(measured: Sequence[Measured]) -> list[tuple[Measured, Contests]]:
    """The sets that ours took part in."""
    return [(m, m.contests) for m in measured if m.contests]


def verdicts(measured: Sequence[Measured], ours: str) -> str:
    """Ours against the best peer of each metric: a table each, with a row for each set."""
    accuracy: list[list[str]] = []
    macro_f1: list[list[str]] = []
    coverage: list[list[str]] = []
    for m, c in contested(measured):
        our = m.systems[ours]
        their = m.systems[c.accuracy.peer].accuracy
        numbers = [share(our.accuracy), share(their), chance(c.accuracy.p)]
        accuracy.append([m.name, c.accuracy.peer, *numbers, c.accuracy.verdict])
        their, apart = m.systems[c.macro_f1.peer].macro_f1, c.macro_f1.difference
        numbers = [share(our.macro_f1), share(their), f"{share(apart.low)} to {share(apart.high)}"]
        macro_f1.append([m.name, c.macro_f1.peer, *numbers, c.macro_f1.verdict])
        their = m.systems[c.coverage_peer].coverage
        numbers = [share(our.coverage), share(their), share(our.coverage - their)]
        coverage.append([m.name, c.coverage_peer, *numbers])
    head = ["set", "best peer"]
    tables = [
        table([*head, "accuracy", "peer's", "p", "verdict"], accuracy, 2),
        table([*head, "macro-F1", "peer's", "difference, 95 %", "verdict"], macro_f1, 2),
        table([*head, "coverage", "peer's", "difference"], coverage, 2),
    ]
    return "\n".join(tables)


def first_of_peers(
    measured: Sequence[Measured], ours: str, metric: Metric
) -> tuple[Value, float, list[str]]:
    """Our average, the best average of a single peer, and who has it."""
    means = averages(measured, metric.get)
    peers = {name: v for name, v in means.items() if v is not None and name != ours}
    top = metric.best(peers.values())
    return means[ours], top, [name for name, value in peers.items() if value == top]


def aims(measured: Sequence[Measured], ours: str) -> list[str]:
    """What was aimed at, and on which sets it was missed."""

    def missed(is_missed: Callable[[Measured, Contests], bool]) -> str:
        names = [m.name for m, c in contested(measured) if is_missed(m, c)]
        return f"missed on {', '.join(names)}" if names else "held"

    def average(metric: Metric) -> str:
        mean, top, _ = first_of_peers(measured, ours, metric)
        return "held" if mean is not None and mean > top else "missed"

    def is_less_accurate(_: Measured, c: Contests) -> bool:
        return c.accuracy.verdict == "beaten"

    def has_less_macro_f1(_: Measured, c: Contests) -> bool:
        return c.macro_f1.verdict == "beaten"

    def covers_less(m: Measured, c: Contests) -> bool:
        return m.systems[ours].coverage < m.systems[c.coverage_peer].coverage

    def is_not_calibrated(m: Measured, _: Contests) -> bool:
        error = m.systems[ours].calibration_error
        return error is None or error > CALIBRATED

    accuracy, macro_f1, coverage, _ = METRICS
    single = "on average above that of every single peer"
    best = "not below that of the set's best peer"
    return [
        f"Accuracy {best} (paired test): {missed(is_less_accurate)}.",
        f"Macro-F1 {best} (paired test): {missed(has_less_macro_f1)}.",
        f"Accuracy {single}: {average(accuracy)}.",
        f"Macro-F1 {single}: {average(macro_f1)}.",
        f"Coverage at 95 % precision {best} (no test): {missed(covers_less)}.",
        f"Coverage at 95 % precision {single}: {average(coverage)}.",
        f"Calibration error {share(CALIBRATED)} or less: {missed(is_not_calibrated)}.",
    ]


def said(measured: Sequence[Measured], ours: str) -> list[str]:
    """The verdicts and the averages in sentences."""

    def outcome(what: str, verdict: Callable[[Contests], str]) -> str:
        verdicts = [(m.name, verdict(c)) for m, c in contested(measured)]
        better, not_beaten, beaten = (
            counted([name for name, its in verdicts if its == word])
            for word in ("better", "not beaten", "beaten")
        )
        return (
            f"In {what}, of {len(verdicts)} sets `{ours}` is better than the best peer on "
            f"{better}, not beaten on {not_beaten}, beaten on {beaten}."
        )

    def average(metric: Metric) -> str:
        mean, top, peers = first_of_peers(measured, ours, metric)
        return (
            f"{metric.title}: `{ours}` has {share(mean)} on average; of the peers "
            f"{' and '.join(peers)} comes first with {share(top)}."
        )

    return [
        outcome("accuracy", lambda c: c.accuracy.verdict),
        outcome("macro-F1", lambda c: c.macro_f1.verdict),
        *(average(metric) for metric in METRICS),
    ]


def outside(measured: Sequence[Measured]) -> str:
    """How well confidence tells apart what belongs to no label, on the sets that ask."""
    text = ""
    for m in (m for m in measured if m.outside):
        rows = [
            [name, share(n.outside_auroc), share(n.outside_recall)] for name, n in m.systems.items()
        ]
        text += (
            f"On {m.name} there are also {m.outside:,} test rows that belong to no label; none are "
            "among the training rows. AUROC says how often a row that has a label gets more "
            "confidence than one that has none; recall is the share of those without that fall "
            "below the bar which 95 % of the others pass. Here the SVMs without probability are "
            "ranked by the score of their best label, which does better than the margin.\n\n"
        )
        text += table(["", "AUROC", "recall"], rows)
    return text


def write(measured: Sequence[Measured], ours: str, binary: str, recipe: Path) -> str:
    """The whole report; `binary` is what the measured binary says that it is."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    versions = f"{binary}, Python {platform.python_version()}, {packages}"
    sizes = [[m.name, m.about, *(f"{n:,}" for n in (m.train, m.test, m.labels))] for m in measured]
    parts = [
        HOW.format(recipe=recipe, versions=versions, rounds=f"{ROUNDS:,}"),
        table(["set", "tested", "training rows", "test rows", "labels"], sizes, 2),
        f"## `{ours}` against the best peers\n",
        verdicts(measured, ours),
        "".join(f"- {sentence}\n" for sentence in said(measured, ours)),
        "## The aims\n",
        "".join(f"- {aim}\n" for aim in aims(measured, ours)),
        *(f"## {metric.title}\n\n{by_system(measured, metric)}" for metric in METRICS),
        "## Out of scope\n",
        outside(measured),
        "## Seconds of training\n",
        "On one thread of the machine at hand, for information only.\n",
        seconds(measured),
    ]
    return "\n".join(parts)
