"""Numbers, and the report's tables and sentences, for answers made here."""

import unittest
from pathlib import Path

import numpy as np

from peers import measure, report
from peers.answers import Answers
from peers.measure import Measured
from peers.sets import Row, Split

TRUTH = ["a", "b"] * 50
SPLIT = Split(
    train=[],
    test=[Row(str(i), "", "x", label) for i, label in enumerate(TRUTH)],
    outside=[Row(str(i), "", "x", "oos") for i in range(2)],
)


def answering(right: int, probability: bool) -> Answers:
    """The first `right` answers are right; the rows outside get the least confidence."""
    labels = [t if i < right else "c" for i, t in enumerate(TRUTH)] + ["a", "b"]
    confidence = np.linspace(1, 0, len(labels))
    return Answers(labels, confidence, confidence, probability, 1.0)


def measured(right: int) -> Measured:
    """`triaged` with so many right answers against peers with 80 and 70."""
    ours = answering(right, True)
    theirs = {"margin": answering(80, False), "calibrated": answering(70, True)}
    peers = {name: measure.numbers(SPLIT, a) for name, a in theirs.items()}
    systems = {"triaged": measure.numbers(SPLIT, ours)} | peers
    contests = measure.contests(SPLIT, ours, theirs, peers)
    return Measured("made-up", "by hand", 0, 100, 2, 2, systems, contests)


class Measuring(unittest.TestCase):
    def test_numbers_are_of_the_labelled_rows_and_of_those_outside(self) -> None:
        numbers = measure.numbers(SPLIT, answering(80, True))
        self.assertEqual(numbers.accuracy, 0.8)
        self.assertEqual(numbers.coverage, 0.84)  # 80 of the first 84 are right
        self.assertEqual((numbers.outside_auroc, numbers.outside_recall), (1.0, 1.0))

    def test_a_margin_has_no_calibration_error(self) -> None:
        self.assertIsNone(measure.numbers(SPLIT, answering(80, False)).calibration_error)

    def test_answers_must_be_as_many_as_the_rows(self) -> None:
        with self.assertRaises(ValueError):
            measure.numbers(Split([], SPLIT.test, []), answering(80, True))


class Contest(unittest.TestCase):
    def test_every_metric_has_a_best_peer_of_its_own(self) -> None:
        truth = ["common"] * 90 + ["rare"] * 10
        split = Split([], [Row(str(i), "", "x", label) for i, label in enumerate(truth)], [])

        def answers(labels: list[str], confidence: list[float]) -> Answers:
            ranks = np.array(confidence, dtype=float)
            return Answers(labels, ranks, ranks, True, 1.0)

        equally = [0.5] * 100
        theirs = {
            "A": answers(["common"] * 100, equally),
            "B": answers(["common"] * 75 + ["rare"] * 25, equally),
            # Wrong where it is least sure.
            "C": answers(["common"] * 60 + ["rare"] * 40, [0.9] * 60 + [0.1] * 40),
        }
        peers = {name: measure.numbers(split, a) for name, a in theirs.items()}
        found = measure.contests(split, answers(truth, equally), theirs, peers)
        best = (found.accuracy.peer, found.macro_f1.peer, found.coverage_peer)
        self.assertEqual(best, ("A", "B", "C"))
        self.assertEqual((found.accuracy.verdict, found.macro_f1.verdict), ("better", "better"))
        apart = 1 - peers["B"].macro_f1
        self.assertAlmostEqual(found.macro_f1.difference.value, apart)


class Report(unittest.TestCase):
    def write(self, right: int) -> str:
        return report.write([measured(right)], "triaged", "triaged 1.2.3", Path("recipe.toml"))

    def test_verdicts_follow_the_numbers(self) -> None:
        for right, accuracy, row in [
            (95, "better than the best peer on 1 (made-up)", "| .950 | .800 | <.001 | better |"),
            (79, "not beaten on 1 (made-up)", "| .790 | .800 | .500 | not beaten |"),
            (60, "beaten on 1 (made-up).", "| .600 | .800 | <.001 | beaten |"),
        ]:
            text = self.write(right)
            self.assertIn(accuracy, text)
            self.assertIn(f"| made-up | margin {row}", text)

    def test_aims_are_held_or_missed_on_sets(self) -> None:
        self.assertEqual(
            report.aims([measured(95)], "triaged"),
            [
                "Accuracy not below that of the set's best peer (paired test): held.",
                "Macro-F1 not below that of the set's best peer (paired test): held.",
                "Accuracy on average above that of every single peer: held.",
                "Macro-F1 on average above that of every single peer: held.",
                "Coverage at 95 % precision not below that of the set's best peer (no test): held.",
                "Coverage at 95 % precision on average above that of every single peer: held.",
                "Calibration error .030 or less: missed on made-up.",
            ],
        )
        beaten = report.aims([measured(60)], "triaged")
        self.assertEqual([aim.endswith(": missed on made-up.") for aim in beaten[:2]], [True] * 2)
        self.assertEqual([aim.endswith(": missed.") for aim in beaten[2:4]], [True] * 2)
        # What chance may have done is not missed; an average is as it is.
        unlucky = report.aims([measured(79)], "triaged")
        self.assertEqual(
            [aim.split(": ")[1] for aim in unlucky[:4]], ["held.", "held.", "missed.", "missed."]
        )
        self.assertEqual(unlucky[4].split(": ")[1], "missed on made-up.")
        self.assertIn(f"## The aims\n\n- {unlucky[0]}\n", self.write(79))

    def test_the_best_is_bold_and_what_is_missing_is_blank(self) -> None:
        text = self.write(95)
        self.assertIn("| triaged | **.950** | **.950** |\n| margin | .800 | .800 |", text)
        calibration = text.split("## Calibration error")[1].split("##")[0]
        self.assertIn("| margin |  |  |", calibration)
        self.assertIn("triaged 1.2.3, Python 3", text)

    def test_shares_have_no_zero_before_the_point(self) -> None:
        shown = [report.share(v) for v in (0.5, 1.0, 0.0, -0.0123, -0.0001, None)]
        self.assertEqual(shown, [".500", "1.000", ".000", "-.012", ".000", ""])


if __name__ == "__main__":
    unittest.main()
